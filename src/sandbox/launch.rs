//! The last steps before the command, the same with and without namespaces: fixed limits, no way to more privileges,
//! an environment made from nothing.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode as FileMode, umask};
use nix::unistd::{Pid, chdir, getppid, setpgid};

use super::fence;
use super::spec::{During, Report, Spec, Step, errno};

/// Limits that builds can see, in so far as the machine's hard limits leave room. The stack is 8 MiB everywhere because
/// `ARG_MAX`, which libtool writes into its scripts, is a quarter of it.
const LIMITS: [(Resource, u64); 3] =
    [(Resource::RLIMIT_CORE, 0), (Resource::RLIMIT_STACK, 8 << 20), (Resource::RLIMIT_NOFILE, 4096)];

/// Where a program is looked for when the environment has no `PATH`.
pub(super) const DEFAULT_PATH: &str = "/usr/bin:/bin";

/// Sets umask, limits, signal mask and the no-new-privileges flag of this process for the command to inherit.
pub(super) fn settle(spec: &Spec) -> Step<()> {
    umask(FileMode::from_bits_truncate(0o022));
    for (resource, limit) in LIMITS {
        let (_, hard) = getrlimit(resource).during(|| format!("read {resource:?}"))?;
        setrlimit(resource, limit.min(hard), hard).during(|| format!("set {resource:?}"))?;
    }
    // Not the address space: programs reserve much more of that than they use.
    for (resource, most) in [(Resource::RLIMIT_DATA, spec.memory), (Resource::RLIMIT_FSIZE, spec.file_size)] {
        if let Some(most) = most {
            let (_, hard) = getrlimit(resource).during(|| format!("read {resource:?}"))?;
            let most = most.min(hard);
            setrlimit(resource, most, most).during(|| format!("set {resource:?}"))?;
        }
    }
    // The supervisor's mask was inherited.
    SigSet::empty().thread_set_mask().during(|| "unblock signals".into())?;
    prctl::set_no_new_privs().during(|| "forbid new privileges".into())
}

/// The command, ready to be started from its working directory, which this process must be in.
pub(super) fn command(spec: &Spec) -> Step<Command> {
    let name = spec.argv.first().map_or("", String::as_str);
    let path = spec.env.get("PATH").map_or(DEFAULT_PATH, String::as_str);
    let program = find(name, path).ok_or_else(|| not_started(spec, &Errno::ENOENT.into()))?;
    let mut command = Command::new(program);
    command.arg0(name).args(spec.argv.iter().skip(1)).env_clear().envs(&spec.env);
    if !spec.interactive {
        // A `kill 0` in the command is meant for the command.
        command.process_group(0);
    }
    Ok(command)
}

/// The report on a command that could not be executed.
pub(super) fn not_started(spec: &Spec, error: &io::Error) -> Report {
    Report::NotStarted { program: spec.argv.first().cloned().unwrap_or_default(), errno: errno(error) }
}

/// The file that a shell would execute for this word.
pub(super) fn find(name: &str, path: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(name.into());
    }
    let executable = |file: &Path| {
        file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    path.split(':')
        .filter(|folder| !folder.is_empty() && !name.is_empty())
        .map(|folder| Path::new(folder).join(name))
        .find(|file| executable(file))
}

/// The second stage without namespaces: this process becomes the command. It only comes back with a failure.
pub(super) fn become_command(spec: &Spec, supervisor: i32) -> Step<Option<Report>> {
    if !spec.interactive {
        setpgid(Pid::this(), Pid::this()).during(|| "start a process group".into())?;
    }
    prctl::set_pdeathsig(Signal::SIGKILL).during(|| "follow its supervisor's death".into())?;
    if getppid().as_raw() != supervisor {
        return Err(io::Error::from(Errno::ESRCH)).during(|| "find its supervisor".into());
    }
    chdir(spec.cwd.as_str()).during(|| format!("enter `{}`", spec.cwd))?;
    settle(spec)?;
    let mut command = command(spec)?;
    fence::close(spec)?;
    Err(not_started(spec, &command.exec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_executable_in_the_path_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, mode) in [("a/tool", 0o644), ("b/tool", 0o755), ("c/tool", 0o755)] {
            std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
            std::fs::write(path(name), "").unwrap();
            std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let search = format!("{0}/none::{0}/a:{0}/b:{0}/c", folder.path().display());
        assert_eq!(find("tool", &search), Some(path("b/tool")));
        assert_eq!(find("./tool", &search), Some("./tool".into()));
        assert_eq!(find("other", &search), None);
        assert_eq!(find("", &search), None);
    }
}
