//! What a whole build runs under.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Variation as V;

/// The umask of the varied build: a file's group may write, others may not read.
const UMASK: u32 = 0o007;
/// Who the varied build is, user and group.
const ID: u32 = 4242;

/// What one of the two builds runs under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// The environment, complete.
    pub env: BTreeMap<String, String>,
    /// The folder it starts in.
    pub cwd: PathBuf,
    /// The mask of new files' modes.
    pub umask: u32,
    /// Another user and group, by number.
    pub user: Option<u32>,
    /// Another host and domain name.
    pub host: Option<(String, String)>,
    /// A library that makes dynamic programs see another time.
    pub clock: Option<PathBuf>,
    /// A file system that lists its folders in another order.
    pub shuffle: Option<Shuffle>,
    /// Whether it runs on one core alone.
    pub one_core: bool,
    /// Whether programs lie at the same addresses each time.
    pub fixed_addresses: bool,
    /// Whether the kernel says that it is of version 2.6.
    pub old_kernel: bool,
}

/// A file system over a folder that lists entries in reverse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shuffle {
    /// disorderfs.
    pub program: PathBuf,
    /// Where the files are.
    pub backing: PathBuf,
    /// Where they are seen.
    pub mount: PathBuf,
}

impl Conditions {
    /// The conditions of the first build: usual ones, whatever the caller's are. `path` and `home` are the caller's.
    pub fn usual(cwd: PathBuf, path: &str, home: &str) -> Self {
        let env = [("PATH", path), ("HOME", home), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC")];
        Self {
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            cwd,
            umask: 0o022,
            user: None,
            host: None,
            clock: None,
            shuffle: None,
            one_core: false,
            fixed_addresses: false,
            old_kernel: false,
        }
    }

    /// The same with these variations; `clock` and `shuffle` are used if they are wanted.
    #[must_use]
    pub fn varied(mut self, variations: &BTreeSet<V>, clock: PathBuf, shuffle: Shuffle) -> Self {
        let vary = |variation| variations.contains(&variation);
        if vary(V::Environment) {
            self.env.extend(HOSTILE.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        let mut set = |variation, name: &str, value: &str| {
            if vary(variation) {
                self.env.insert(name.to_owned(), value.to_owned());
            }
        };
        set(V::Timezone, "TZ", "Asia/Kathmandu");
        set(V::Locales, "LC_ALL", "tr_TR.UTF-8");
        set(V::Locales, "LANG", "de_CH.UTF-8");
        set(V::Locales, "LANGUAGE", "fr");
        set(V::Home, "HOME", "/nonexistent/home");
        if vary(V::ExecPath) {
            let path = self.env.entry("PATH".to_owned()).or_default();
            *path = format!("/nonexistent/bin:{path}:/nonexistent/sbin");
        }
        self.umask = if vary(V::Umask) { UMASK } else { self.umask };
        self.user = vary(V::UserGroup).then_some(ID);
        self.host = vary(V::DomainHost).then(|| ("another-host".to_owned(), "another.domain".to_owned()));
        self.clock = vary(V::Time).then_some(clock);
        self.shuffle = vary(V::Fileordering).then_some(shuffle);
        self.one_core = vary(V::NumCpus);
        self.fixed_addresses = vary(V::Aslr);
        self.old_kernel = vary(V::Kernel);
        self
    }
}

/// Variables that some compiler, linker, shell or make listens to.
const HOSTILE: [(&str, &str); 14] = [
    ("CFLAGS", "-O0 -DVARIED"),
    ("CPPFLAGS", "-DVARIED"),
    ("CXXFLAGS", "-O0"),
    ("LDFLAGS", "-L/nonexistent"),
    ("CC", "false"),
    ("CPATH", "/nonexistent/include"),
    ("LIBRARY_PATH", "/nonexistent/lib"),
    ("GCC_EXEC_PREFIX", "/nonexistent/"),
    ("MAKEFLAGS", "-n"),
    ("PKG_CONFIG_PATH", "/nonexistent/pkgconfig"),
    ("CONFIG_SITE", "/nonexistent/config.site"),
    ("SOURCE_DATE_EPOCH", "86400"),
    ("PYTHONHASHSEED", "7"),
    ("TMPDIR", "/var/tmp"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> Conditions {
        Conditions::usual("/a".into(), "/usr/bin:/bin", "/home/me")
    }

    #[test]
    fn nothing_varied_is_the_same_and_each_variation_of_a_process_changes_something() {
        let clock = PathBuf::from("/clock.so");
        let shuffle = Shuffle { program: "/disorderfs".into(), backing: "/b".into(), mount: "/m".into() };
        let varied = |variations| usual().varied(&variations, clock.clone(), shuffle.clone());
        assert_eq!(varied(BTreeSet::new()), usual());
        for variation in V::ALL {
            let varied = varied(BTreeSet::from([variation]));
            // The rest is varied by how k3sroot is called.
            let by_call = matches!(variation, V::BuildPath | V::Sandbox | V::Archives | V::Cache);
            assert_eq!(varied == usual(), by_call, "{variation}");
        }
    }
}
