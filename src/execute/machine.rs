//! Which build machine this is: tools that were made on another one may not run here.

use std::process::Command;

use base::digest::Framed;
use model::plan::Action;
use sandbox::Mode;
use store::OutcomeKey;

/// Raised when the build machine lacks what tells it from others.
#[derive(Debug, thiserror::Error)]
#[error("cannot run `{program}`: `k3sroot doctor` says what this machine lacks")]
pub struct MachineError {
    program: &'static str,
    source: std::io::Error,
}

/// What sets this machine apart as a place where tools run: its processor's arch, its C library, its compiler and whether
/// builds see real paths.
pub fn identity(mode: Mode) -> Result<String, MachineError> {
    let [here, _] = identities(mode)?;
    Ok(here)
}

/// The same of both ways in which builds are kept apart; `mode`'s first.
pub fn identities(mode: Mode) -> Result<[String; 2], MachineError> {
    let ask = |program: &'static str, argument: &str| -> Result<String, MachineError> {
        let output = Command::new(program)
            .arg(argument)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C")
            .output()
            .map_err(|source| MachineError { program, source })?;
        // musl's ldd prints its version on standard error, and exits with 1.
        let text = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned())
    };
    let mut framed = Framed::new("build machine 1");
    framed
        .field("arch", std::env::consts::ARCH)
        .field("libc", ask("ldd", "--version")?)
        .field("compiler", ask("gcc", "--version")?)
        .field("linker", ask("ld", "--version")?);
    let machine = base::digest::BlobDigest::from_bytes(framed.finish()).short();
    // Scripts among the tools may name the interpreter that they were made with by its real path.
    let with_real_paths = format!("{machine}-real-paths");
    Ok(match mode {
        Mode::Namespaces => [machine, with_real_paths],
        Mode::None => [with_real_paths, machine],
    })
}

/// What an outcome of `action` is kept under on the build machine `machine`, before anything is built.
pub fn key(action: &Action, machine: &str) -> OutcomeKey {
    OutcomeKey::Action { digest: action.digest(), machine: machine_of(action, machine) }
}

/// Tools belong to the build machine they were made on; what is built for a target does not.
pub(super) fn machine_of(action: &Action, machine: &str) -> Option<String> {
    action.unit().machine.runs_here().then(|| machine.to_owned())
}
