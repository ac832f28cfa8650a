//! Fetching, end to end, from servers on this machine that behave as badly as real ones do.

#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base::digest::{Sha256, Sha512, SourceDigest};
use fetch::{Archive, Event, FetchError, Fetcher, Obtained, Options, UrlError, Want, hints};

/// What a client asked for.
struct Request {
    path: String,
    accept: String,
    from: Option<usize>,
    /// How many requests came before this one.
    number: usize,
}

/// A server that answers each request with `answer`, in a thread each, until the test ends.
struct Server {
    address: String,
    requests: Arc<AtomicUsize>,
}

impl Server {
    fn start(answer: impl Fn(&Request, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let (counter, answer) = (Arc::clone(&requests), Arc::new(answer));
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (counter, answer) = (Arc::clone(&counter), Arc::clone(&answer));
                thread::spawn(move || {
                    let mut request =
                        Request { path: String::new(), accept: String::new(), from: None, number: 0 };
                    for line in BufReader::new(stream.try_clone().unwrap()).lines() {
                        let Ok(line) = line else { return };
                        let (name, value) = line.split_once(": ").unwrap_or((&line, ""));
                        match name.to_ascii_lowercase().as_str() {
                            "" => break,
                            "accept" => value.clone_into(&mut request.accept),
                            "range" => {
                                let from = value.trim_start_matches("bytes=").trim_end_matches('-');
                                request.from = Some(from.parse().unwrap());
                            }
                            get if get.starts_with("get ") => {
                                line.split(' ').nth(1).unwrap().clone_into(&mut request.path);
                            }
                            _ => {}
                        }
                    }
                    if !request.path.is_empty() {
                        request.number = counter.fetch_add(1, Ordering::SeqCst);
                        answer(&request, &mut stream);
                    }
                });
            }
        });
        Self { address, requests }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.address)
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn send(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n");
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

fn ok(stream: &mut TcpStream, body: &[u8]) {
    send(stream, "200 OK", "", body);
}

/// Bytes that look like no web page.
fn body() -> Vec<u8> {
    (0..100_000_u32).flat_map(u32::to_le_bytes).collect()
}

struct Setup {
    folder: tempfile::TempDir,
    options: Options,
    events: Mutex<Vec<Event>>,
}

impl Setup {
    fn new() -> Self {
        let options = Options {
            connect_timeout: Duration::from_secs(2),
            patient_timeout: Duration::from_secs(2),
            stall_timeout: Duration::from_secs(1),
            retry_delay: Duration::from_millis(10),
            debian_mirrors: Some(Vec::new()),
            ..Options::default()
        };
        Self { folder: tempfile::tempdir().unwrap(), options, events: Mutex::default() }
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("distfiles")
    }

    fn fetcher(&self) -> Fetcher {
        Fetcher::new(&self.cache(), self.options.clone()).unwrap()
    }

    fn obtain(&self, urls: &[String], contents: &[u8]) -> Result<Obtained, FetchError> {
        self.obtain_with(&self.fetcher(), urls, contents)
    }

    fn obtain_with(
        &self,
        fetcher: &Fetcher,
        urls: &[String],
        contents: &[u8],
    ) -> Result<Obtained, FetchError> {
        let events = |event| self.events.lock().unwrap().push(event);
        fetcher.obtain(&[archive(urls, contents)], &events, &AtomicBool::new(false))
    }

    /// What is in the cache folder, partial files too.
    fn kept(&self) -> Vec<String> {
        let files = walkdir::WalkDir::new(self.cache()).sort_by_file_name().into_iter().flatten();
        let files = files.filter(|entry| entry.file_type().is_file());
        files.map(|entry| entry.path().strip_prefix(self.cache()).unwrap().display().to_string()).collect()
    }

    fn has_event(&self, test: impl Fn(&Event) -> bool) -> bool {
        self.events.lock().unwrap().iter().any(test)
    }
}

fn archive(urls: &[String], contents: &[u8]) -> Archive {
    Archive {
        label: "thing 1.0".into(),
        urls: urls.to_vec(),
        digest: SourceDigest::Sha256(Sha256::of(contents)),
    }
}

fn problems(error: &FetchError) -> Vec<&UrlError> {
    let FetchError::Unobtainable { attempts, .. } = error else { panic!("{error:?}") };
    attempts.iter().map(|attempt| &attempt.problem).collect()
}

fn assert_contents(path: &Path, contents: &[u8]) {
    assert!(fs::read(path).unwrap() == contents, "{} has other contents", path.display());
}

#[test]
fn the_right_file_is_kept_under_its_digest_and_not_fetched_again() {
    let server = Server::start(|_, stream| ok(stream, &body()));
    let setup = Setup::new();
    let urls = [server.url("thing-1.0.tar")];
    for _ in 0..2 {
        let obtained = setup.obtain(&urls, &body()).unwrap();
        assert_eq!(obtained.index, 0);
        assert_contents(&obtained.path, &body());
        assert_eq!(setup.kept(), [format!("sha256-{}", Sha256::of(&body()))]);
    }
    assert_eq!(server.requests(), 1);
    assert!(
        setup.has_event(|event| matches!(event, Event::Started { total: Some(400_000), resumed: 0, .. }))
    );
    assert!(setup.has_event(|event| matches!(event, Event::Finished { bytes: 400_000, .. })));
    assert!(setup.has_event(|event| matches!(event, Event::Found { .. })));
    assert!(setup.fetcher().cached(&archive(&[], &body())).is_some());
}

#[test]
fn sha512_names_archives_as_well() {
    let server = Server::start(|_, stream| ok(stream, &body()));
    let setup = Setup::new();
    let digest = SourceDigest::Sha512(Sha512::of(&body()));
    let archive = Archive { label: "thing".into(), urls: vec![server.url("x")], digest };
    setup.fetcher().obtain(&[archive], &|_| (), &AtomicBool::new(false)).unwrap();
    assert_eq!(setup.kept(), [format!("sha512-{}", Sha512::of(&body()))]);
}

#[test]
fn wrong_bytes_are_named_by_both_digests_and_leave_nothing() {
    let server = Server::start(|_, stream| ok(stream, b"something else"));
    let setup = Setup::new();
    let error = setup.obtain(&[server.url("x")], b"right").unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("\n    expected: sha256:{}\n", Sha256::of(b"right"))), "{text}");
    assert!(text.contains(&format!("\n    computed: sha256:{}", Sha256::of(b"something else"))), "{text}");
    assert_eq!(setup.kept(), [""; 0]);
    assert_eq!(server.requests(), 1, "wrong bytes stay wrong");
}

#[test]
fn a_web_page_is_called_one() {
    let server = Server::start(|_, stream| ok(stream, b"\n<!DOCTYPE html><html>Please log in"));
    let setup = Setup::new();
    let error = setup.obtain(&[server.url("x")], b"right").unwrap_err();
    assert!(matches!(problems(&error)[..], [UrlError::Wrong { web_page: true, .. }]));
    assert!(error.to_string().contains("a web page, not the archive"), "{error}");
}

#[test]
fn the_next_url_is_tried_and_a_failure_lists_them_all() {
    let server = Server::start(|request, stream| match request.path.as_str() {
        "/good" => ok(stream, b"right"),
        _ => send(stream, "404 Not Found", "", b""),
    });
    let setup = Setup::new();
    let (bad, good) = (server.url("bad"), server.url("good"));
    setup.obtain(&[bad.clone(), good], b"right").unwrap();
    assert!(setup.has_event(|event| matches!(event, Event::Failed { reason, .. } if reason.contains("404"))));
    let before = server.requests();

    let urls = [bad.clone(), "ftp://a/b".into(), "debian:a/b".into(), "pypi:a".into()];
    let error = setup.obtain(&urls, b"another").unwrap_err();
    assert_eq!(server.requests(), before + 1, "404 is final");
    let text = error.to_string();
    assert!(text.starts_with("no archive of thing 1.0 could be had\n"), "{text}");
    assert!(text.contains(&format!("  {bad}\n    the server answered 404 Not Found\n")), "{text}");
    assert!(text.contains("  ftp://a/b\n    unknown scheme `ftp:`: use `https:`, `file:`"), "{text}");
    assert!(text.contains("  debian:a/b\n    apt is not set up with a Debian mirror here\n"), "{text}");
    assert!(text.contains("  pypi:a\n    malformed: write `pypi:<project>/<file>`"), "{text}");
    let hints = hints(&[&error]).join("\n");
    for hint in ["--debian-mirror URL", "--distfiles FOLDER", "--override thing=FOLDER"] {
        assert!(hints.contains(hint), "{hints}");
    }
    assert!(hints.contains(&format!("sha256 {}", Sha256::of(b"another"))), "{hints}");
    // Of several each remedy is said once.
    let other = setup.obtain(&["debian:a/b".into()], b"a third").unwrap_err();
    let of_both = self::hints(&[&error, &other]);
    assert_eq!(of_both.len(), hints.lines().count());
    assert!(of_both.iter().any(|hint| hint.contains("`k3sroot fetch --list`")), "{of_both:?}");
    assert!(of_both.iter().any(|hint| hint.contains("`--override PACKAGE=FOLDER`")), "{of_both:?}");
}

#[test]
fn the_next_archive_is_tried_and_the_answer_says_which_it_was() {
    let server = Server::start(|_, stream| ok(stream, b"repacked"));
    let setup = Setup::new();
    let archives = [archive(&[server.url("x")], b"upstream"), archive(&[server.url("y")], b"repacked")];
    let obtained = setup.fetcher().obtain(&archives, &|_| (), &AtomicBool::new(false)).unwrap();
    assert_eq!(obtained.index, 1);
}

#[test]
fn a_busy_server_is_asked_again_after_the_pause_it_wants() {
    let server = Server::start(|request, stream| match request.number {
        0 => send(stream, "503 Service Unavailable", "Retry-After: 1\r\n", b""),
        1 => send(stream, "429 Too Many Requests", "", b""),
        _ => ok(stream, b"right"),
    });
    let setup = Setup::new();
    let start = Instant::now();
    setup.obtain(&[server.url("x")], b"right").unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.requests(), 3);
    let second = Duration::from_secs(1);
    assert!(setup.has_event(|event| matches!(event, Event::Retried { wait, .. } if *wait == second)));
}

#[test]
fn a_server_that_stays_busy_or_wants_too_long_a_pause_is_given_up() {
    let busy = Server::start(|_, stream| send(stream, "500 Internal Server Error", "", b""));
    let later = Server::start(|_, stream| send(stream, "503 Busy", "Retry-After: 3600\r\n", b""));
    let setup = Setup::new();
    let error = setup.obtain(&[busy.url("x"), later.url("x")], b"right").unwrap_err();
    assert!(matches!(
        problems(&error)[..],
        [UrlError::Status { code: 500, .. }, UrlError::Status { code: 503, .. }]
    ));
    assert_eq!((busy.requests(), later.requests()), (3, 1));
}

#[test]
fn a_slow_trickle_is_waited_for() {
    let server = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
        for byte in b"right" {
            thread::sleep(Duration::from_millis(250));
            let _ = stream.write_all(&[*byte]);
        }
    });
    Setup::new().obtain(&[server.url("x")], b"right").unwrap();
    assert_eq!(server.requests(), 1);
}

#[test]
fn a_stall_is_noticed() {
    let server = Server::start(|request, stream| {
        if request.path == "/body" && request.from.is_none() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nri");
        }
        thread::sleep(Duration::from_secs(20));
    });
    let mut setup = Setup::new();
    setup.options.connect_timeout = Duration::from_millis(100);
    setup.options.stall_timeout = Duration::from_millis(300);
    let start = Instant::now();
    let error = setup.obtain(&[server.url("body"), server.url("head")], b"right").unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(matches!(problems(&error)[..], [UrlError::Stalled { .. }, UrlError::Stalled { .. }]), "{error}");
}

#[test]
fn half_a_file_is_gone_on_with() {
    let server = Server::start(|request, stream| {
        let body = body();
        match (request.number, request.from) {
            (0, None) => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n");
                let _ = stream.write_all(&body[..150_000]);
            }
            (_, Some(from)) => {
                let range = format!("Content-Range: bytes {from}-399999/400000\r\n");
                send(stream, "206 Partial Content", &range, &body[from..]);
            }
            _ => panic!("a second request from the start"),
        }
    });
    let setup = Setup::new();
    let obtained = setup.obtain(&[server.url("x")], &body()).unwrap();
    assert_contents(&obtained.path, &body());
    let is_resumed =
        |event: &Event| matches!(event, Event::Started { total: Some(400_000), resumed: 150_000, .. });
    assert!(setup.has_event(is_resumed));
}

#[test]
fn what_an_earlier_run_left_is_used_or_thrown_away() {
    for (left, ranges, requests) in [
        (&b"rig"[..], true, 1),
        (b"rig", false, 1),
        // Not the beginning of the archive, which only the digest can tell.
        (b"wro", true, 2),
        // Longer than the archive.
        (b"wrong by far", true, 2),
        (b"right", true, 2),
    ] {
        let server = Server::start(move |request, stream| match request.from.filter(|_| ranges) {
            Some(from) if from >= 5 => send(stream, "416 Range Not Satisfiable", "", b""),
            Some(from) => {
                send(
                    stream,
                    "206 Partial Content",
                    &format!("Content-Range: bytes {from}-4/5\r\n"),
                    &b"right"[from..],
                );
            }
            None => ok(stream, b"right"),
        });
        let setup = Setup::new();
        let partial = setup.cache().join("partial");
        fs::create_dir_all(&partial).unwrap();
        fs::write(partial.join(format!("sha256-{}", Sha256::of(b"right"))), left).unwrap();
        let obtained = setup.obtain(&[server.url("x")], b"right").unwrap();
        assert_contents(&obtained.path, b"right");
        assert_eq!(server.requests(), requests, "{left:?}");
        assert_eq!(setup.kept().len(), 1);
    }
}

#[test]
fn redirects_are_followed_but_not_forever() {
    let server = Server::start(|request, stream| {
        let steps: usize = request.path[1..].parse().unwrap();
        if steps == 0 {
            ok(stream, b"right");
        } else {
            send(
                stream,
                "302 Found",
                &format!("Location: /{}\r\n", if steps > 9 { steps } else { steps - 1 }),
                b"",
            );
        }
    });
    let setup = Setup::new();
    let error = setup.obtain(&[server.url("99")], b"right").unwrap_err();
    assert!(matches!(problems(&error)[..], [UrlError::Redirects { limit: 5 }]), "{error}");
    setup.obtain(&[server.url("4")], b"right").unwrap();
}

/// An address where nothing listens.
fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn a_host_that_refuses_is_asked_once_a_run() {
    let (dead, setup) = (refusing(), Setup::new());
    let fetcher = setup.fetcher();
    let error =
        setup.obtain_with(&fetcher, &[format!("{dead}/a"), format!("{dead}/b")], b"right").unwrap_err();
    assert!(
        matches!(problems(&error)[..], [UrlError::Unreachable { .. }, UrlError::DeadHost { .. }]),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains("refused"), "{text}");
    assert!(text.contains("host did not answer earlier in this run"), "{text}");
    let error = setup.obtain_with(&fetcher, &[format!("{dead}/c")], b"other").unwrap_err();
    assert!(matches!(problems(&error)[..], [UrlError::DeadHost { .. }]));
}

#[test]
fn a_host_that_does_not_answer_costs_little_and_gets_a_second_chance() {
    // A full backlog: the kernel drops further connections without a word.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut fillers = Vec::new();
    while fillers.len() < 10_000 {
        match TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            Ok(stream) => fillers.push(stream),
            Err(_) => break,
        }
    }
    let mut setup = Setup::new();
    setup.options.connect_timeout = Duration::from_millis(200);
    setup.options.patient_timeout = Duration::from_millis(600);
    let fetcher = setup.fetcher();
    let start = Instant::now();
    let error = setup
        .obtain_with(&fetcher, &[format!("http://{address}/a"), format!("http://{address}/b")], b"right")
        .unwrap_err();
    let elapsed = start.elapsed();
    assert!(elapsed > Duration::from_millis(790) && elapsed < Duration::from_secs(3), "{elapsed:?}");
    assert!(
        matches!(problems(&error)[..], [UrlError::Slow { milliseconds: 600, .. }, UrlError::DeadHost { .. }]),
        "{error}"
    );
}

#[test]
fn file_urls_are_copied_and_checked() {
    let setup = Setup::new();
    let path = setup.folder.path().join("a b.tar");
    fs::write(&path, "right").unwrap();
    let url = format!("file://{}", path.display()).replace(' ', "%20");
    let error = setup.obtain(&["file:///nowhere".into(), url.clone()], b"other").unwrap_err();
    assert!(matches!(problems(&error)[..], [UrlError::Io { .. }, UrlError::Wrong { .. }]), "{error}");
    let obtained = setup.obtain(&[url], b"right").unwrap();
    assert!(obtained.path.starts_with(setup.cache()));
    assert_contents(&obtained.path, b"right");
}

#[test]
fn debian_urls_go_through_the_pools_of_the_mirrors_in_order() {
    let server = Server::start(|request, stream| match request.path.as_str() {
        "/debian/pool/main/libc/libcap2/libcap2_1.orig.tar.xz" => ok(stream, b"right"),
        _ => send(stream, "404 Not Found", "", b""),
    });
    let mut setup = Setup::new();
    setup.options.debian_mirrors = Some(vec![refusing(), server.url("empty/debian/"), server.url("debian")]);
    setup.obtain(&["debian:libcap2/libcap2_1.orig.tar.xz".into()], b"right").unwrap();
    let error = setup.obtain(&["debian:libcap2/none".into()], b"other").unwrap_err();
    assert_eq!(problems(&error).len(), 3);
    let shown = format!("debian:libcap2/none ({})", server.url("debian/pool/main/libc/libcap2/none"));
    assert!(error.to_string().contains(&shown), "{error}");
}

#[test]
fn pypi_urls_go_through_the_index_whichever_way_it_is_written() {
    let server = Server::start(|request, stream| {
        match request.path.as_str() {
        "/html/meson-python/" => {
            assert!(request.accept.contains("text/html"));
            ok(stream, b"<html><a href=\"../../files/m-1.tar.gz#sha256=00\">m-1.tar.gz</a>");
        }
        "/json/meson-python/" => ok(
            stream,
            br#"{"files": [{"filename": "m-1.tar.gz", "url": "/files/m-1.tar.gz"}, {"filename": "m-2", "url": "m-2"}]}"#,
        ),
        "/files/m-1.tar.gz" => ok(stream, b"right"),
        _ => send(stream, "404 Not Found", "", b""),
    }
    });
    for kind in ["html", "json"] {
        let mut setup = Setup::new();
        setup.options.pypi_index = Some(server.url(kind));
        setup.obtain(&["pypi:Meson_Python/m-1.tar.gz".into()], b"right").unwrap();
        let error = setup.obtain(&["pypi:meson-python/m-3".into(), "pypi:none/n".into()], b"x").unwrap_err();
        assert!(
            matches!(problems(&error)[..], [UrlError::NotListed { .. }, UrlError::Status { code: 404, .. }]),
            "{error}"
        );
    }
}

#[test]
fn distfiles_are_found_by_their_contents_and_before_the_network() {
    let server = Server::start(|_, stream| ok(stream, b"right"));
    let mut setup = Setup::new();
    let folder = setup.folder.path().join("mine");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("renamed"), "right").unwrap();
    // The right name with wrong contents fools nobody.
    fs::write(folder.join("x"), "wrong").unwrap();
    setup.options.distfiles = vec![folder.clone()];
    let obtained = setup.obtain(&[server.url("x")], b"right").unwrap();
    assert_eq!(obtained.path, folder.join("renamed"));
    assert_eq!(server.requests(), 0);
}

#[test]
fn offline_means_no_connection() {
    let server = Server::start(|_, stream| ok(stream, b"right"));
    let mut setup = Setup::new();
    setup.options.offline = true;
    setup.options.debian_mirrors = None;
    let path = setup.folder.path().join("local");
    fs::write(&path, "right").unwrap();
    let urls = [server.url("x"), "debian:a/b".into(), "pypi:a/b".into()];
    let error = setup.obtain(&urls, b"right").unwrap_err();
    assert!(
        matches!(problems(&error)[..], [UrlError::Offline, UrlError::Offline, UrlError::Offline]),
        "{error}"
    );
    assert!(hints(&[&error])[0].contains("--offline"));
    setup.obtain(&[server.url("x"), format!("file://{}", path.display())], b"right").unwrap();
    assert_eq!(server.requests(), 0);
}

#[test]
fn the_same_archive_at_once_is_fetched_once() {
    let server = Server::start(|_, stream| {
        thread::sleep(Duration::from_millis(200));
        ok(stream, &body());
    });
    let setup = Setup::new();
    // As two processes would: nothing is shared but the folder.
    let fetchers = [setup.fetcher(), setup.fetcher()];
    thread::scope(|scope| {
        for fetcher in fetchers.iter().chain(&fetchers) {
            scope.spawn(|| {
                let obtained = setup.obtain_with(fetcher, &[server.url("x")], &body()).unwrap();
                assert_contents(&obtained.path, &body());
            });
        }
    });
    assert_eq!(server.requests(), 1);
    assert!(setup.has_event(|event| matches!(event, Event::Waiting { .. })));
    assert_eq!(setup.kept().len(), 1);
}

#[test]
fn many_are_fetched_at_once_but_two_from_a_host() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counting, highest) = (Arc::clone(&now), Arc::clone(&most));
    let server = Server::start(move |request, stream| {
        highest.fetch_max(counting.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(100));
        counting.fetch_sub(1, Ordering::SeqCst);
        ok(stream, &request.path.as_bytes()[1..]);
    });
    let setup = Setup::new();
    let name = |index: usize| format!("file-{index}");
    let wants: Vec<Want> = (0..8)
        .map(|index| Want {
            label: name(index),
            archives: vec![archive(
                &[server.url(&name(index))],
                name(if index == 5 { 0 } else { index }).as_bytes(),
            )],
        })
        .collect();
    let results = setup.fetcher().obtain_all(&wants, &|_| (), &AtomicBool::new(false));
    for (index, result) in results.iter().enumerate() {
        match result {
            // It asks for the bytes of the first, which came from elsewhere.
            Ok(obtained) if index == 5 => assert_contents(&obtained.path, b"file-0"),
            Ok(obtained) => assert_contents(&obtained.path, name(index).as_bytes()),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[test]
fn a_damaged_archive_is_set_aside_and_fetched_again() {
    let server = Server::start(|_, stream| ok(stream, b"right"));
    let setup = Setup::new();
    let urls = [server.url("x")];
    let path = setup.obtain(&urls, b"right").unwrap().path;
    fs::remove_file(&path).unwrap();
    fs::write(&path, "rotten").unwrap();
    assert_contents(&setup.obtain(&urls, b"right").unwrap().path, b"right");
    assert!(setup.has_event(|event| matches!(event, Event::Damaged { path, .. } if path.exists())));
    assert_eq!(server.requests(), 2);
}

#[test]
fn a_file_over_the_limit_is_not_fetched() {
    let server = Server::start(|request, stream| {
        if request.path == "/announced" {
            ok(stream, &body());
        } else {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all(&body());
        }
    });
    let mut setup = Setup::new();
    setup.options.size_limit = 1000;
    let error = setup.obtain(&[server.url("announced"), server.url("endless")], &body()).unwrap_err();
    assert!(
        matches!(problems(&error)[..], [UrlError::TooLarge { .. }, UrlError::TooLarge { .. }]),
        "{error}"
    );
    assert_eq!(setup.kept(), [""; 0]);
}

#[test]
fn cancelling_ends_a_wait_soon() {
    let server = Server::start(|_, _| thread::sleep(Duration::from_secs(20)));
    let mut setup = Setup::new();
    setup.options.stall_timeout = Duration::from_secs(20);
    let (fetcher, cancel) = (setup.fetcher(), AtomicBool::new(false));
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(100));
            cancel.store(true, Ordering::Relaxed);
        });
        let result = fetcher.obtain(&[archive(&[server.url("x")], b"right")], &|_| (), &cancel);
        assert!(matches!(result, Err(FetchError::Cancelled { .. })));
    });
    assert!(start.elapsed() < Duration::from_secs(3));
}

#[test]
fn passwords_in_urls_are_not_shown() {
    let server = Server::start(|_, stream| send(stream, "403 Forbidden", "", b""));
    let url = server.url("x").replace("http://", "http://user:secret@");
    let setup = Setup::new();
    let error = setup.obtain(&[url], b"right").unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(!format!("{:?}", setup.events.lock().unwrap()).contains("secret"));
}

#[test]
fn an_archive_that_nobody_knows_is_kept_under_what_it_turns_out_to_be() {
    let server = Server::start(|request, stream| match request.path.as_str() {
        "/page.tar" => ok(stream, b"<!DOCTYPE html><p>Not found, said nicely"),
        "/empty.tar" => ok(stream, b""),
        "/busy.tar" if request.number == 0 => send(stream, "503 Service Unavailable", "", b""),
        "/busy.tar" | "/good.tar" => ok(stream, &body()),
        _ => send(stream, "404 Not Found", "", b""),
    });
    let setup = Setup::new();
    let discover = |files: &[&str], like: &SourceDigest| {
        let urls: Vec<String> = files.iter().map(|file| server.url(file)).collect();
        setup.fetcher().discover("thing 2", &urls, like, &|_| (), &AtomicBool::new(false))
    };
    let (sha256, sha512) = (Sha256::of(&body()), Sha512::of(&body()));
    let (path, digest) = discover(&["busy.tar"], &SourceDigest::Sha256(Sha256::of(b""))).unwrap();
    assert_eq!(digest, SourceDigest::Sha256(sha256));
    assert_contents(&path, &body());
    let (_, digest) =
        discover(&["none.tar", "page.tar", "good.tar"], &SourceDigest::Sha512(Sha512::of(b""))).unwrap();
    assert_eq!(digest, SourceDigest::Sha512(sha512));
    let kept = [format!("sha256-{sha256}"), format!("sha512-{sha512}")];
    assert_eq!(setup.kept(), kept);

    let error = discover(&["page.tar", "empty.tar", "none.tar"], &digest).unwrap_err();
    let text = error.to_string();
    for expected in ["not an archive: a web page", "not an archive: nothing came", "404 Not Found"] {
        assert!(text.contains(expected), "{text}");
    }
    assert_eq!(hints(&[&error]), Vec::<String>::new(), "there is no digest to look for");
    assert_eq!(setup.kept(), kept, "what is refused leaves nothing");
}

#[test]
fn what_lies_beside_a_file_is_told_by_pages_pools_and_folders() {
    let server = Server::start(|request, stream| match request.path.as_str() {
        "/pub/" => ok(stream, b"thing-1.0.tar thing-1.1.tar"),
        "/debian/pool/main/t/thing/" => ok(stream, b"thing_1.2.orig.tar.gz"),
        "/simple/thing/" => ok(stream, b"<a href=\"thing-1.3.tar.gz\">"),
        _ => send(stream, "404 Not Found", "", b""),
    });
    let mut setup = Setup::new();
    setup.options.debian_mirrors = Some(vec![server.url("gone"), server.url("debian")]);
    setup.options.pypi_index = Some(server.url("simple"));
    fs::write(setup.folder.path().join("thing-1.4.tar"), "").unwrap();
    let here = format!("file://{}", setup.folder.path().join("thing-1.0.tar").display());
    let fetcher = setup.fetcher();
    let listing = |url: &str| fetcher.listing("thing", url, &AtomicBool::new(false));
    for (url, place, name) in [
        (server.url("pub/"), server.url("pub/"), "thing-1.1.tar"),
        (
            "debian:thing/thing_1.0.orig.tar.gz".into(),
            server.url("debian/pool/main/t/thing/"),
            "thing_1.2.orig.tar.gz",
        ),
        ("pypi:thing/thing-1.0.tar.gz".into(), server.url("simple/thing/"), "thing-1.3.tar.gz"),
        (here.clone(), here, "thing-1.4.tar"),
    ] {
        let (shown, text) = listing(&url).unwrap();
        assert!(shown.contains(&place), "{shown}");
        assert!(text.contains(name), "{text}");
    }
    let error = listing(&server.url("none/")).unwrap_err().to_string();
    assert!(error.starts_with("nothing says which versions of thing there are\n"), "{error}");
    assert!(error.contains("404 Not Found"), "{error}");
}

#[test]
fn bytes_of_two_archives_never_become_one() {
    let other: Vec<u8> = body().iter().map(|byte| !byte).collect();
    let second = other.clone();
    let server = Server::start(move |request, stream| match (request.path.as_str(), request.from) {
        // It breaks off in the middle, each time.
        ("/first.tar", _) => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n");
            let _ = stream.write_all(&body()[..200_000]);
        }
        (_, None) => ok(stream, &second),
        (_, Some(from)) => {
            let range = format!("Content-Range: bytes {from}-399999/400000\r\n");
            send(stream, "206 Partial Content", &range, &second[from..]);
        }
    });
    let setup = Setup::new();
    let urls = ["first.tar", "second.tar"].map(|file| server.url(file));
    let like = SourceDigest::Sha256(Sha256::of(b""));
    let found = setup.fetcher().discover("thing 2", &urls, &like, &|_| (), &AtomicBool::new(false));
    let (path, digest) = found.unwrap();
    assert_eq!(digest, SourceDigest::Sha256(Sha256::of(&other)));
    assert_contents(&path, &other);
}

#[test]
fn what_a_killed_download_left_without_a_digest_is_removed() {
    let setup = Setup::new();
    let _ = setup.fetcher();
    fs::write(setup.cache().join("partial/new-abc"), "half").unwrap();
    fs::write(setup.cache().join("partial/sha256-abc"), "half").unwrap();
    let _ = setup.fetcher();
    assert_eq!(setup.kept(), ["partial/sha256-abc"], "the one with a digest can be resumed");
}
