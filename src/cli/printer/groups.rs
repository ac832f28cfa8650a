//! Logs that a CI system shows folded.

use std::time::{Duration, SystemTime};

use super::logs::plain;
use base::name::Unit;

/// A CI system that folds parts of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Groups {
    /// GitHub Actions, and what understands its commands.
    GitHub,
    /// GitLab.
    GitLab,
}

impl Groups {
    /// That of the CI system that k3sroot runs in.
    #[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
    pub(super) fn of_this_ci() -> Option<Self> {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| value == "true");
        match () {
            () if is_set("GITHUB_ACTIONS") => Some(Self::GitHub),
            () if is_set("GITLAB_CI") => Some(Self::GitLab),
            () => None,
        }
    }

    /// The log of `unit`, whose build took so long, under `title`, folded.
    #[expect(clippy::disallowed_methods, reason = "the clock reaches a CI's page, nothing that is built")]
    pub(super) fn group(self, unit: &Unit, title: &str, took: Duration, log: &str) -> String {
        let log = log.lines().map(plain).collect::<Vec<_>>().join("\n");
        let log = log.trim_end();
        match self {
            // A log must not give commands. What ends that cannot be in the log, of which it is the digest.
            Self::GitHub => {
                let token = blake3::hash(log.as_bytes()).to_hex();
                format!("::group::{title}\n::stop-commands::{token}\n{log}\n::{token}::\n::endgroup::\n")
            }
            Self::GitLab => {
                let name: String = unit
                    .to_string()
                    .chars()
                    .map(|c| if c.is_ascii_alphanumeric() || "-.".contains(c) { c } else { '_' })
                    .collect();
                let now =
                    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
                format!(
                    "\x1b[0Ksection_start:{}:{name}[collapsed=true]\r\x1b[0K{title}\n{log}\n\
                     \x1b[0Ksection_end:{now}:{name}\r\x1b[0K\n",
                    now.saturating_sub(took.as_secs())
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit() -> Unit {
        "gcc@build-amd64".parse().unwrap()
    }

    #[test]
    fn a_log_gives_github_no_commands() {
        let group = Groups::GitHub.group(&unit(), "gcc: built", Duration::ZERO, "one\n::error::two\n\n");
        let lines: Vec<&str> = group.lines().collect();
        let token = lines[1].strip_prefix("::stop-commands::").unwrap();
        assert_eq!(token.len(), 64);
        let end = format!("::{token}::");
        assert_eq!(lines, ["::group::gcc: built", lines[1], "one", "::error::two", &end, "::endgroup::"]);
    }

    #[test]
    fn gitlab_gets_a_name_without_signs() {
        let log = "one\n\x1b[0Ksection_end:1:gcc_build-amd64\r\x1b[0K\n";
        let group = Groups::GitLab.group(&unit(), "gcc: built", Duration::from_secs(60), log);
        assert!(group.contains(":gcc_build-amd64[collapsed=true]\r\x1b[0Kgcc: built\none\n"), "{group:?}");
        assert!(group.ends_with(":gcc_build-amd64\r\x1b[0K\n"), "{group:?}");
        assert_eq!(group.matches('\x1b').count(), 4, "the log ends no section: {group:?}");
        let times = group.split("section_").skip(1).map(|part| part.split(':').nth(1).unwrap());
        let times: Vec<u64> = times.map(|time| time.parse().unwrap()).collect();
        assert_eq!(times[1] - times[0], 60);
    }
}
