//! Runs cases in a machine that qemu boots, with Debian's kernel and our root as all there is to it: once for all that
//! want the same kernel. What the root's programs ask of the kernel is asked of one that has everything, and modules are loaded by our
//! modprobe.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use walkdir::WalkDir;

use crate::case::{self, Case, Kernel, Outcome, Way};
use crate::cpio::Archive;
use crate::here::{machine_arch, on_path, qemu_arch};
use crate::modules::Modules;
use crate::rootfs::Root;
use crate::skipped::skipped;

/// How long the machine may run: emulation is slow, and slower beside other tests.
const LIMIT: Duration = Duration::from_secs(20 * 60);

/// How long a machine whose processor is not emulated may take to start.
const START: Duration = Duration::from_secs(30);

/// What the machine reported.
struct Report {
    outcomes: BTreeMap<String, Outcome>,
    /// Whether it came to the end.
    done: bool,
    serial: String,
    /// Where that is kept.
    log: PathBuf,
    /// Whether its end was shown.
    shown: OnceLock<()>,
}

impl Report {
    /// The end of the log, the first time that this is called.
    fn tail(&self) -> String {
        if self.shown.set(()).is_err() {
            return String::new();
        }
        let lines: Vec<&str> = self.serial.lines().collect();
        format!(", which ends with\n{}", lines[lines.len().saturating_sub(40)..].join("\n"))
    }
}

/// Judges what came of the case, if it could run.
pub(crate) fn run(root: &Root, case: &Case) {
    static WHOLE: OnceLock<Result<Report, String>> = OnceLock::new();
    static NFT: OnceLock<Result<Report, String>> = OnceLock::new();
    if !case.is_for(root, Way::Booted) {
        return;
    }
    let report = match case.kernel {
        Kernel::Whole => &WHOLE,
        Kernel::Nft => &NFT,
    };
    let report = match report.get_or_init(|| boot(root, case.kernel)) {
        Ok(report) => report,
        Err(reason) => {
            return skipped(&format!("all cases for {} on Debian's kernel", root.arch()), reason);
        }
    };
    let Some(outcome) = report.outcomes.get(&case.name) else {
        let end = if report.done { "was not run" } else { "did not end, nor did the machine" };
        panic!("{} {end}: see {}{}", case.title(root, Way::Booted), report.log.display(), report.tail());
    };
    case.judge(root, Way::Booted, outcome);
}

fn boot(root: &Root, kernel: Kernel) -> Result<Report, String> {
    let program = format!("qemu-system-{}", qemu_arch(root.arch()));
    let qemu = on_path(std::slice::from_ref(&program)).ok_or_else(|| format!("no {program} on PATH"))?;
    if root.lacks("busybox") {
        return Err("the root was built without `busybox`: its source could not be had".to_owned());
    }
    let folder = debian(root.arch())?;
    let work = tempfile::tempdir().unwrap();
    let initramfs = work.path().join("initramfs");
    let modules = Modules::choose(&folder.join("modules"), kernel);
    fs::write(&initramfs, pack(root, kernel, &modules)).unwrap();

    let console = if root.arch().starts_with("arm") { "ttyAMA0" } else { "ttyS0" };
    // On a busy machine the emulated timer is late, which the kernel would take for a broken one and stop.
    let timer = if root.arch() == "amd64" { " no_timer_check" } else { "" };
    let log = root.dist(match kernel {
        Kernel::Whole => "k3s-root-{arch}.serial.log",
        Kernel::Nft => "k3s-root-{arch}.nft.serial.log",
    });
    let mut serial = String::new();
    for machine in machines(root.arch()) {
        let mut command = Command::new(&qemu);
        command.args(machine).args(["-m", "768", "-nographic", "-no-reboot", "-nic", "none"]);
        command.arg("-kernel").arg(folder.join("vmlinuz")).arg("-initrd").arg(&initramfs);
        command.arg("-append").arg(format!("console={console} loglevel=1 panic=-1{timer}"));
        let start = if command.get_args().any(|argument| argument == "kvm") { START } else { LIMIT };
        serial.push_str(&watch(&mut command, start, &log));
        if serial.lines().any(|line| line == "@ booted") {
            break;
        }
    }
    let (outcomes, done) = parse(&serial);
    Ok(Report { outcomes, done, serial, log, shown: OnceLock::new() })
}

/// The folder of Debian's kernel, or why there is none.
fn debian(arch: &str) -> Result<PathBuf, String> {
    let kernel = PathBuf::from(case::printed_by("kernel.sh", arch)?);
    Ok(kernel.parent().expect("a file is in a folder").to_owned())
}

/// The machine that qemu is to be; if it does not start, the next.
fn machines(arch: &str) -> Vec<Vec<&'static str>> {
    let mut machines = vec![match arch {
        // The least that a processor of this arch has.
        "amd64" => vec!["-M", "q35", "-cpu", "qemu64"],
        "arm64" => vec!["-M", "virt", "-cpu", "cortex-a72"],
        "arm" => vec!["-M", "virt", "-cpu", "cortex-a15"],
        _ => vec!["-M", "virt"],
    }];
    // The same processor as here need not be emulated, if we may; on what is virtual itself it does not always work.
    let kvm = fs::File::options().read(true).write(true).open("/dev/kvm").is_ok();
    if arch == "amd64" && machine_arch() == arch && kvm {
        let mut machine = machines[0].clone();
        machine.extend(["-accel", "kvm"]);
        machines.insert(0, machine);
    }
    machines
}

/// The machine's first file system.
fn pack(root: &Root, kernel: Kernel, modules: &Modules) -> Vec<u8> {
    let mut archive = Archive::new();
    for folder in
        ["bin", "cases", "dev", "etc", "k3s", "lib", "proc", "root", "run", "sbin", "sys", "tmp", "var"]
    {
        archive.folder(folder);
    }
    archive.character_device("dev/console", 5, 1);
    archive.link("bin/sh", "/k3s/bin/busybox");
    archive.link("sbin/modprobe", "/k3s/bin/busybox");
    archive.link("var/run", "/run");
    archive.file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n");
    archive.file("etc/group", b"root:x:0:\n");
    archive.file("init", include_bytes!("init.sh"));

    for entry in WalkDir::new(root.folder()).min_depth(1).sort_by_file_name() {
        let entry = entry.unwrap();
        let name = format!("k3s/{}", entry.path().strip_prefix(root.folder()).unwrap().display());
        if entry.file_type().is_dir() {
            archive.folder(&name);
        } else if entry.file_type().is_symlink() {
            archive.link(&name, fs::read_link(entry.path()).unwrap().to_str().unwrap());
        } else {
            archive.file(&name, &fs::read(entry.path()).unwrap());
        }
    }

    let folder = format!("lib/modules/{}", modules.release);
    archive.folder("lib/modules");
    archive.folder(&folder);
    archive.folder(&format!("{folder}/kernel"));
    for (name, bytes) in modules.files() {
        archive.file(&format!("{folder}/{name}"), bytes);
    }
    archive.file(&format!("{folder}/modules.dep"), modules.dependencies().as_bytes());
    archive.file(&format!("{folder}/modules.alias"), modules.aliases().as_bytes());

    let mut list = String::new();
    for case in case::all().iter().filter(|case| case.kernel == kernel && case.is_for(root, Way::Booted)) {
        archive.file(&format!("cases/{}", case.name), case.script(root, Way::Booted).as_bytes());
        writeln!(list, "{} {}", case.name, if case.needs_root() { "root" } else { "apart" }).unwrap();
    }
    archive.file("cases/list", list.as_bytes());
    archive.finish()
}

/// Runs the machine until it says that it is done, ends or has had its time; returns all that it said, which is also
/// written to `log`.
fn watch(command: &mut Command, start: Duration, log: &Path) -> String {
    let mut log = fs::File::create(log).unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (sender, receiver) = mpsc::channel();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line).unwrap() > 0 {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
            line.clear();
            if sender.send(text).is_err() {
                break;
            }
        }
    });
    let mut end = Instant::now() + start;
    let mut serial = String::new();
    while let Ok(line) = receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
        writeln!(log, "{line}").unwrap();
        serial.push_str(&line);
        serial.push('\n');
        match line.as_str() {
            "@ booted" => end = Instant::now() + LIMIT,
            "@ done" => break,
            _ => {}
        }
    }
    drop(receiver);
    let _ = child.kill();
    let errors = child.wait_with_output().unwrap().stderr;
    reader.join().unwrap();
    log.write_all(&errors).unwrap();
    serial.push_str(&String::from_utf8_lossy(&errors));
    serial
}

/// The outcomes by case, and whether all of them are there.
fn parse(serial: &str) -> (BTreeMap<String, Outcome>, bool) {
    let mut outcomes = BTreeMap::new();
    let (mut stdout, mut stderr) = (String::new(), String::new());
    for line in serial.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        if let Some(text) = line.strip_prefix("1|") {
            writeln!(stdout, "{text}").unwrap();
        } else if let Some(text) = line.strip_prefix("2|") {
            writeln!(stderr, "{text}").unwrap();
        } else if let ["@", "begin", _] = words[..] {
            stdout.clear();
            stderr.clear();
        } else if let ["@", "end", name, code] = words[..] {
            let (stdout, stderr) = (std::mem::take(&mut stdout), std::mem::take(&mut stderr));
            outcomes.insert(name.to_owned(), Outcome { code: code.parse().ok(), stdout, stderr });
        } else if line == "@ done" {
            return (outcomes, true);
        }
    }
    (outcomes, false)
}

#[test]
fn reports_are_read_among_what_the_kernel_says() {
    let serial = "[    0.1] x\n@ booted\n@ begin one\n1|a\n[    2.0] noise\n1|b\n\n2|c\n\n@ end one 0\n@ begin two\n1|d\n";
    let (outcomes, done) = parse(serial);
    assert!(!done);
    assert_eq!(outcomes.keys().collect::<Vec<_>>(), ["one"]);
    let one = &outcomes["one"];
    assert_eq!((one.code, one.stdout.as_str(), one.stderr.as_str()), (Some(0), "a\nb\n", "c\n"));
}
