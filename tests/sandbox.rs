//! Commands in the sandbox, through the real executable as its helper: what they cannot do, what they see, how they
//! end, and that nothing of them is left.
//!
//! Where `Sandbox::probe` fails, the tests of namespaces say so and pass; with `K3SROOT_REQUIRE_SANDBOX` set they fail.

#![allow(clippy::unwrap_used)] // The exception for tests does not know that helper functions here are tests too.

#[path = "common/skipped.rs"]
mod skipped;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::net::TcpListener;
use std::os::fd::RawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use sandbox::{Access, Cancel, Exit, Invocation, Mode, Mount, Output, Sandbox, SandboxError, Shim, Status};

use skipped::skipped;

fn helper() -> PathBuf {
    env!("CARGO_BIN_EXE_k3sroot").into()
}

/// Whether to test namespaces here.
#[allow(clippy::disallowed_methods)]
fn namespaces() -> bool {
    match Sandbox::probe(&helper()) {
        Ok(()) => true,
        Err(error) if std::env::var_os("K3SROOT_REQUIRE_SANDBOX").is_none() => {
            skipped("namespaces", &error.to_string());
            false
        }
        Err(error) => panic!("K3SROOT_REQUIRE_SANDBOX is set, but: {error:?}"),
    }
}

/// A command under test and what is special about it.
struct Run {
    mode: Mode,
    mounts: Vec<Mount>,
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    cwd: &'static str,
    shims: Vec<Shim>,
    timeout: Option<Duration>,
    log_limit: u64,
    memory: Option<u64>,
    file_size: Option<u64>,
    inherit_fds: Vec<RawFd>,
    cancel: Cancel,
}

impl Run {
    fn argv(mode: Mode, argv: &[&str]) -> Self {
        Self {
            mode,
            mounts: Vec::new(),
            argv: argv.iter().map(|&word| word.to_owned()).collect(),
            env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
            cwd: "/",
            shims: Vec::new(),
            timeout: Some(Duration::from_secs(60)),
            log_limit: u64::MAX,
            memory: None,
            file_size: None,
            inherit_fds: Vec::new(),
            cancel: Cancel::new(),
        }
    }

    fn sh(mode: Mode, script: &str) -> Self {
        Self::argv(mode, &["sh", "-c", script])
    }

    fn mount(mut self, host: &Path, guest: &str, access: Access) -> Self {
        self.mounts.push(Mount { host: host.to_owned(), guest: guest.parse().unwrap(), access });
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// The result, and what was written to the log.
    fn output(&self) -> (Result<Exit, SandboxError>, String) {
        let mut log = tempfile::tempfile().unwrap();
        let invocation = Invocation {
            mounts: &self.mounts,
            argv: &self.argv,
            env: &self.env,
            cwd: self.cwd,
            shims: &self.shims,
            output: Output::Log(&log),
            log_limit: self.log_limit,
            timeout: self.timeout,
            memory: self.memory,
            file_size: self.file_size,
            inherit_fds: &self.inherit_fds,
        };
        let result = Sandbox::new(self.mode, helper()).run(&invocation, &self.cancel);
        let mut text = Vec::new();
        log.rewind().unwrap();
        log.read_to_end(&mut text).unwrap();
        (result, String::from_utf8_lossy(&text).into_owned())
    }

    /// The log of a command that must exit with code 0.
    fn log(&self) -> String {
        let (result, log) = self.output();
        let exit = result.unwrap_or_else(|error| panic!("{error:?}\n{log}"));
        assert!(exit.success(), "{exit:?}\n{log}");
        log
    }

    fn status(&self) -> Status {
        let (result, log) = self.output();
        result.unwrap_or_else(|error| panic!("{error:?}\n{log}")).status
    }
}

/// The modes that can be tested here.
fn modes() -> Vec<Mode> {
    if namespaces() { vec![Mode::Namespaces, Mode::None] } else { vec![Mode::None] }
}

/// Processes whose command line has this mark in it.
fn alive(mark: &str) -> usize {
    let marked = |entry: fs::DirEntry| {
        let is_process = entry.file_name().to_string_lossy().parse::<u32>().is_ok();
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        is_process && line.split(|&byte| byte == 0).any(|word| word == mark.as_bytes())
    };
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(Result::ok)
        .filter(|_| true)
        .map(marked)
        .filter(|&found| found)
        .count()
}

/// A number of seconds to sleep for that no other process uses.
fn mark() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{}.{}", 100_000 + std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

// What a command in namespaces cannot do.

#[test]
fn there_is_no_network() {
    if !namespaces() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connect = format!(
        "import socket\ntry:\n  socket.create_connection(('127.0.0.1', {}), 5)\n  print('connected')\n\
         except OSError as error:\n  print('refused')",
        listener.local_addr().unwrap().port()
    );
    if Sandbox::fences().calls {
        assert_eq!(Run::argv(Mode::None, &["python3", "-c", &connect]).log(), "refused\n");
    }
    assert_eq!(Run::argv(Mode::Namespaces, &["python3", "-c", &connect]).log(), "refused\n");
    let interfaces =
        Run::sh(Mode::Namespaces, "tail -n +3 /proc/net/dev | cut -d: -f1; cat /proc/net/route").log();
    let interfaces: Vec<_> = interfaces.split_whitespace().filter(|name| !name.contains("tunl")).collect();
    assert_eq!(interfaces.first(), Some(&"lo"));
    // Of the routing table only its heading, if that.
    assert!(!interfaces.iter().any(|word| word.starts_with("00000000")), "{interfaces:?}");
}

/// Makes system calls by their numbers on x86-64, and prints the error of each.
const CALLS: &str = r"
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
calls = {
    'add_key': (248, b'user', b'k3sroot', b'x', 1, -4), 'keyctl': (250, 0, -3, 0), 'request_key': (249, b'user', b'a', None, 0),
    'bpf': (321, 0, None, 0), 'io_uring_setup': (425, 1, None), 'userfaultfd': (323, 0), 'clone3': (435, None, 0),
    'perf_event_open': (298, None, 0, -1, -1, 0), 'unshare user': (272, 0x10000000), 'clone user': (56, 0x10000000, 0, 0, 0, 0),
    'setns': (308, 0, 0), 'mount': (165, b'none', b'/tmp', b'tmpfs', 0, None), 'fsopen': (430, b'tmpfs', 0),
    'ptrace attach': (101, 16, os.getppid(), 0, 0), 'process_vm_readv': (310, os.getppid(), None, 0, None, 0, 0),
    'vsock': (41, 40, 1, 0), 'kernel cryptography': (41, 38, 5, 0), 'x32 keyctl': (250 | 0x40000000, 0, -3, 0),
    'pair of vsock': (53, 40, 1, 0, ctypes.create_string_buffer(8)),
    'type into the terminal': (16, 0, 0x5412, b'x'), 'type into the console': (16, 0, 0x541C, b'x'),
    'make a file': (2, b'/tmp/s', 0o101, 0o755), 'make a setuid file': (2, b'/tmp/t', 0o101, 0o4755),
    'make a setgid file here': (257, -100, b'/tmp/t', 0o101, 0o2755), 'read with a mode': (2, b'/tmp/s', 0, 0o4755),
    'setuid': (90, b'/tmp/s', 0o4755), 'setgid': (452, -100, b'/tmp/s', 0o2755, 0), 'sticky': (90, b'/tmp/s', 0o1755),
    'openat2': (437, -100, b'/tmp/s', None, 24), 'mark a file': (188, b'/tmp/s', b'user.a', b'x', 1, 0),
}
for name, call in calls.items():
    result = libc.syscall(*call)
    print(name, errno.errorcode[ctypes.get_errno()] if result == -1 else 'done')
    if name == 'clone user' and result == 0: os._exit(0)
";

#[test]
fn calls_that_no_build_makes_are_refused() {
    if !cfg!(target_arch = "x86_64") || !Sandbox::fences().calls {
        return skipped("the filter of system calls", "this machine has none, or is of another arch");
    }
    for mode in modes() {
        let log = Run::argv(mode, &["python3", "-c", CALLS]).log();
        insta::allow_duplicates! {
            insta::assert_snapshot!(log, @r"
            add_key ENOSYS
            keyctl ENOSYS
            request_key ENOSYS
            bpf ENOSYS
            io_uring_setup ENOSYS
            userfaultfd ENOSYS
            clone3 ENOSYS
            perf_event_open EPERM
            unshare user EPERM
            clone user EPERM
            setns EPERM
            mount EPERM
            fsopen EPERM
            ptrace attach EPERM
            process_vm_readv EPERM
            vsock EAFNOSUPPORT
            kernel cryptography EAFNOSUPPORT
            x32 keyctl ENOSYS
            pair of vsock EAFNOSUPPORT
            type into the terminal EPERM
            type into the console EPERM
            make a file done
            make a setuid file EPERM
            make a setgid file here EPERM
            read with a mode done
            setuid EPERM
            setgid EPERM
            sticky done
            openat2 ENOSYS
            mark a file ENOTSUP
            ");
        }
    }
}

#[test]
fn without_namespaces_other_processes_are_not_reached_by_their_number() {
    if !cfg!(target_arch = "x86_64") || !Sandbox::fences().calls {
        return skipped("the filter of system calls", "this machine has none, or is of another arch");
    }
    // The limits, priority and processors of another process and of its own, and what outlives a build.
    let script = r"
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
space = ctypes.create_string_buffer(64)
for whose, pid in [('other', os.getppid()), ('own', 0)]:
    for name, call in {
        'prlimit': (302, pid, 0, None, space), 'setpriority': (141, 0, pid, 19), 'ioprio_set': (251, 1, pid, 0x4007),
        'sched_setscheduler': (144, pid, 0, ctypes.create_string_buffer(64)), 'sched_setaffinity': (203, pid, 64, b'\xff' * 64),
    }.items():
        result = libc.syscall(*call)
        print(whose, name, errno.errorcode[ctypes.get_errno()] if result == -1 else 'done')
for name, call in {'shmget': (29, 1, 1, 0o1600), 'msgget': (68, 1, 0o1600), 'semget': (64, 1, 1, 0o1600),
                   'mq_open': (240, b'q', 0o102, 0o600, None)}.items():
    print(name, errno.errorcode[ctypes.get_errno()] if libc.syscall(*call) == -1 else 'done')
for name, kind in {'stream': 1, 'datagram': 2 | 0o2000000, 'raw': 3}.items():
    result = libc.syscall(53, 1, kind, 0, space)
    print(name, errno.errorcode[ctypes.get_errno()] if result == -1 else 'done')
";
    insta::assert_snapshot!(Run::argv(Mode::None, &["python3", "-c", script]).log(), @r"
    other prlimit EPERM
    other setpriority EPERM
    other ioprio_set EPERM
    other sched_setscheduler EPERM
    other sched_setaffinity EPERM
    own prlimit done
    own setpriority done
    own ioprio_set done
    own sched_setscheduler done
    own sched_setaffinity done
    shmget EPERM
    msgget EPERM
    semget EPERM
    mq_open EPERM
    stream done
    datagram EAFNOSUPPORT
    raw EAFNOSUPPORT
    ");
}

#[test]
fn the_callers_keys_are_not_there() {
    // A session of this thread alone, which what it starts inherits.
    let Ok(mut session) = keyutils::Keyring::join_anonymous_session() else {
        return skipped("keyrings", "this kernel has none, or does not give them here");
    };
    let mark = mark();
    session.add_key::<keyutils::keytypes::User, _, _>(mark.as_str(), "secret".as_bytes()).unwrap();
    let plain = std::process::Command::new("cat").arg("/proc/keys").output().unwrap();
    assert!(String::from_utf8_lossy(&plain.stdout).contains(&mark), "the test sees its own key");
    for mode in modes() {
        // Without namespaces it can see the description of a key, as any process of this user, and not read it.
        if mode == Mode::Namespaces {
            assert_eq!(Run::argv(mode, &["cat", "/proc/keys", "/proc/key-users"]).log(), "");
        }
        let read = format!(
            "import ctypes\nlibc = ctypes.CDLL(None)\n\
            key = libc.syscall({request}, b'user', b'{mark}', None, 0)\n\
            print(key, libc.syscall({add}, b'user', b'{mark}', b'mine', 4, -3))",
            request = libc::SYS_request_key,
            add = libc::SYS_add_key
        );
        assert_eq!(Run::argv(mode, &["python3", "-c", &read]).log(), "-1 -1\n", "{mode:?}");
    }
}

#[test]
fn without_namespaces_other_folders_and_processes_are_fenced_off() {
    if !Sandbox::fences().files {
        return skipped("fences of files", "this kernel has no Landlock");
    }
    let [input, output] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    // Not in `/tmp`, which commands without namespaces find elsewhere.
    let other = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::write(other.path().join("secret"), "secret").unwrap();
    fs::write(input.path().join("file"), "declared\n").unwrap();
    let other = other.path().display();
    let script = format!(
        "cat {other}/secret; ls {other}; touch {other}/new /usr/new /etc/new; ls /root /home /var /dev /sys /etc; \
         cat /etc/shadow; cat /proc/{pid}/environ; \
         rm /in/file; touch /in/new; kill -0 $PPID; kill -0 {pid}; : >/dev/null; \
         cat /in/file; touch /out/new; cat /usr/bin/env >/tmp/copy && chmod +x /tmp/copy && /tmp/copy echo ran",
        pid = std::process::id()
    );
    let (result, log) = Run::sh(Mode::None, &script)
        .mount(input.path(), "/in", Access::ReadOnly)
        .mount(output.path(), "/out", Access::ReadWrite)
        .output();
    assert!(result.unwrap().success(), "{log}");
    assert!(log.ends_with("declared\nran\n"), "{log}");
    let refused = |line: &&str| line.contains("ermission denied") || line.contains("not permitted");
    assert_eq!(log.lines().filter(refused).count(), 17, "{log}");
    assert!(!log.contains("secret\n"), "{log}");
    assert!(output.path().join("new").exists());
    assert_eq!(fs::read_dir(input.path()).unwrap().count(), 1);
}

#[test]
fn undeclared_folders_are_not_there() {
    if !namespaces() {
        return;
    }
    let undeclared = tempfile::tempdir().unwrap();
    fs::write(undeclared.path().join("secret"), "secret").unwrap();
    let repository = env!("CARGO_MANIFEST_DIR");
    for path in ["/home", "/root", "/var", "/sys", "/boot", repository, undeclared.path().to_str().unwrap()] {
        let (result, log) = Run::argv(Mode::Namespaces, &["ls", "-a", path]).output();
        assert!(!result.unwrap().success(), "{path}: {log}");
    }
    let root = Run::sh(Mode::Namespaces, "ls -A /; ls -A /tmp /usr/local /etc").log();
    let known = "bin dev etc lib lib32 lib64 libx32 proc sbin tmp usr /tmp: /usr/local: /etc: passwd group hosts \
                 nsswitch.conf ld.so.cache ld.so.conf ld.so.conf.d alternatives";
    for name in root.split_whitespace() {
        assert!(known.split_whitespace().any(|known| known == name), "{name} in {root}");
    }
}

#[test]
fn nothing_but_writable_mounts_and_tmp_can_be_written() {
    if !namespaces() {
        return;
    }
    let [declared, inner, output] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    fs::create_dir(declared.path().join("inner")).unwrap();
    let run = Run::sh(
        Mode::Namespaces,
        "for place in / /usr /usr/local /etc /dev /bin /ro /ro/inner; do \
           if touch $place/new 2>/dev/null; then echo $place; fi; done; \
         if echo 0 >/proc/sys/kernel/randomize_va_space; then echo switches; fi 2>/dev/null; \
         if mount -o remount,rw,bind /ro; then echo remounted; fi 2>/dev/null; \
         if umount /ro; then echo unmounted; fi 2>/dev/null; \
         touch /rw/new /tmp/new /dev/shm/new && stat -c '%a %n' /tmp",
    )
    .mount(declared.path(), "/ro", Access::ReadOnly)
    .mount(inner.path(), "/ro/inner", Access::ReadOnly)
    .mount(output.path(), "/rw", Access::ReadWrite);
    assert_eq!(run.log(), "1777 /tmp\n");
    assert!(output.path().join("new").exists());
    assert_eq!(fs::read_dir(declared.path()).unwrap().count(), 1);
}

#[test]
fn a_mount_point_inside_a_mount_is_never_created() {
    if !namespaces() {
        return;
    }
    let [outer, inner] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    std::os::unix::fs::symlink("/usr", outer.path().join("link")).unwrap();
    for guest in ["/outer/missing", "/outer/link", "/usr/no-such-folder"] {
        let run = Run::argv(Mode::Namespaces, &["true"])
            .mount(outer.path(), "/outer", Access::ReadWrite)
            .mount(inner.path(), guest, Access::ReadWrite);
        let error = run.output().0.unwrap_err();
        assert!(error.to_string().contains(guest), "{error}");
    }
    assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 1);
}

#[test]
fn a_setuid_file_gives_nothing() {
    if !namespaces() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let id = folder.path().join("id");
    fs::copy("/usr/bin/id", &id).unwrap();
    fs::set_permissions(&id, fs::Permissions::from_mode(0o6755)).unwrap();
    let run = Run::sh(Mode::Namespaces, "/in/id -u; grep -E '^(CapEff|CapPrm|NoNewPrivs)' /proc/self/status")
        .mount(folder.path(), "/in", Access::ReadOnly);
    assert_eq!(run.log(), "1000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\n");
}

#[test]
fn other_processes_are_not_seen() {
    if !namespaces() {
        return;
    }
    // Pid 1 is the helper, 2 the shell; only the shell's own pipe follows.
    let log =
        Run::sh(Mode::Namespaces, "echo $$; echo /proc/[0-9]*; kill -9 1 -1 2>/dev/null; echo here").log();
    assert_eq!(log, "2\n/proc/1 /proc/2\nhere\n");
    let (result, _) = Run::sh(Mode::Namespaces, "cat /proc/1/environ /proc/1/mem").output();
    assert!(!result.unwrap().success());
}

/// Not a test by itself: runs where `a_covered_proc_costs_no_other_fence` covers parts of `/proc`.
#[test]
#[allow(clippy::disallowed_methods)]
fn under_a_covered_proc() {
    let Ok(outside) = std::env::var("K3SROOT_TEST_OUTSIDE") else { return };
    assert!(Sandbox::lists_processes(&helper()).unwrap());
    let sh = |script: &str| Run::sh(Mode::Namespaces, script).log();
    assert_eq!(
        sh("echo $$; id -u; kill -0 1 -1 2>/dev/null; ls /sys/class/net 2>/dev/null; echo here"),
        "2\n1000\nhere\n"
    );
    assert_eq!(sh("cat <&0 >/dev/stdout; readlink /proc/self/exe | grep -c /readlink"), "1\n");
    // Another process's arguments show; nothing else does, and nothing can be changed.
    assert!(sh(&format!("cat /proc/{outside}/comm")).contains("sleep"));
    for secret in ["environ", "maps", "mem", "root/etc/passwd", "cwd/.", "fd/0", "io"] {
        let (result, said) = Run::sh(Mode::Namespaces, &format!("cat /proc/{outside}/{secret}")).output();
        assert!(!result.unwrap().success(), "{secret}: {said}");
    }
    for switch in ["oom_score_adj", "coredump_filter", "clear_refs", "autogroup"] {
        let write = format!("echo 1 >/proc/{outside}/{switch}");
        let (result, said) = Run::sh(Mode::Namespaces, &write).output();
        assert!(!result.unwrap().success(), "{switch}: {said}");
    }
    assert_eq!(
        sh("cat /proc/sys/kernel/hostname; echo x 2>/dev/null >/proc/sys/kernel/hostname || echo no"),
        "k3sroot\nno\n"
    );
}

#[test]
fn a_covered_proc_costs_no_other_fence() {
    if !namespaces() {
        return;
    }
    assert!(!Sandbox::lists_processes(&helper()).unwrap());
    let script = "mount -t tmpfs -o ro none /proc/irq || mount -t tmpfs -o ro none /proc/fs || exit 77
                  sleep 60 & K3SROOT_TEST_OUTSIDE=$! \"$0\" --exact under_a_covered_proc; code=$?; kill $!; exit $code";
    let output = std::process::Command::new("unshare")
        .args(["-Urmpf", "--mount-proc", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    match output.status.code() {
        Some(77) => skipped("a covered `/proc`", &said),
        code => assert!(code == Some(0) && said.contains("1 passed"), "{said}"),
    }
}

// What a command sees.

#[test]
fn host_name_user_clock_zone_and_umask_are_fixed() {
    if !namespaces() {
        return;
    }
    let log = Run::sh(
        Mode::Namespaces,
        "uname -n; cat /proc/sys/kernel/domainname; id -u; id -g; id -un; id -gn; date +%Z; umask; \
         ulimit -c; ulimit -s",
    )
    .log();
    assert_eq!(log, "k3sroot\nk3sroot\n1000\n1000\nbuilder\nbuilder\nUTC\n0022\n0\n8192\n");
}

#[test]
fn the_environment_is_what_is_declared() {
    let log = Run::argv(Mode::None, &["env"]).env("A", "b c").log();
    let names: Vec<_> = log.lines().filter_map(|line| line.split('=').next()).collect();
    assert_eq!(names, ["A", "HOME", "PATH", "TMPDIR"]);
    if namespaces() {
        let log = Run::argv(Mode::Namespaces, &["env"]).env("A", "b c").log();
        assert_eq!(log, "A=b c\nPATH=/usr/bin:/bin\n");
    }
}

#[test]
fn devices_work() {
    if !namespaces() {
        return;
    }
    let log = Run::sh(
        Mode::Namespaces,
        "echo lost >/dev/null; head -c 8 /dev/urandom | wc -c; echo a | cat /dev/stdin; echo b >/dev/stderr; \
         (echo c >/dev/full) 2>/dev/null || echo full; head -c 3 /dev/zero | od -An -tx1; ls /dev/fd/ | head -n 1; \
         python3 -c 'import os, pty; a, b = pty.openpty(); print(os.isatty(b))'; \
         (: </dev/tty) 2>/dev/null || echo no tty",
    )
    .log();
    assert_eq!(log, "8\na\nb\nfull\n 00 00 00\n0\nTrue\nno tty\n");
}

#[test]
fn a_compiler_works() {
    for mode in modes() {
        let build = tempfile::tempdir().unwrap();
        fs::write(
            build.path().join("a.c"),
            "#include <stdio.h>\nint main(void) { puts(__FILE__); return 0; }\n",
        )
        .unwrap();
        let mut run =
            Run::sh(mode, "cc -o a /build/a.c && ./a").mount(build.path(), "/build", Access::ReadWrite);
        run.cwd = "/build";
        run.shims = vec![Shim { name: "cc".into(), target_driver: false }];
        assert_eq!(run.log(), "/build/a.c\n", "{mode:?}");
    }
}

#[test]
fn a_file_can_be_mounted_and_so_can_a_folder_with_an_odd_name() {
    if !namespaces() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("a b\t\\040c");
    fs::create_dir(&odd).unwrap();
    fs::write(odd.join("file"), "contents").unwrap();
    let run = Run::sh(
        Mode::Namespaces,
        "cat /x/y/file; cat \"/x/o d\\\\040/file\"; touch /x/*/file 2>/dev/null || echo no",
    )
    .mount(&odd.join("file"), "/x/y/file", Access::ReadOnly)
    .mount(&odd, "/x/o d\\040", Access::ReadOnly);
    assert_eq!(run.log(), "contentscontentsno\n");
}

// How a command ends.

#[test]
fn exit_codes_and_signals_come_back() {
    for mode in modes() {
        assert_eq!(Run::sh(mode, "exit 0").status(), Status::Code(0));
        assert_eq!(Run::sh(mode, "exit 77").status(), Status::Code(77));
        assert_eq!(Run::sh(mode, "kill -TERM $$").status(), Status::Signal(15));
        assert_eq!(Run::sh(mode, "kill -KILL $$").status(), Status::Signal(9));
        // A real-time signal, and the whole of its own process group.
        assert_eq!(Run::sh(mode, "kill -40 $$").status(), Status::Signal(40));
        assert_eq!(Run::sh(mode, "kill -TERM 0").status(), Status::Signal(15));
    }
}

#[test]
fn what_was_used_is_counted() {
    for mode in modes() {
        let (result, _) = Run::argv(mode, &["python3", "-c", "for i in range(3000000): pass"]).output();
        let exit = result.unwrap();
        assert!(exit.user > Duration::from_millis(20) && exit.wall >= Duration::from_millis(20), "{exit:?}");
        assert!((2_000..2_000_000).contains(&exit.max_rss_kib), "{exit:?}");
    }
}

#[test]
fn programs_that_cannot_be_started_are_named() {
    for mode in modes() {
        for program in ["no-such-program", "/no/such/program", "/etc/passwd", ""] {
            let error = Run::argv(mode, &[program]).output().0.unwrap_err();
            assert!(matches!(error, SandboxError::NotStarted { .. }), "{mode:?}: {error:?}");
            assert_eq!(error.to_string(), format!("`{program}` cannot be started in the sandbox"));
        }
        let error = Run::argv(mode, &[]).output().0.unwrap_err();
        assert!(matches!(error, SandboxError::NoCommand));
        let mut run = Run::argv(mode, &["true"]);
        run.cwd = "/no/such/folder";
        assert_eq!(run.output().0.unwrap_err().to_string(), "the sandbox could not enter `/no/such/folder`");
    }
}

#[test]
fn a_missing_mount_source_is_named() {
    for mode in modes() {
        let run = Run::argv(mode, &["true"]).mount(Path::new("/no/such/folder"), "/src", Access::ReadOnly);
        let error = run.output().0.unwrap_err();
        assert_eq!(error.to_string(), "`/no/such/folder`, to be mounted at `/src`, cannot be used");
    }
}

#[test]
fn big_output_arrives_whole_and_a_long_command_line_too() {
    for mode in modes() {
        assert_eq!(Run::sh(mode, "head -c 20000000 /dev/zero | tr '\\0' x").log().len(), 20_000_000);
        let words: Vec<_> = (0..20_000).map(|number| number.to_string()).collect();
        let argv: Vec<_> = ["printf", "%s\n"].into_iter().chain(words.iter().map(String::as_str)).collect();
        assert_eq!(Run::argv(mode, &argv).log().lines().count(), 20_000);
    }
}

#[test]
fn streams_are_appended_and_input_is_empty() {
    for mode in modes() {
        assert_eq!(Run::sh(mode, "cat; echo a; echo b >&2; echo c").log(), "a\nb\nc\n");
    }
}

#[test]
fn files_that_the_caller_left_open_reach_a_command_only_if_wanted() {
    // Without CLOEXEC, as a jobserver's pipe.
    let (reader, _writer) = nix::unistd::pipe().unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&reader);
    let script =
        format!("test -e /proc/self/fd/{number} && echo open || echo closed; ls /proc/self/fd | wc -l");
    for mode in modes() {
        let mut run = Run::sh(mode, &script);
        assert_eq!(run.log(), "closed\n4\n");
        run.inherit_fds = vec![number];
        assert!(run.log().starts_with("open\n"), "{mode:?}");
    }
}

/// Not a test by itself: the process whose streams `a_shell_has_the_callers_streams` provides.
#[test]
#[allow(clippy::disallowed_methods)]
fn inheritor() {
    let Ok(mode) = std::env::var("K3SROOT_TEST_INHERITOR") else { return };
    let mode = if mode == "None" { Mode::None } else { Mode::Namespaces };
    let argv = std::env::var("K3SROOT_TEST_ARGV").unwrap();
    let argv: Vec<_> = argv.split('|').map(str::to_owned).collect();
    let invocation = Invocation {
        mounts: &[],
        argv: &argv,
        env: &BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
        cwd: "/",
        shims: &[],
        output: Output::Inherit,
        log_limit: u64::MAX,
        timeout: None,
        memory: None,
        file_size: None,
        inherit_fds: &[],
    };
    let exit = Sandbox::new(mode, helper()).run(&invocation, &Cancel::new()).unwrap();
    assert_eq!(exit.status, Status::Code(3));
}

#[test]
fn a_shell_has_the_callers_streams() {
    for mode in modes() {
        let mut outer = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "inheritor"])
            .env("K3SROOT_TEST_INHERITOR", format!("{mode:?}"))
            .env("K3SROOT_TEST_ARGV", "sh|-c|read line; echo out $line; echo err $line >&2; exit 3")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        outer.stdin.take().unwrap().write_all(b"typed\n").unwrap();
        let output = outer.wait_with_output().unwrap();
        let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        assert!(
            output.status.success() && out.contains("out typed\n") && err == "err typed\n",
            "{out}\n{err}"
        );
    }
}

#[test]
fn a_log_cannot_be_truncated_from_inside() {
    for mode in modes() {
        assert_eq!(
            Run::sh(mode, "echo a; echo b >/dev/stdout; echo c >/proc/self/fd/2; echo d").log(),
            "a\nb\nc\nd\n"
        );
    }
}

// That nothing is left.

#[test]
fn daemons_die_with_the_command() {
    for mode in modes() {
        let mark = mark();
        let script = format!(
            "setsid sh -c 'sleep {mark} & sleep {mark} & exec sleep {mark}' >/dev/null 2>&1 & sleep 0.2"
        );
        Run::sh(mode, &script).log();
        assert_eq!(alive(&mark), 0, "{mode:?}");
    }
}

#[test]
fn a_timeout_kills_everything() {
    for mode in modes() {
        let mark = mark();
        let mut run =
            Run::sh(mode, &format!("trap '' TERM; setsid sleep {mark} & sleep {mark}; sleep {mark}"));
        run.timeout = Some(Duration::from_millis(300));
        let started = Instant::now();
        let error = run.output().0.unwrap_err();
        assert_eq!(error.to_string(), "the command was stopped after 0.3 s", "{mode:?}");
        assert!((300..10_000).contains(&started.elapsed().as_millis()));
        assert_eq!(alive(&mark), 0, "{mode:?}");
    }
}

#[test]
fn a_log_that_is_full_kills_everything() {
    for mode in modes() {
        let mark = mark();
        // Whoever prints is not impressed by a pipe that nobody reads.
        let script = format!("trap '' PIPE TERM; setsid sleep {mark} & while :; do echo more; done 2>&1");
        let mut run = Run::sh(mode, &script);
        run.log_limit = 1000;
        let (result, log) = run.output();
        assert!(matches!(result, Err(SandboxError::LogFull { limit: 1000 })), "{mode:?}: {result:?}");
        assert_eq!(log, "more\n".repeat(200));
        assert_eq!(alive(&mark), 0, "{mode:?}");
    }
}

#[test]
fn memory_has_a_limit_and_who_takes_it_dies_first() {
    for mode in modes() {
        let take = "try:\n  bytearray(300 << 20)\n  print('taken')\nexcept MemoryError:\n  print('refused')";
        let mut run = Run::argv(mode, &["python3", "-c", take]);
        assert_eq!(run.log(), "taken\n", "{mode:?}");
        run.memory = Some(200 << 20);
        assert_eq!(run.log(), "refused\n", "{mode:?}");
        // To reserve addresses is not to use them.
        run.argv = ["sh", "-c", "ulimit -Hd; ulimit -v"].map(str::to_owned).into();
        assert_eq!(run.log(), "204800\nunlimited\n", "{mode:?}");
        assert_eq!(Run::sh(mode, "cat /proc/self/oom_score_adj").log(), "1000\n", "{mode:?}");
    }
}

#[test]
fn cancelling_kills_everything() {
    for mode in modes() {
        let mark = mark();
        let runs: Vec<_> = (0..4)
            .map(|_| {
                Run::sh(mode, &format!("trap '' TERM INT; setsid sleep {mark} & sleep {mark}; sleep {mark}"))
            })
            .collect();
        let cancel = Cancel::new();
        std::thread::scope(|scope| {
            for mut run in runs {
                run.cancel = cancel.clone();
                scope.spawn(move || assert!(matches!(run.output().0, Err(SandboxError::Cancelled))));
            }
            wait_until("the start of eight processes", || alive(&mark) == 8);
            cancel.cancel();
        });
        assert_eq!(alive(&mark), 0, "{mode:?}");
        // What is started later ends at once.
        let mut late = Run::argv(mode, &["sleep", &mark]);
        late.cancel = cancel;
        assert!(matches!(late.output().0, Err(SandboxError::Cancelled)));
    }
}

/// Not a test by itself: the process that `a_killed_k3sroot_leaves_nothing` kills.
#[test]
#[allow(clippy::disallowed_methods)]
fn sleeper() {
    let Ok(mark) = std::env::var("K3SROOT_TEST_SLEEPER") else { return };
    let (mode, mark) = mark.split_once(' ').unwrap();
    let mode = if mode == "None" { Mode::None } else { Mode::Namespaces };
    let _ = Run::sh(mode, &format!("setsid sleep {mark} & sleep {mark}; sleep {mark}")).output();
}

#[test]
fn a_killed_k3sroot_leaves_nothing() {
    for mode in modes() {
        let (mark, folder) = (mark(), tempfile::tempdir().unwrap());
        let mut victim = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sleeper"])
            .env("K3SROOT_TEST_SLEEPER", format!("{mode:?} {mark}"))
            .env("TMPDIR", folder.path())
            .stdout(File::create("/dev/null").unwrap())
            .spawn()
            .unwrap();
        wait_until("the start of two processes", || alive(&mark) == 2);
        victim.kill().unwrap();
        victim.wait().unwrap();
        wait_until("the end of both", || alive(&mark) == 0);
        wait_until("the removal of private files", || fs::read_dir(folder.path()).unwrap().count() == 0);
    }
}

// Without namespaces.

#[test]
fn real_paths_stand_in_for_guest_paths() {
    let [src, build, tools] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    fs::write(src.path().join("file"), "contents").unwrap();
    fs::create_dir(tools.path().join("bin")).unwrap();
    let tool = tools.path().join("bin/tool");
    fs::write(&tool, "#!/bin/sh\ncat \"$1\"; echo \"$2\"; pwd\n").unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    let mut run = Run::argv(Mode::None, &["tool", "/src/file", "--prefix=/tools"])
        .mount(src.path(), "/src", Access::ReadOnly)
        .mount(build.path(), "/build", Access::ReadWrite)
        .mount(tools.path(), "/tools", Access::ReadOnly)
        .env("PATH", "/tools/bin:/usr/bin:/bin");
    run.cwd = "/build";
    let real = build.path().canonicalize().unwrap();
    assert_eq!(run.log(), format!("contents--prefix=/tools\n{}\n", real.display()));
}

#[test]
fn home_and_tmpdir_are_private_and_removed() {
    let log = Run::sh(
        Mode::None,
        "echo $TMPDIR; echo $HOME; echo /tmp/x >/tmp/x; cd $TMPDIR && ls; mkdir -p $HOME/a/b && chmod 500 $HOME/a",
    )
    .env("HOME", "/tmp")
    .log();
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines.len(), 3, "{log}");
    assert_eq!(lines[2], "x");
    assert!(!Path::new(lines[0]).exists() && !Path::new(lines[1]).exists());
    assert!(!Path::new(lines[0]).parent().unwrap().exists());
}

#[test]
fn shims_keep_real_paths_out_of_objects() {
    let object = |folder: &Path, shims: &[&str]| {
        let build = folder.join("some/where");
        fs::create_dir_all(&build).unwrap();
        fs::write(build.join("a.c"), "const char *file = __FILE__;\n").unwrap();
        let mut run =
            Run::sh(Mode::None, "$CC -g -c -o a.o /build/a.c").mount(&build, "/build", Access::ReadWrite);
        run = run.env("CC", "gcc");
        run.cwd = "/build";
        run.shims = shims.iter().map(|&name| Shim { name: name.into(), target_driver: false }).collect();
        run.log();
        fs::read(build.join("a.o")).unwrap()
    };
    let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let shims = ["gcc", "no-such-gcc"];
    assert!(object(one.path(), &shims) == object(other.path(), &shims), "the folder is in the object");
    assert!(object(one.path(), &[]) != object(other.path(), &[]), "the test does not test what it should");
}

#[test]
fn a_target_driver_finds_its_sysroot() {
    let [tools, sysroot] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let driver = tools.path().join("arm-linux-gcc");
    fs::write(&driver, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n").unwrap();
    fs::set_permissions(&driver, fs::Permissions::from_mode(0o755)).unwrap();
    let mut run = Run::argv(Mode::None, &["arm-linux-gcc", "-I/sysroot/usr/include"])
        .mount(tools.path(), "/tools", Access::ReadOnly)
        .mount(sysroot.path(), "/sysroot", Access::ReadOnly)
        .env("PATH", "/tools:/usr/bin:/bin");
    run.shims = vec![Shim { name: "arm-linux-gcc".into(), target_driver: true }];
    let log = run.log();
    let real = sysroot.path().canonicalize().unwrap();
    let words: Vec<_> = log.lines().collect();
    assert_eq!(words[0], format!("--sysroot={}", real.display()));
    assert!(words.contains(&format!("-ffile-prefix-map={}=/sysroot", real.display()).as_str()), "{log}");
    assert_eq!(words.last(), Some(&format!("-I{}/usr/include", real.display()).as_str()));
}

/// Prints what a sandbox costs: `cargo test --release --test sandbox overhead -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn overhead() {
    for mode in modes() {
        let run = Run::argv(mode, &["true"]);
        run.log();
        let mut walls: Vec<_> = (0..100).map(|_| run.output().0.unwrap().wall).collect();
        walls.sort();
        println!("{mode:?}: best {:?}, median {:?}", walls[0], walls[50]);
    }
}

#[test]
fn the_number_of_processes_has_a_limit() {
    let Some(most) = Sandbox::processes() else {
        skipped("a limit of processes", "there are no cgroups v2 with `pids` that this process may use");
        return;
    };
    for mode in modes() {
        let many =
            format!("i=0; while [ $i -lt {most} ]; do sleep 1000 & i=$((i+1)); done; echo without limit");
        let (result, log) = Run::sh(mode, &many).output();
        assert!(result.is_ok() && !log.contains("without limit"), "{mode:?}: {result:?}\n{log}");
        // Nothing is left that counts for the next, and no group.
        assert_eq!(Run::sh(mode, "echo fine").log(), "fine\n", "{mode:?}");
        let groups = walkdir::WalkDir::new("/sys/fs/cgroup").into_iter().flatten();
        let prefix = format!("k3sroot-{}-", std::process::id());
        let left = groups.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)).count();
        assert_eq!(left, 0, "{mode:?}");
    }
}
