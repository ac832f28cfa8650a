//! Whether this machine gives namespaces, and if not, what forbids them and what to do about it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use nix::errno::Errno;

use super::{Cancel, Exit, Invocation, Output, Sandbox, SandboxError, Status};

/// What to do where nothing on the machine is to be changed.
const WITHOUT: &str = "or build with `--sandbox none`";

/// The switch with which `AppArmor` forbids user namespaces to programs without a profile.
const APPARMOR: &str = "kernel/apparmor_restrict_unprivileged_userns";

/// Makes a sandbox and leaves it.
pub(super) fn probe(sandbox: &Sandbox) -> Result<(), SandboxError> {
    match attempt(sandbox, &[]) {
        Ok(_) => Ok(()),
        Err(SandboxError::Setup { step, source }) => {
            let (reason, remedy) = diagnose(&step, &source, switch);
            let cause = Box::new(SandboxError::Setup { step, source });
            Err(SandboxError::Unavailable { reason, remedy: format!("{remedy}, {WITHOUT}"), cause })
        }
        Err(other) => Err(other),
    }
}

/// One of the kernel's switches, by its path in `/proc/sys`.
fn switch(name: &str) -> Option<u64> {
    fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?.trim().parse().ok()
}

/// Whether `AppArmor` forbids user namespaces to programs without a profile.
pub(super) fn is_restricted_by_apparmor() -> bool {
    switch(APPARMOR) == Some(1)
}

/// What `AppArmor` 4 is to be told of `helper`. Its path is a pattern there, so that what means more than itself is escaped.
pub(super) fn apparmor_profile(helper: &Path) -> String {
    let mut path = String::new();
    for c in helper.display().to_string().chars() {
        if "\\\"*?[]{}^".contains(c) {
            path.push('\\');
        }
        path.push(c);
    }
    format!("abi <abi/4.0>,\n\nprofile k3sroot \"{path}\" flags=(unconfined) {{\n  userns,\n}}\n")
}

/// Asks a shell whether `/proc` calls it by the number that it has in its namespace.
pub(super) fn lists_processes(sandbox: &Sandbox) -> Result<bool, SandboxError> {
    let words = ["/bin/sh", "-c", "read pid rest </proc/self/stat && test \"$pid\" = $$"];
    Ok(attempt(sandbox, &words.map(str::to_owned))?.status != Status::Code(0))
}

/// Makes a sandbox and runs `argv` in it.
fn attempt(sandbox: &Sandbox, argv: &[String]) -> Result<Exit, SandboxError> {
    let null = File::options().read(true).write(true).open("/dev/null");
    let null = null.map_err(|source| SandboxError::Log { source })?;
    let invocation = Invocation {
        mounts: &[],
        argv,
        env: &BTreeMap::new(),
        cwd: "/",
        shims: &[],
        output: Output::Log(&null),
        log_limit: u64::MAX,
        timeout: None,
        memory: None,
        file_size: None,
        inherit_fds: &[],
    };
    sandbox.run_unchecked(&invocation, &Cancel::new())
}

/// The likely reason and its remedy, from the step that failed and the kernel's switches.
fn diagnose(step: &str, error: &io::Error, switch: impl Fn(&str) -> Option<u64>) -> (String, String) {
    let say = |reason: &str, remedy: &str| (reason.to_owned(), remedy.to_owned());
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or_default());
    let forbidden = matches!(errno, Errno::EPERM | Errno::EACCES);
    if errno == Errno::ENOSPC || switch("user/max_user_namespaces") == Some(0) {
        say("`user.max_user_namespaces` is too small", "as root, `sysctl user.max_user_namespaces=15000`")
    } else if switch("kernel/unprivileged_userns_clone") == Some(0) {
        say("`kernel.unprivileged_userns_clone` is 0", "as root, `sysctl kernel.unprivileged_userns_clone=1`")
    } else if forbidden && switch(APPARMOR) == Some(1) {
        say(
            "AppArmor restricts user namespaces (`kernel.apparmor_restrict_unprivileged_userns` is 1)",
            "give k3sroot a profile with `userns,`, which `k3sroot doctor` prints; as root, \
             `sysctl kernel.apparmor_restrict_unprivileged_userns=0`",
        )
    } else if errno == Errno::EINVAL && step.starts_with("unshare") {
        say(
            "this kernel was built without them",
            "use one with CONFIG_USER_NS, CONFIG_PID_NS and CONFIG_NET_NS",
        )
    } else if errno == Errno::EINVAL && step == "change the mount `/`" {
        say(
            "`/` is no mount point, as after `chroot DIR`",
            "as root, `mount --rbind DIR DIR` before `chroot DIR`",
        )
    } else if forbidden && step.contains("fresh proc") {
        say(
            "a container around this one covers parts of `/proc`",
            "start it with `--security-opt systempaths=unconfined` (docker) or `unmask=ALL` (podman)",
        )
    } else if forbidden && step.starts_with("unshare") {
        say(
            "a container's seccomp filter or another security policy forbids them",
            "start the container with `--security-opt seccomp=unconfined`",
        )
    } else if forbidden {
        say("a security policy forbids what a sandbox needs", "look for the refusal in the kernel's log")
    } else {
        say(&format!("it could not {step}: {error}"), "look for the refusal in the kernel's log")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_apparmor_profile_names_this_program_and_nothing_else() {
        let profile = apparmor_profile(Path::new("/opt/a b/{x,y}*/k3sroot"));
        let expected = r#"profile k3sroot "/opt/a b/\{x,y\}\*/k3sroot" flags=(unconfined) {"#;
        assert!(profile.contains(expected) && profile.ends_with("{\n  userns,\n}\n"), "{profile}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let reason = |step: &str, errno: Errno, switches: &[(&str, u64)]| {
            let switch =
                |name: &str| switches.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            diagnose(step, &errno.into(), switch).0
        };
        let unshare = "unshare namespaces";
        for (step, errno, switches, expected) in [
            (unshare, Errno::ENOSPC, &[][..], "max_user_namespaces"),
            (unshare, Errno::EPERM, &[("user/max_user_namespaces", 0)], "max_user_namespaces"),
            (unshare, Errno::EPERM, &[("kernel/unprivileged_userns_clone", 0)], "unprivileged_userns_clone"),
            (
                "change the mount `/`",
                Errno::EACCES,
                &[
                    ("kernel/unprivileged_userns_clone", 1),
                    ("kernel/apparmor_restrict_unprivileged_userns", 1),
                ],
                "AppArmor",
            ),
            (unshare, Errno::EINVAL, &[], "kernel was built without"),
            (unshare, Errno::EPERM, &[("user/max_user_namespaces", 9)], "seccomp"),
            ("change the mount `/`", Errno::EINVAL, &[], "`/` is no mount point"),
            ("mount a fresh proc", Errno::EPERM, &[], "covers parts of `/proc`"),
            ("change the mount `/`", Errno::EPERM, &[], "security policy"),
            ("set the host name", Errno::EIO, &[], "could not set the host name: Input/output"),
        ] {
            assert!(reason(step, errno, switches).contains(expected), "{step} {errno} {switches:?}");
        }
    }
}
