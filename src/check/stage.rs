//! The stage: a process that sets up [`Conditions`] and runs k3sroot in them.
//!
//! Like the sandbox's helper it is k3sroot itself, started again with a hidden first argument. The stage sets up once
//! what processes pass on (cores, personality) and what needs namespaces (names of the host, mounts); user and umask come
//! last, by a *step* that becomes the command. The stage blocks the signals that end a run and waits for the run to end
//! by itself, so that nothing that it set up goes away too early; when k3sroot is gone, so are all of them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, unshare};
use nix::sys::personality::{self, Persona};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::{Mode as FileMode, umask};
use nix::unistd::{
    Gid, Pid, Uid, chdir, getegid, geteuid, getppid, setgroups, sethostname, setresgid, setresuid,
};
use serde::{Deserialize, Serialize};

use super::conditions::{Conditions, Shuffle};
use super::variation::Variation;

/// What makes k3sroot a stage; no verb of the command line.
const HIDDEN_WORD: &str = "__check";
const SET_UP: &str = "stage";
const STEP: &str = "step";
const DAEMON: &str = "daemon";
/// Where programs are that a stage needs.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// The file of `/etc` that names libraries which every program loads.
const PRELOAD: &str = "ld.so.preload";
/// How long disorderfs may take to mount.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to run, and under which conditions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stage {
    /// The conditions.
    pub conditions: Conditions,
    /// Commands, run one after the other as long as they end with a status below 2.
    pub commands: Vec<Vec<String>>,
    /// A folder for what the stage needs; it is there.
    pub scratch: PathBuf,
    /// Who started it; the stage ends when that process does.
    parent: i32,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Conditions that could not be set up, and why.
    pub obstacles: BTreeMap<Variation, String>,
    /// The status of the last command that was run; `None` if it was killed.
    pub status: Option<i32>,
}

/// Raised when a stage could not be carried out at all.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// It could not be started, or what it wrote could not be read.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it did not work.
        source: io::Error,
    },
    /// It ended without a report.
    #[error("the process that sets up a build's conditions ended without a report")]
    NoReport,
}

/// A stage that is running.
#[derive(Debug)]
pub struct Running {
    child: Child,
    report: PathBuf,
}

impl Stage {
    /// A stage for these commands.
    pub fn new(conditions: Conditions, commands: Vec<Vec<String>>, scratch: PathBuf) -> Self {
        Self { conditions, commands, scratch, parent: Pid::this().as_raw() }
    }

    /// Starts it; `program` is k3sroot. Of the commands, standard output goes to `stdout`.
    pub fn start(&self, program: &Path, stdout: Stdio) -> Result<Running, StageError> {
        let failed = |what| move |source| StageError::Io { what, source };
        let spec = self.scratch.join("stage.json");
        let text = serde_json::to_vec(self)
            .map_err(|error| failed("describe a build's conditions")(error.into()))?;
        fs::write(&spec, text).map_err(failed("write a build's conditions"))?;
        let child = Command::new(program)
            .args([OsStr::new(HIDDEN_WORD), OsStr::new(SET_UP), spec.as_os_str()])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(stdout)
            // Ctrl-C is k3sroot's to handle; it tells the stage.
            .process_group(0)
            .spawn()
            .map_err(failed("start a build"))?;
        Ok(Running { child, report: self.report() })
    }

    fn report(&self) -> PathBuf {
        self.scratch.join("report.json")
    }
}

impl Running {
    /// Waits for the end; asks for it once `stop` says so.
    pub fn wait(mut self, stop: impl Fn() -> bool) -> Result<Report, StageError> {
        let failed = |source| StageError::Io { what: "wait for a build", source };
        let mut asked = false;
        while self.child.try_wait().map_err(failed)?.is_none() {
            if stop() && !asked {
                asked = true;
                let stage = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or_default());
                // It may have ended just now.
                let _ = kill(stage, Signal::SIGTERM);
            }
            thread::sleep(Duration::from_millis(20));
        }
        let text = fs::read(&self.report).map_err(|_| StageError::NoReport)?;
        serde_json::from_slice(&text).map_err(|_| StageError::NoReport)
    }
}

/// To be called early in `main`: if this process was started as a stage, it is one until it ends, and this says how. What
/// is an error is for `main` to print.
pub fn helper_main() -> Option<io::Result<()>> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != HIDDEN_WORD {
        return None;
    }
    let (Some(part), Some(path)) = (args.next(), args.next()) else { return Some(Err(Errno::EINVAL.into())) };
    let stage = fs::read(&path).and_then(|text| Ok(serde_json::from_slice::<Stage>(&text)?));
    Some(stage.and_then(|stage| {
        if part == SET_UP {
            set_up(&stage, Path::new(&path))
        } else {
            let words: Vec<String> = args.map(|word| word.to_string_lossy().into_owned()).collect();
            Err(if part == DAEMON { daemon(&words) } else { step(&stage, &words) })
        }
    }))
}

/// Sets up what needs namespaces, runs the commands, and reports.
fn set_up(stage: &Stage, spec: &Path) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if getppid().as_raw() != stage.parent {
        return Ok(());
    }
    let mut mask = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        mask.add(signal);
    }
    mask.thread_block()?;
    let mut scene = Scene { stage, spec, shuffler: None };
    let mut report = Report { obstacles: scene.set_up(), status: None };
    let end = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
    let mut stopped = false;
    for command in &stage.commands {
        stopped |= end.read_signal()?.is_some();
        if stopped || report.status.is_some_and(|status| status > 1) {
            break;
        }
        let mut child = scene.step(command)?;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if end.read_signal()?.is_some() {
                stopped = true;
                // k3sroot alone: it ends what it started.
                let _ = kill(Pid::from_raw(i32::try_from(child.id()).unwrap_or_default()), Signal::SIGTERM);
            }
            thread::sleep(Duration::from_millis(20));
        };
        report.status = status.code();
        if report.status.is_none() {
            break;
        }
    }
    scene.clear();
    fs::write(stage.report(), serde_json::to_vec(&report)?)
}

/// What was tried and did not work, and why.
fn failures<const N: usize>(done: [(Variation, Option<io::Result<()>>); N]) -> BTreeMap<Variation, String> {
    done.into_iter().filter_map(|(variation, done)| Some((variation, done?.err()?.to_string()))).collect()
}

fn name(host: &str, domain: &str) -> io::Result<()> {
    sethostname(host)?;
    Ok(rustix::system::setdomainname(domain.as_bytes())?)
}

/// What was set up.
struct Scene<'a> {
    stage: &'a Stage,
    spec: &'a Path,
    shuffler: Option<(Child, PathBuf)>,
}

impl Scene<'_> {
    /// Sets up what it can; says what it cannot, and why.
    fn set_up(&mut self) -> BTreeMap<Variation, String> {
        let mut obstacles = self.inherited();
        obstacles.extend(self.in_namespaces());
        obstacles
    }

    /// Sets what every process passes on. A container may forbid it.
    fn inherited(&self) -> BTreeMap<Variation, String> {
        let Conditions { one_core, fixed_addresses, old_kernel, .. } = self.stage.conditions;
        let wear = |persona| Ok(personality::set(personality::get()? | persona).map(drop)?);
        let done = [
            (Variation::NumCpus, one_core.then(leave_one_core)),
            (Variation::Aslr, fixed_addresses.then(|| wear(Persona::ADDR_NO_RANDOMIZE))),
            (Variation::Kernel, old_kernel.then(|| wear(Persona::UNAME26))),
        ];
        failures(done)
    }

    fn in_namespaces(&mut self) -> BTreeMap<Variation, String> {
        let Conditions { user, host, clock, shuffle, .. } = self.stage.conditions.clone();
        if let Err(error) = self.namespaces() {
            let needed = [
                (Variation::UserGroup, user.is_some()),
                (Variation::DomainHost, host.is_some()),
                (Variation::Time, clock.is_some()),
                (Variation::Fileordering, shuffle.is_some()),
            ];
            let unmet = needed.into_iter().filter(|(_, is_needed)| *is_needed);
            return unmet.map(|(variation, _)| (variation, format!("no namespaces: {error}"))).collect();
        }
        let done = [
            (Variation::DomainHost, host.map(|(host, domain)| name(&host, &domain))),
            (Variation::Time, clock.map(|clock| self.set(&clock))),
            (Variation::Fileordering, shuffle.map(|shuffle| self.shuffle(&shuffle))),
        ];
        failures(done)
    }

    /// Makes the namespaces that the conditions need: none where nothing needs one.
    fn namespaces(&self) -> io::Result<()> {
        let Conditions { user, host, clock, shuffle, .. } = &self.stage.conditions;
        let root = geteuid().is_root();
        if host.is_none() && clock.is_none() && shuffle.is_none() && (user.is_none() || root) {
            return Ok(());
        }
        let spaces = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS;
        if root {
            unshare(spaces)?;
        } else {
            let (uid, gid) = (geteuid(), getegid());
            unshare(spaces | CloneFlags::CLONE_NEWUSER)?;
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("{} {uid} 1", user.unwrap_or(uid.as_raw())))?;
            fs::write("/proc/self/gid_map", format!("{} {gid} 1", user.unwrap_or(gid.as_raw())))?;
        }
        // What is mounted from here on is nobody else's.
        Ok(mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?)
    }

    /// Makes every dynamic program that is started from here on load the library that moves the clock.
    fn set(&self, clock: &Path) -> io::Result<()> {
        // Of a file system of its own, since that of the scratch folder may be one that cannot be an upper layer.
        let layers = self.stage.scratch.join("etc");
        fs::create_dir_all(&layers)?;
        mount(Some("tmpfs"), &layers, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
        let (upper, work) = (layers.join("upper"), layers.join("work"));
        fs::create_dir(&upper)?;
        fs::create_dir(&work)?;
        fs::write(upper.join(PRELOAD), format!("{}\n", clock.display()))?;
        let options = format!("lowerdir=/etc,upperdir={},workdir={}", upper.display(), work.display());
        Ok(mount(Some("overlay"), "/etc", Some("overlay"), MsFlags::empty(), Some(options.as_str()))?)
    }

    fn shuffle(&mut self, shuffle: &Shuffle) -> io::Result<()> {
        fs::create_dir_all(&shuffle.backing)?;
        fs::create_dir_all(&shuffle.mount)?;
        let before = fs::metadata(&shuffle.mount)?.dev();
        let words = [
            "-f",
            "-q",
            "--multi-user=yes",
            "--shuffle-dirents=no",
            "--reverse-dirents=yes",
            "--sort-dirents=yes",
        ];
        let program = FOLDERS.iter().map(|folder| Path::new(folder).join(&shuffle.program));
        let Some(program) = program.into_iter().find(|path| path.exists()) else {
            let what = format!("`{}` is not installed", shuffle.program.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, what));
        };
        let mut child = Command::new("/proc/self/exe")
            .args([OsStr::new(HIDDEN_WORD), OsStr::new(DAEMON), self.spec.as_os_str()])
            .arg(program)
            .args(words)
            .args([&shuffle.backing, &shuffle.mount])
            .env_clear()
            .env("PATH", FOLDERS.join(":"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // It wonders aloud about processes that are gone.
            .stderr(Stdio::null())
            // It must outlive what uses it, and does not listen when the group is told to end.
            .process_group(0)
            .spawn()?;
        let started = Instant::now();
        while fs::metadata(&shuffle.mount)?.dev() == before {
            if child.try_wait()?.is_some() || started.elapsed() > PATIENCE {
                let _ = child.kill();
                return Err(io::Error::other(format!("`{}` does not mount", shuffle.program.display())));
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.shuffler = Some((child, shuffle.mount.clone()));
        Ok(())
    }

    /// Starts the process that becomes the command.
    fn step(&self, command: &[String]) -> io::Result<Child> {
        Command::new("/proc/self/exe")
            .args([OsStr::new(HIDDEN_WORD), OsStr::new(STEP), self.spec.as_os_str()])
            .args(command)
            .env_clear()
            .spawn()
    }

    /// Takes down what would not go with the last process.
    fn clear(&mut self) {
        if let Some((mut child, mount)) = self.shuffler.take() {
            // Failing that, the namespace's end unmounts it.
            let _ = umount2(&mount, MntFlags::empty()).or_else(|_| umount2(&mount, MntFlags::MNT_DETACH));
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Becomes a program that ends when the stage does, however that ends; only comes back with what went wrong.
fn daemon(command: &[String]) -> io::Error {
    let parent = getppid();
    if let Err(error) = prctl::set_pdeathsig(Signal::SIGKILL) {
        return error.into();
    }
    match command.split_first() {
        // The stage may have gone before it was asked for.
        Some((program, args)) if getppid() == parent && parent.as_raw() != 1 => {
            Command::new(program).args(args).exec()
        }
        _ => Errno::EINVAL.into(),
    }
}

/// Becomes the command; only comes back with what went wrong.
fn step(stage: &Stage, command: &[String]) -> io::Error {
    if let Err(error) = settle(stage) {
        return error;
    }
    let Some((program, args)) = command.split_first() else { return Errno::EINVAL.into() };
    Command::new(program).args(args).env_clear().envs(&stage.conditions.env).exec()
}

fn settle(stage: &Stage) -> io::Result<()> {
    let conditions = &stage.conditions;
    // Without root it is the namespace that gives another number.
    if let Some(id) = conditions.user.filter(|_| geteuid().is_root()) {
        let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
        setgroups(&[gid])?;
        setresgid(gid, gid, gid)?;
        setresuid(uid, uid, uid)?;
    }
    // After the change of user, which forgets it.
    prctl::set_pdeathsig(Signal::SIGTERM)?;
    umask(FileMode::from_bits_truncate(conditions.umask));
    chdir(&conditions.cwd)?;
    Ok(SigSet::empty().thread_set_mask()?)
}

/// Leaves this process the first of its cores.
fn leave_one_core() -> io::Result<()> {
    let mine = sched_getaffinity(Pid::this())?;
    let mut one = CpuSet::new();
    for core in 0..CpuSet::count() {
        if mine.is_set(core)? {
            one.set(core)?;
            break;
        }
    }
    Ok(sched_setaffinity(Pid::this(), &one)?)
}
