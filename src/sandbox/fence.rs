//! What the kernel refuses a command beyond its namespaces, or in place of them: keyrings, system calls that builds do
//! not make, and, where there are no namespaces, files that are none of the command's.
//!
//! Each holds where the kernel has it and is left out where it has not; [`super::Sandbox::fences`] tells.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use keyutils::Keyring;
use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreated, RulesetCreatedAttr as _, RulesetError, Scope, path_beneath_rules,
};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use super::spec::{During, Spec, Step};
use super::{Access, Mode, root};

/// Calls that look as if the kernel did not have them: programs then do without. `clone3` because a filter cannot see
/// whether it asks for namespaces; the C library falls back to `clone`. `openat2` because a filter cannot see the mode of
/// what it makes.
const ABSENT: [i64; 10] = [
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_clone3,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_keyctl,
    libc::SYS_openat2,
    libc::SYS_request_key,
    libc::SYS_userfaultfd,
];

/// Calls that are not permitted: other namespaces, mounts, other processes' insides, the machine's own state.
const FORBIDDEN: [i64; 38] = [
    libc::SYS_acct,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_kcmp,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    467, // open_tree_attr, asm-generic/unistd.h, since Linux 6.15
    libc::SYS_perf_event_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pivot_root,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_quotactl,
    443, // quotactl_fd, asm-generic/unistd.h, since Linux 5.14
    libc::SYS_reboot,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_vhangup,
];

/// Calls that reach other processes where there is no namespace of them: memory and messages that outlive the build and
/// are everybody's who has the same user.
const SHARING: [i64; 5] =
    [libc::SYS_mq_open, libc::SYS_msgget, libc::SYS_semget, libc::SYS_shmat, libc::SYS_shmget];

/// Calls that set limits, priorities, processors or pages of another process, with the argument that says whose: 0 is the
/// caller's own.
const OTHERS: [(i64, u8); 9] = [
    (libc::SYS_ioprio_set, 1),
    (libc::SYS_migrate_pages, 0),
    (libc::SYS_move_pages, 0),
    (libc::SYS_prlimit64, 0),
    (libc::SYS_sched_setaffinity, 0),
    (libc::SYS_sched_setattr, 0),
    (libc::SYS_sched_setparam, 0),
    (libc::SYS_sched_setscheduler, 0),
    (libc::SYS_setpriority, 1),
];

/// Calls that give a file a mode, with the argument that says it, and for those that may make the file the one with the
/// flags: the mode may not have a program run with its owner's or group's rights. Landlock has no say in modes, and root's
/// builds would leave programs that run as root.
const MODES: [(i64, u8, Option<u8>); 5] = [
    (libc::SYS_fchmod, 1, None),
    (libc::SYS_fchmodat, 2, None),
    // `fchmodat2`: asm-generic/unistd.h, since Linux 6.6.
    (452, 2, None),
    (libc::SYS_mknodat, 2, None),
    (libc::SYS_openat, 3, Some(2)),
];
/// The same calls as they were before they took a folder; newer architectures never had them.
#[cfg(target_arch = "x86_64")]
const OLD_MODES: [(i64, u8, Option<u8>); 4] = [
    (libc::SYS_chmod, 1, None),
    (libc::SYS_creat, 1, None),
    (libc::SYS_mknod, 1, None),
    (libc::SYS_open, 2, Some(1)),
];
#[cfg(not(target_arch = "x86_64"))]
const OLD_MODES: [(i64, u8, Option<u8>); 0] = [];

/// Calls that mark files, wherever they are: Landlock has no say in that either. File systems without such marks answer so.
const MARKS: [i64; 6] = [
    libc::SYS_fremovexattr,
    libc::SYS_fsetxattr,
    libc::SYS_lremovexattr,
    libc::SYS_lsetxattr,
    libc::SYS_removexattr,
    libc::SYS_setxattr,
];

/// Requests of `ioctl` that type into a terminal, `TIOCSTI` and `TIOCLINUX` (`asm-generic/ioctls.h`): `k3sroot shell` shares
/// the user's.
const TYPING: [u64; 2] = [0x5412, 0x541C];

/// Flags of `clone` that ask for a namespace.
const NAMESPACES: [libc::c_int; 8] = [
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    0x80, // CLONE_NEWTIME, linux/sched.h
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
];

/// Requests of `ptrace` that reach a process which did not ask for it.
const ATTACH: [libc::c_uint; 2] = [libc::PTRACE_ATTACH, libc::PTRACE_SEIZE];

/// Families of sockets that a network namespace covers. Others (vsock, the kernel's cryptography, Bluetooth) reach the
/// machine, or code of the kernel's that no build needs.
const FAMILIES: [libc::c_int; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// The bit that makes a number one of x86-64's 32-bit variants of the same call.
const X32: i64 = 0x4000_0000;
/// The numbers, beside that bit, of calls that differ there (`asm/unistd_x32.h`), `ptrace` and `process_vm_readv` among them:
/// no build uses them, and they look as if the kernel did not have them.
const X32_ALONE: std::ops::RangeInclusive<i64> = 512..=547;

/// Folders in `/` that a command without namespaces may read besides [`root::SYSTEM`]: `/usr`, `/proc`, and where some
/// distributions keep programs. Everything else in `/` (homes, other checkouts, mounts) is closed.
const READABLE: [&str; 5] = ["gnu", "nix", "opt", "proc", "usr"];

/// Without namespaces, a command may also read files in `/etc` whose names start with one of these: the settings that
/// musl's loader, Perl and Python read at start-up. The rest of `/etc`, with its keys and passwords, is closed.
const SETTINGS: [&str; 3] = ["ld-musl-", "perl", "python"];

/// The usual folders of whatever is installed under a folder of its own, beside the one with its programs.
const PARTS: [&str; 6] = ["include", "lib", "lib32", "lib64", "libexec", "share"];

/// Which fences hold here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fences {
    /// System calls are filtered (seccomp).
    pub calls: bool,
    /// Without namespaces, files are fenced off (Landlock).
    pub files: bool,
    /// Without namespaces, other processes cannot be signalled (Landlock since Linux 6.12).
    pub signals: bool,
}

impl Fences {
    /// Asks the kernel; changes nothing.
    pub(super) fn here() -> Self {
        let arch = TargetArch::try_from(std::env::consts::ARCH).is_ok();
        let calls = arch && Path::new("/proc/sys/kernel/seccomp/actions_avail").exists();
        // Without Landlock, what is made is only the wish.
        let files = ruleset().is_ok_and(|created| Option::<OwnedFd>::from(created).is_some());
        Self { calls, files, signals: files && hears(|ruleset| ruleset.scope(Scope::Signal)) }
    }
}

/// Puts this process behind all fences that the kernel has. It may start the command afterwards, and do little else.
pub(super) fn close(spec: &Spec) -> Step<()> {
    // Where the kernel has no keyrings there is none to leave.
    let _ = Keyring::join_anonymous_session();
    if spec.mode == Mode::None {
        capabilities(spec.mode)?;
        files(spec)?;
    }
    calls(spec.mode)
}

/// Gives up every capability, for good: what is executed afterwards has none, as root neither.
pub(super) fn capabilities(mode: Mode) -> Step<()> {
    let step = || "give up capabilities".to_owned();
    for capability in CapabilitySet::all().iter() {
        match remove_capability_from_bounding_set(capability) {
            // `EINVAL` is one that this kernel has not heard of.
            Ok(()) | Err(Errno::INVAL) => {}
            // Who is not root has none to give up.
            Err(Errno::PERM) if mode == Mode::None => break,
            Err(errno) => return Err(io::Error::from(errno)).during(step),
        }
    }
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
        .map_err(io::Error::from)
        .during(step)
}

/// Everything that is forbidden unless a rule allows it, as far as this kernel can forbid it: files, TCP, signals to
/// others, and the machine's abstract sockets.
fn ruleset() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V5))?
        .handle_access(AccessNet::from_all(ABI::V4))?
        .scope(Scope::from_all(ABI::V6))?
        .create()
}

/// Whether this kernel knows what `wish` adds to a set of rules.
fn hears(wish: impl FnOnce(Ruleset) -> Result<Ruleset, RulesetError>) -> bool {
    wish(Ruleset::default().set_compatibility(CompatLevel::HardRequirement)).is_ok()
}

/// Leaves this process the system's folders to read, and its own to write.
fn files(spec: &Spec) -> Step<()> {
    let (mut readable, mut writable) = (system(), Vec::new());
    // No terminals and no shared memory: those are the user's other programs' too.
    let mut pipes: Vec<PathBuf> = root::NODES.map(|name| Path::new("/dev").join(name)).into();
    for mount in &spec.mounts {
        match mount.access {
            Access::ReadWrite => writable.push(mount.host.clone()),
            Access::ReadOnly => {
                readable.push(mount.host.clone());
                readable.extend(homes(&mount.host.join("bin")));
                pipes.extend(entries(&mount.host).filter(|path| is_pipe(path)));
            }
        }
    }
    writable.extend(spec.scratch.clone());
    let (read, all) = (AccessFs::from_read(ABI::V5), AccessFs::from_all(ABI::V5));
    let node = read | AccessFs::WriteFile | AccessFs::IoctlDev;
    let enforce = || {
        ruleset()?
            .add_rules(path_beneath_rules(readable, read))?
            .add_rules(path_beneath_rules(writable, all))?
            .add_rules(path_beneath_rules(pipes, node))?
            .restrict_self()
    };
    enforce().map_err(io::Error::other).during(|| "close other folders".into())?;
    Ok(())
}

/// What of the machine any command may read.
fn system() -> Vec<PathBuf> {
    let root = root::SYSTEM.into_iter().chain(READABLE).map(|name| Path::new("/").join(name));
    let known = root::ETC.map(|(name, _)| name).into_iter().chain(root::ETC_BORROWED);
    let known = known.map(|name| Path::new("/etc").join(name));
    let is_setting = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        SETTINGS.iter().any(|start| name.starts_with(start))
    };
    root.chain(known)
        .chain(entries(Path::new("/etc")).filter(is_setting))
        .filter(|path| path.exists())
        .collect()
}

/// Where the programs that links in `bin` lead to are installed: a compiler in somebody's home finds its parts there, and
/// a build nothing else of that home.
fn homes(bin: &Path) -> Vec<PathBuf> {
    let links = entries(bin).filter(|path| path.is_symlink()).filter_map(|path| path.canonicalize().ok());
    let mut homes: Vec<PathBuf> = links.filter_map(|program| Some(program.parent()?.to_owned())).collect();
    homes.sort();
    homes.dedup();
    // All of the machine is nobody's installation.
    homes.retain(|bin| bin.parent().is_some());
    homes.iter().flat_map(|bin| installation(bin)).collect()
}

/// The folders of what is installed with its programs in `bin`: that one, and those with the usual names beside it. Whatever
/// else is there may be somebody's home folder.
pub fn installation(bin: &Path) -> Vec<PathBuf> {
    let parts = PARTS.map(|part| bin.with_file_name(part)).into_iter();
    std::iter::once(bin.to_owned()).chain(parts.filter(|part| part != bin && part.is_dir())).collect()
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn is_pipe(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.file_type().is_fifo())
}

/// Filters the system calls of this process and of all that it starts.
fn calls(mode: Mode) -> Step<()> {
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else { return Ok(()) };
    let filters = [
        (libc::ENOSYS, Ok(absent())),
        (libc::EPERM, forbidden(mode)),
        (libc::EAFNOSUPPORT, sockets(mode)),
        (libc::ENOTSUP, Ok(every(&MARKS))),
    ];
    for (errno, rules) in filters {
        let program = || -> Result<BpfProgram, seccompiler::BackendError> {
            let action = SeccompAction::Errno(u32::try_from(errno).unwrap_or_default());
            SeccompFilter::new(rules?, SeccompAction::Allow, action, arch)?.try_into()
        };
        let program =
            program().map_err(io::Error::other).during(|| "write a filter of system calls".into())?;
        match seccompiler::apply_filter(&program) {
            Ok(()) => {}
            // A kernel without seccomp.
            Err(seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error))
                if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) =>
            {
                return Ok(());
            }
            Err(error) => {
                return Err(io::Error::other(error)).during(|| "filter system calls".into());
            }
        }
    }
    Ok(())
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;
type Made<T> = Result<T, seccompiler::BackendError>;

/// The numbers of a call: on x86-64 it has two.
fn numbers(call: i64) -> impl Iterator<Item = i64> {
    std::iter::once(call).chain(cfg!(target_arch = "x86_64").then_some(call | X32))
}

/// These calls, whatever their arguments.
fn every(calls: &[i64]) -> Rules {
    calls.iter().copied().flat_map(numbers).map(|call| (call, Vec::new())).collect()
}

fn absent() -> Rules {
    let alone = X32_ALONE.filter(|_| cfg!(target_arch = "x86_64")).map(|call| (call | X32, Vec::new()));
    every(&ABSENT).into_iter().chain(alone).collect()
}

fn forbidden(mode: Mode) -> Made<Rules> {
    let mut rules = every(&FORBIDDEN);
    let flag = |flag: &libc::c_int| {
        let bit = u64::try_from(*flag).unwrap_or_default();
        rule(&[(0, SeccompCmpOp::MaskedEq(bit), bit)])
    };
    let request = |request: &libc::c_uint| rule(&[(0, SeccompCmpOp::Eq, u64::from(*request))]);
    let clone: Vec<_> = NAMESPACES.iter().map(flag).collect::<Made<_>>()?;
    let ptrace: Vec<_> = ATTACH.iter().map(request).collect::<Made<_>>()?;
    rules.extend(numbers(libc::SYS_clone).map(|call| (call, clone.clone())));
    rules.extend(numbers(libc::SYS_ptrace).map(|call| (call, ptrace.clone())));
    let typing = TYPING.map(|request| rule(&[(1, SeccompCmpOp::Eq, request)]));
    let typing: Vec<_> = typing.into_iter().collect::<Made<_>>()?;
    rules.extend(numbers(libc::SYS_ioctl).map(|call| (call, typing.clone())));
    for (call, argument, flags) in MODES.into_iter().chain(OLD_MODES) {
        let mut refused = Vec::new();
        for bit in [libc::S_ISUID, libc::S_ISGID].map(u64::from) {
            let has_bit = (argument, SeccompCmpOp::MaskedEq(bit), bit);
            // Without one of these the argument means nothing.
            for making in [libc::O_CREAT, libc::O_TMPFILE] {
                let making = u64::try_from(making).unwrap_or_default();
                let makes = flags.map(|flags| (flags, SeccompCmpOp::MaskedEq(making), making));
                refused.push(rule(&[has_bit.clone()].into_iter().chain(makes).collect::<Vec<_>>())?);
            }
        }
        rules.extend(numbers(call).map(|call| (call, refused.clone())));
    }
    if mode == Mode::None {
        // Landlock has a say in this since Linux 6.2.
        if !hears(|ruleset| ruleset.handle_access(AccessFs::Truncate)) {
            rules.extend(every(&[libc::SYS_truncate]));
        }
        rules.extend(every(&SHARING));
        for (call, argument) in OTHERS {
            let whose = rule(&[(argument, SeccompCmpOp::Ne, 0)])?;
            rules.extend(numbers(call).map(|call| (call, vec![whose.clone()])));
        }
    }
    Ok(rules)
}

/// Sockets of families beyond [`FAMILIES`]; without a network namespace, all. Pairs of sockets stay where they are of the
/// plain kind, and without a network namespace lead nowhere: datagrams could be sent from one to any socket with a name.
fn sockets(mode: Mode) -> Made<Rules> {
    let conditions: Vec<_> = match mode {
        Mode::None => Vec::new(),
        Mode::Namespaces => {
            let others =
                |family: &libc::c_int| (0, SeccompCmpOp::Ne, u64::try_from(*family).unwrap_or_default());
            let conditions: Vec<_> = FAMILIES.iter().map(others).collect();
            vec![rule(&conditions)?]
        }
    };
    let unix = u64::try_from(libc::AF_UNIX).unwrap_or_default();
    let mut pairs = vec![rule(&[(0, SeccompCmpOp::Ne, unix)])?];
    if mode == Mode::None {
        for datagrams in [libc::SOCK_DGRAM, libc::SOCK_RAW] {
            let datagrams = u64::try_from(datagrams).unwrap_or_default();
            // Above the type stand flags.
            pairs.push(rule(&[(1, SeccompCmpOp::MaskedEq(0xf), datagrams)])?);
        }
    }
    let sockets = numbers(libc::SYS_socket).map(|call| (call, conditions.clone()));
    Ok(sockets.chain(numbers(libc::SYS_socketpair).map(|call| (call, pairs.clone()))).collect())
}

/// A rule that holds if all of these do: argument, comparison, value. Flags and families are 32 bits wide.
fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> Made<SeccompRule> {
    let condition = |(argument, operator, value): &(u8, SeccompCmpOp, u64)| {
        SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operator.clone(), *value)
    };
    SeccompRule::new(conditions.iter().map(condition).collect::<Made<_>>()?)
}
