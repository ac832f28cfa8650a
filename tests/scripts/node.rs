//! A node to run the scripts on: an unpacked tarball in a temporary folder, with all that the scripts look at in it.
//!
//! The two binaries and the node's own iptables are small scripts that note how they are called. Where the scripts look
//! at the kernel, the copies under test look at a folder: the paths are constants in their first lines, which
//! [`Node::new`] replaces, so no variable for tests is in them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::RwLock;
use std::time::{Duration, Instant};

use super::skipped::skipped;

use tempfile::TempDir;

pub(crate) const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/recipes/files/k3s-scripts");
pub(crate) const NAMES: [&str; 6] =
    ["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"];

/// A shell a node may have.
#[derive(Clone)]
struct Shell {
    name: &'static str,
    /// Its file, links followed.
    real: PathBuf,
    /// What follows `#!`.
    interpreter: String,
    /// Where `grep`, `ln` and the others of its node lead to.
    tools: Vec<(&'static str, PathBuf)>,
}

#[expect(clippy::disallowed_methods, reason = "tests look for the machine's shells")]
fn env(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&env("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn shells() -> Vec<Shell> {
    const TOOLS: [&str; 5] = ["grep", "ln", "mv", "readlink", "rm"];
    let mut found = Vec::new();
    match env("K3SROOT_TEST_BUSYBOX").map(PathBuf::from).or_else(|| on_path("busybox")) {
        Some(busybox) => found.push(Shell {
            name: "busybox ash",
            real: busybox.canonicalize().unwrap(),
            interpreter: format!("{} ash", busybox.display()),
            tools: TOOLS.map(|tool| (tool, busybox.clone())).to_vec(),
        }),
        None => {
            skipped("scripts under busybox ash", "no busybox on PATH and K3SROOT_TEST_BUSYBOX is not set");
        }
    }
    for (name, program, argument) in [("dash", "dash", ""), ("bash", "bash", " --posix"), ("sh", "sh", "")] {
        match on_path(program) {
            // Most often `sh` is one of the others by another name.
            Some(path) if found.iter().any(|shell| shell.real == path.canonicalize().unwrap()) => {}
            Some(path) => found.push(Shell {
                real: path.canonicalize().unwrap(),
                name,
                interpreter: format!("{}{argument}", path.display()),
                tools: TOOLS
                    .map(|tool| (tool, on_path(tool).expect("the machine has the usual tools")))
                    .to_vec(),
            }),
            None => skipped(&format!("scripts under {name}"), "not on PATH"),
        }
    }
    assert!(!found.is_empty(), "no shell at all");
    found
}

/// Which tarball the scripts lie in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Layout {
    /// `bin/aux/`, with the tools in `bin/`.
    Root,
    /// `bin/` of the xtables tarball, without any tools.
    Flat,
}

/// A part of what the kernel tells about itself.
#[derive(Clone, Copy)]
pub(crate) enum Kernel {
    NftLoaded,
    NftBuiltIn,
    NftLoadable,
    CompatLoaded,
    CompatBuiltIn,
    CompatLoadable,
    /// `ip_tables` is there, with a table of each family.
    Legacy,
    /// `ip_tables` is there, no table is.
    LegacyIdle,
    LegacyLoadable,
    /// No `/proc/kallsyms`.
    NoSymbols,
}
use Kernel::{
    CompatBuiltIn, CompatLoadable, CompatLoaded, Legacy, LegacyIdle, LegacyLoadable, NftBuiltIn, NftLoadable,
    NftLoaded, NoSymbols,
};

/// A folder with an unpacked tarball, a kernel and, maybe, the node's own iptables.
pub(crate) struct Node {
    folder: TempDir,
    pub(crate) layout: Layout,
    interpreter: String,
    /// PATH of what is run, none for unset.
    pub(crate) path: Option<String>,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A child forked while another thread has an executable open for writing holds it open until it execs, and to run the
/// executable meanwhile fails with `ETXTBSY`: who writes executables takes this for writing, who forks for reading.
static FORKS: RwLock<()> = RwLock::new(());

pub(crate) fn write(path: &Path, text: &str, mode: u32) {
    let _alone = FORKS.write().unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn append(path: &Path, text: &str) {
    let before = fs::read_to_string(path).unwrap_or_default();
    write(path, &(before + text), 0o644);
}

/// `text` with `from`, which must be in it once, replaced.
pub(crate) fn replace_once(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from:?} in the script");
    text.replace(from, to)
}

impl Node {
    fn new(shell: &Shell, layout: Layout) -> Self {
        let folder = TempDir::with_prefix("k3s scripts ").unwrap();
        let at = folder.path().display();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let node =
            Self { layout, interpreter: shell.interpreter.clone(), path: Some(format!("{at}/node")), folder };

        for (script, constants) in [
            ("iptables-detect.sh", &["proc=/proc", "sys=/sys", "modules=/lib/modules"][..]),
            ("xtables-set-mode.sh", &[]),
        ] {
            let mut text = fs::read_to_string(Path::new(SCRIPTS).join(script)).unwrap();
            text = replace_once(&text, "#!/bin/sh\n", &format!("#!{}\n", shell.interpreter));
            for constant in constants {
                let (name, path) = constant.split_once('=').unwrap();
                text = replace_once(
                    &text,
                    &format!("\n{constant}\n"),
                    &format!("\n{name}='{}{path}'\n", node.at("").display()),
                );
            }
            write(&node.xtables(script), &text, 0o755);
        }
        for name in NAMES {
            symlink("iptables-detect.sh", node.xtables(name)).unwrap();
        }
        for mode in ["nft", "legacy"] {
            node.executable(
                &node.xtables(&format!("xtables-{mode}-multi")),
                &fake_multi(node.folder.path(), mode),
            );
        }
        if layout == Layout::Root {
            for (name, target) in &shell.tools {
                symlink(target, node.at("bin").join(name)).unwrap();
            }
            // What makes `..` known as a tarball's `bin`. For a shell other than busybox its name is all that counts.
            symlink(&shell.tools[0].1, node.at("bin/busybox")).unwrap();
        }
        for folder in ["node", "state", "sys/module", "proc/net"] {
            fs::create_dir_all(node.at(folder)).unwrap();
        }
        // A run as another user notes its calls too.
        fs::set_permissions(node.at("state"), fs::Permissions::from_mode(0o777)).unwrap();
        write(&node.at("proc/sys/kernel/osrelease"), "6.12.0-test\n", 0o644);
        write(&node.at("proc/kallsyms"), "0000000000000000 T nf_register_net_hook\n", 0o644);
        node
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The path of one of the tarball's iptables names.
    pub(crate) fn xtables(&self, name: &str) -> PathBuf {
        self.at(if self.layout == Layout::Root { "bin/aux" } else { "bin" }).join(name)
    }

    pub(crate) fn executable(&self, path: &Path, text: &str) {
        write(path, &format!("#!{}\n{text}", self.interpreter), 0o755);
    }

    pub(crate) fn kernel(&self, parts: &[Kernel]) -> &Self {
        let module = |name| fs::create_dir_all(self.at("sys/module").join(name)).unwrap();
        let symbol = |name| append(&self.at("proc/kallsyms"), &format!("0000000000000000 t {name}\n"));
        let file = |name| {
            append(&self.at("lib/modules/6.12.0-test/modules.dep"), &format!("kernel/net/{name}: x.ko\n"));
        };
        let tables = |text| {
            write(&self.at("proc/net/ip_tables_names"), text, 0o444);
            write(&self.at("proc/net/ip6_tables_names"), text, 0o444);
        };
        for part in parts {
            match part {
                NftLoaded => module("nf_tables"),
                NftBuiltIn => symbol("nft_register_expr"),
                NftLoadable => file("netfilter/nf_tables.ko.xz"),
                CompatLoaded => module("nft_compat"),
                CompatBuiltIn => symbol("nft_target_select_ops"),
                CompatLoadable => file("netfilter/nft_compat.ko"),
                Legacy => tables("mangle\nfilter\n"),
                LegacyIdle => tables(""),
                LegacyLoadable => file("ipv4/netfilter/ip_tables.ko"),
                NoSymbols => fs::remove_file(self.at("proc/kallsyms")).unwrap(),
            }
        }
        self
    }

    /// What a mode's `-save` prints.
    pub(crate) fn saves(&self, mode: &str, program: &str, text: &str) -> &Self {
        write(&self.at("state").join(format!("{mode}.{program}")), text, 0o644);
        self
    }

    /// The exit code of one of a mode's programs.
    pub(crate) fn exits(&self, mode: &str, program: &str, code: i32) -> &Self {
        write(&self.at("state").join(format!("{mode}.{program}.code")), &code.to_string(), 0o644);
        self
    }

    /// A mode's programs load its part of the kernel, of both families.
    pub(crate) fn loads(&self, mode: &str) -> &Self {
        write(&self.at("state").join(format!("{mode}.loads")), "", 0o644);
        self
    }

    /// No program has the name that the scripts' first lines have.
    pub(crate) fn without_bin_sh(&self) -> &Self {
        for script in ["iptables-detect.sh", "xtables-set-mode.sh"] {
            let text = fs::read_to_string(self.xtables(script)).unwrap();
            let first = format!("#!{}\n", self.interpreter);
            write(&self.xtables(script), &replace_once(&text, &first, "#!/no/such/sh\n"), 0o755);
        }
        self
    }

    /// A program of the tarball's, run by a shell that is told to.
    pub(crate) fn by_shell(&self, name: &str) -> Command {
        let mut words = self.interpreter.split(' ');
        let mut command = self.command(Path::new(words.next().unwrap()));
        command.args(words).arg(self.xtables(name));
        command
    }

    /// The node's own iptables.
    pub(crate) fn own_iptables(&self, text: &str) -> &Self {
        self.executable(&self.at("node/iptables"), text);
        self
    }

    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        command
    }

    /// Runs one of the tarball's iptables names.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, name: &str, arguments: &[A]) -> Outcome {
        finish(start(self.command(&self.xtables(name)).args(arguments)), "")
    }

    /// Every call of the two binaries, oldest first, as `mode<word><word>`.
    pub(crate) fn calls(&self) -> Vec<String> {
        fs::read_to_string(self.at("state/calls")).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// What all six names lead to, which must be the same.
    pub(crate) fn links(&self) -> String {
        let targets = NAMES.map(|name| fs::read_link(self.xtables(name)).unwrap().display().to_string());
        assert!(targets.iter().all(|target| *target == targets[0]), "half set: {targets:?}");
        targets[0].clone()
    }

    /// Names beside the scripts that no tarball has.
    pub(crate) fn left_over(&self) -> Vec<String> {
        fs::read_dir(self.xtables(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.starts_with('.'))
            .collect()
    }
}

/// One of the two binaries, which knows the program it is to be by its own name or else by the first argument. It notes
/// its call, drinks its stdin and prints what [`Node::saves`] says; a line of a restore's stdin comes back with `> `
/// before it. Shell only, as there may be no tools.
fn fake_multi(node: &Path, mode: &str) -> String {
    format!(
        r#"state='{}/state'
case ${{0##*/}} in xtables-*) ;; *) set -- "${{0##*/}}" "$@" ;; esac
calls={mode}
for word; do calls="$calls<$word>"; done
printf '%s\n' "$calls" >>"$state/calls"
printf '%s\n' "${{PATH-unset}}" >"$state/path"
while IFS= read -r line; do
    case $1 in *-restore) printf '> %s\n' "$line" ;; esac
done
if [ -e "$state/{mode}.loads" ]; then
    case {mode} in
        nft) echo '0 t nft_register_expr' >>"$state/../proc/kallsyms" ;;
        legacy) for family in ip ip6; do echo filter >"$state/../proc/net/${{family}}_tables_names"; done ;;
    esac
fi
if [ -e "$state/{mode}.$1" ]; then
    while IFS= read -r line; do printf '%s\n' "$line"; done <"$state/{mode}.$1"
fi
if [ -e "$state/{mode}.$1.code" ]; then read -r code <"$state/{mode}.$1.code"; exit "$code"; fi
"#,
        node.display()
    )
}

pub(crate) fn start(command: &mut Command) -> Child {
    let _others = FORKS.read().unwrap();
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Waits for a process that prints little. It has twenty seconds: a script that calls itself for ever fails here.
pub(crate) fn finish(mut child: Child, stdin: &str) -> Outcome {
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(stdin.as_bytes()).unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            // With all that it started: see `Node::command`.
            Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status().unwrap();
            panic!("process {} was still running", child.id());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs a test under every shell, in both layouts, all at once. The test gets what makes it a fresh node.
pub(crate) fn on_every_node(test: impl Fn(&dyn Fn() -> Node) + Sync) {
    let test = &test;
    std::thread::scope(|scope| {
        for shell in shells() {
            for layout in [Layout::Root, Layout::Flat] {
                let shell = shell.clone();
                let name = format!("{}, {layout:?}", shell.name);
                let run = move || test(&|| Node::new(&shell, layout));
                std::thread::Builder::new().name(name).spawn_scoped(scope, run).unwrap();
            }
        }
    });
}
