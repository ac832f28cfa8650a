//! What a build can reach of the machine and of other builds: nothing in namespaces, and what `--sandbox none` gives up.

use std::fs;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use sandbox::{Fences, Sandbox};

use super::scripts::{self, assert_sound, insert};
use super::workspace::{ARCH, Conditions, USUAL, Workspace};

/// Tries everything that a build has no business with, and says what it could do.
const INTRUDER: &str = r#"
import ctypes, glob, os, socket

def attempt(name, deed):
    try:
        if deed() is not False:
            print("could:", name)
    except OSError:
        pass

def connect(family, address):
    socket.socket(family, socket.SOCK_STREAM).connect(address)

def append(path):
    if os.access(path, os.F_OK):
        # What is the builder's own may be made writable first, if the mount allows.
        os.chmod(path, 0o755)
    open(path, "a").close()

libc = ctypes.CDLL(None, use_errno=True)

def trace(pid):
    if libc.ptrace(16, pid, 0, 0) != 0:  # PTRACE_ATTACH
        raise OSError(ctypes.get_errno(), "ptrace")
    libc.ptrace(17, pid, 0, 0)  # PTRACE_DETACH

attempt("reach a local service", lambda: connect(socket.AF_INET, ("127.0.0.1", @port@)))
attempt("reach a socket by its path", lambda: connect(socket.AF_UNIX, "@socket@"))
attempt("reach a socket by its name", lambda: connect(socket.AF_UNIX, b"\0@name@"))
attempt("see the home folder", lambda: os.listdir("@home@"))
attempt("see the store", lambda: os.listdir("@cache@"))
attempt("change the store", lambda: open("@cache@/intruder", "w").close())
attempt("see another process", lambda: open("/proc/@pid@/cmdline").read().startswith("@program@"))
attempt("signal another process", lambda: os.kill(@pid@, 0))
attempt("trace another process", lambda: trace(@pid@))
attempt("read a file that the caller left open", lambda: os.read(9, 1))
# Without namespaces these would be the machine's own.
if @apart@:
    inputs = glob.glob("/sysroot/usr/share/seed/*"), glob.glob("/tools/bin/*")
    if not all(inputs):
        print("could: not be tested: there are no inputs to write to")
    for path in sum(inputs, []):
        attempt("change " + path, lambda: append(path))
        attempt("link " + path, lambda: os.link(path, "/out/linked"))
    for folder in ["/", "/etc", "/usr", "/usr/bin", "/usr/local", "/dev", "/proc", "/proc/sys/kernel", "/run/k3sroot",
                   "/sysroot", "/sysroot/usr/share", "/tools", "/tools/bin", "/borrowed", "/borrowed/bin"]:
        attempt("write to " + folder, lambda: open(folder + "/intruder", "w").close())
    attempt("become root", lambda: os.setuid(0))
    attempt("mount", lambda: libc.mount(b"none", b"/build", b"tmpfs", 0, 0) == 0)
for line in open("/proc/self/status"):
    if line.startswith(("CapEff:", "CapPrm:")) and int(line.split()[1], 16):
        print("could: use a capability:", line.strip())
    if line.startswith("NoNewPrivs:") and line.split()[1] != "1":
        print("could: gain privileges by setuid")
"#;

/// What the intruder could do in a build.
fn could(sandbox: &'static str) -> Vec<String> {
    let workspace = scripts::workspace(Conditions { sandbox, ..USUAL });
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let path = workspace.path("socket");
    let by_path = UnixListener::bind(&path).unwrap();
    let name = workspace.path("").file_name().unwrap().to_str().unwrap().to_owned();
    let by_name = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    fs::create_dir(workspace.path("home")).unwrap();
    let mut neighbour = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let script = [
        ("@port@", port.local_addr().unwrap().port().to_string()),
        ("@socket@", path.display().to_string()),
        ("@name@", name),
        ("@home@", workspace.path("home").display().to_string()),
        ("@cache@", workspace.path("cache").display().to_string()),
        ("@pid@", neighbour.id().to_string()),
        ("@program@", "sleep".to_owned()),
        ("@apart@", if sandbox == "none" { "False" } else { "True" }.to_owned()),
    ]
    .iter()
    .fold(INTRUDER.to_owned(), |script, (from, to)| script.replace(from, to));
    fs::write(workspace.path("recipes/files/one/intruder.py"), script).unwrap();
    insert(&workspace, "one", "python3 intruder.py");
    // What nobody closed: number 9.
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "exec \"$@\" 9</etc/passwd", "sh"]);
    let build = workspace.command("build", &workspace.build_words("2", &["one"]));
    command.arg(build.get_program()).args(build.get_args()).current_dir(workspace.path(""));
    command.env_clear().env("PATH", "/usr/bin:/bin");
    let run = workspace.ended(command.output().unwrap());
    neighbour.kill().unwrap();
    neighbour.wait().unwrap();
    drop((port, by_path, by_name));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let log = workspace.read(&format!("cache/logs/one@{ARCH}.log"));
    let could: Vec<String> =
        log.lines().filter_map(|line| line.strip_prefix("could: ")).map(str::to_owned).collect();
    let _ = fs::remove_file(workspace.path("cache/intruder"));
    assert_sound(&workspace, sandbox);
    could
}

#[test]
fn a_build_reaches_nothing_of_the_machine() {
    if super::namespaces() {
        assert_eq!(could("namespaces"), [""; 0]);
    }
}

#[test]
fn what_builds_without_namespaces_reach_is_what_the_readme_says() {
    let could = could("none");
    // Each deed, and what is between it and a build.
    let Fences { files, calls, signals } = Sandbox::fences();
    let expected = [
        ("reach a local service", files || calls),
        ("reach a socket by its path", calls),
        ("reach a socket by its name", files || calls),
        ("see the home folder", files),
        ("see the store", files),
        ("change the store", files),
        ("see another process", false),
        ("signal another process", signals),
    ];
    let open: Vec<&str> = expected.iter().filter(|(_, fenced)| !fenced).map(|(deed, _)| *deed).collect();
    assert_eq!(could, open);
}

#[test]
fn it_is_said_once_that_builds_are_not_apart() {
    let workspace = scripts::workspace(Conditions { sandbox: "none", ..USUAL });
    let run = workspace.build(&[]);
    let is_note = |line: &&str| line.starts_with("note: ") && !line.contains(".legal/");
    let notes: Vec<&str> = run.stderr.lines().filter(is_note).collect();
    let Fences { files, calls, signals } = Sandbox::fences();
    if files && calls && signals {
        insta::assert_snapshot!(notes.join("\n"), @"note: without namespaces builds see the names of the machine's processes; the bits are the same");
    }
    assert_eq!(notes.len(), 1, "{notes:#?}");
    let apart = scripts::workspace(USUAL);
    if super::namespaces() {
        let run = apart.build(&[]);
        assert!(!run.stderr.lines().any(|line| is_note(&line)), "{}", run.stderr);
    }
}

#[test]
fn builds_at_the_same_time_see_nothing_of_each_other() {
    if !super::namespaces() {
        return;
    }
    let workspace: Workspace = scripts::workspace(USUAL);
    // It marks every place that it may write to, and the other one looks for marks everywhere for as long.
    let mark = "for place in $(find / -xdev -type d -writable 2>/dev/null) /tmp /dev/shm /src /build /out /run/k3sroot; \
                do touch $place/mark-of-seed 2>/dev/null || true; done; test -e /build/mark-of-seed; echo \"marked $(date +%s%N)\"; sleep 2; rm -rf /out/*";
    let look = "for i in 1 2 3 4 5 6 7 8; do echo \"looks $(date +%s%N)\"; \
                find / /tmp /dev/shm /src /build /out /run /sysroot /tools -name mark-of-seed 2>/dev/null || true; sleep 0.2; \
                done | sort -u; : 8<>/run/k3sroot/jobserver; ls /proc | grep -c '^[0-9]'";
    insert(&workspace, "seed", mark);
    insert(&workspace, "maker", look);
    let run = workspace.build(&[]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let log = workspace.read("cache/logs/maker@build.log");
    let said: Vec<&str> = log.lines().skip_while(|line| !line.chars().all(|c| c.is_ascii_digit())).collect();
    assert!(!log.contains("/mark-of-seed"), "{log}");
    // When the marks were there, it still looked.
    let last = |log: &str, word: &str| -> u64 {
        let times = log.lines().filter_map(|line| line.strip_prefix(word)?.trim().parse().ok());
        times.max().unwrap()
    };
    assert!(
        last(&log, "looks") > last(&workspace.read(&format!("cache/logs/seed@{ARCH}.log")), "marked"),
        "{log}"
    );
    // Pid 1, the shell, `ls` and `grep`.
    assert_eq!(said, ["4"], "{log}");
}

#[test]
fn a_cache_whose_folders_are_setgid_is_no_obstacle() {
    for sandbox in ["auto", "none"] {
        let workspace = scripts::workspace(Conditions { sandbox, ..USUAL });
        fs::create_dir(workspace.path("cache")).unwrap();
        fs::set_permissions(workspace.path("cache"), fs::Permissions::from_mode(0o2755)).unwrap();
        // What `chmod` keeps of a folder's mode, a build may not give.
        insert(&workspace, "one", "mkdir new; chmod 755 . new; cp -a new copied; test ! -g new");
        let run = workspace.build(&["one"]);
        assert_eq!(run.code, Some(0), "{sandbox}: {}", run.stderr);
    }
}
