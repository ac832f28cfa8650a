//! A checkout in a temporary folder: the fixtures, the project's own arch records, a cache, and k3sroot run in it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use walkdir::WalkDir;

/// The arch that the machine's own compiler makes programs for, in K3s's spelling.
pub(crate) const ARCH: &str = match std::env::consts::ARCH.as_bytes() {
    b"x86_64" => "amd64",
    b"aarch64" => "arm64",
    _ => std::env::consts::ARCH,
};

/// How k3sroot is run: what a build must not notice.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions {
    pub(crate) sandbox: &'static str,
    pub(crate) jobs: u8,
    pub(crate) umask: &'static str,
    pub(crate) env: &'static [(&'static str, &'static str)],
}

/// What most tests run under.
pub(crate) const USUAL: Conditions = Conditions { sandbox: "auto", jobs: 2, umask: "022", env: &[] };

pub(crate) struct Workspace {
    folder: TempDir,
    conditions: Conditions,
    /// Of the one archive, which is packed anew each time.
    digest: String,
}

/// What k3sroot did.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// What the last line but the reasons says of a build.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) built: usize,
    pub(crate) cut_off: usize,
}

impl Workspace {
    pub(crate) fn new() -> Self {
        Self::under(USUAL, "ws")
    }

    /// `prefix` begins the name of the folder, so that two workspaces differ in more than some random letters.
    pub(crate) fn under(conditions: Conditions, prefix: &str) -> Self {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny");
        let archive = pack(&fixtures.join("sources/libword"), "libword-1.2");
        let workspace = Self::with_archive(conditions, prefix, &archive);
        for part in ["recipes", "patches"] {
            copy(&fixtures.join(part), &workspace.path(part));
        }
        workspace.edit("recipes/libword.toml", "@libword@", &workspace.digest);
        workspace
    }

    /// A workspace without recipes, and with one archive.
    pub(crate) fn with_archive(conditions: Conditions, prefix: &str, archive: &[u8]) -> Self {
        let folder = tempfile::Builder::new().prefix(prefix).tempdir().unwrap();
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        copy(&project.join("sysroot"), &folder.path().join("sysroot"));
        let workspace = Self { folder, conditions, digest: format!("{:x}", Sha256::digest(archive)) };
        fs::create_dir(workspace.path("distfiles")).unwrap();
        // Archives are found by their digest, whatever they are called.
        fs::write(workspace.path("distfiles/any-name"), archive).unwrap();
        workspace
    }

    /// The digest of the one archive.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    pub(crate) fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).unwrap()
    }

    /// Replaces `from`, which is there, in a file.
    pub(crate) fn edit(&self, relative: &str, from: &str, to: &str) {
        let text = self.read(relative);
        assert!(text.contains(from), "{relative} has no `{from}`:\n{text}");
        fs::write(self.path(relative), text.replace(from, to)).unwrap();
    }

    /// k3sroot with a verb and its words, to be started.
    pub(crate) fn command(&self, verb: &str, words: &[&str]) -> Command {
        let Conditions { umask, env, .. } = self.conditions;
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("umask {umask} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_k3sroot")])
            .args(["--recipes".as_ref(), self.path("recipes").as_os_str()])
            .args(["--cache".as_ref(), self.path("cache").as_os_str()])
            .arg(verb)
            .args(words)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .envs(env.iter().copied());
        command
    }

    pub(crate) fn run(&self, verb: &str, words: &[&str]) -> Run {
        self.ended(self.command(verb, words).output().unwrap())
    }

    /// What a command of this workspace did.
    pub(crate) fn ended(&self, Output { status, stdout, stderr }: Output) -> Run {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Run { code: status.code(), stdout: self.tidy(&text(stdout)), stderr: self.tidy(&text(stderr)) }
    }

    /// The words of a build from the distfiles, without a network.
    pub(crate) fn build_words<'a>(&self, jobs: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let usual = ["--arch", ARCH, "--sandbox", self.conditions.sandbox, "--jobs", jobs, "--offline"];
        [&usual, more].concat()
    }

    pub(crate) fn build(&self, more: &[&str]) -> Run {
        let jobs = self.conditions.jobs.to_string();
        // With packages named, only `--out` makes tarballs.
        let more = [&["--distfiles", "distfiles", "--out", "dist"], more].concat();
        self.run("build", &self.build_words(&jobs, &more))
    }

    /// Builds everything, which works, and says how much there was to do.
    pub(crate) fn build_all(&self) -> Count {
        let run = self.build(&[]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        run.count()
    }

    /// What k3sroot says of why things would be rebuilt, without when they were built.
    pub(crate) fn why(&self, words: &[&str]) -> String {
        let usual = ["--arch", ARCH, "--sandbox", self.conditions.sandbox];
        let run = self.run("why", &[words, &usual].concat());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let mut parts = run.stdout.split(" outcome of ");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| {
            let (_, rest) = part.split_once(" ago").unwrap_or_default();
            text + " outcome of [age] ago" + rest
        })
    }

    /// Puts the source of `libword` into `my-libword`, with a file of a version control.
    pub(crate) fn local_tree(&self) {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny/sources/libword");
        copy(&sources, &self.path("my-libword"));
        fs::create_dir(self.path("my-libword/.git")).unwrap();
        fs::write(self.path("my-libword/.git/HEAD"), "not a part of it").unwrap();
    }

    /// Gives `libword` a second archive: what is in `my-libword`, under another folder.
    pub(crate) fn second_archive(&self) {
        let archive = pack(&self.path("my-libword"), "libword-repacked");
        fs::write(self.path("distfiles/another-name"), &archive).unwrap();
        let recipe = self.read("recipes/libword.toml");
        let source = recipe.find("urls ").unwrap()..recipe.find("patches ").unwrap();
        let url = "https://words.invalid/libword.tar.gz";
        let archives = [self.digest.clone(), format!("{:x}", Sha256::digest(&archive))]
            .map(|digest| format!("[[source.archive]]\nurls = [\"{url}\"]\nsha256 = \"{digest}\"\n\n"));
        self.edit("recipes/libword.toml", &recipe[source], "");
        self.edit("recipes/libword.toml", "[needs]", &format!("{}[needs]", archives.concat()));
    }

    /// Every file in `dist`, by name.
    pub(crate) fn dist(&self) -> Vec<(String, Vec<u8>)> {
        self.files("dist")
    }

    /// Every file in a folder, by name; no document or pack of sources, which say where sources come from: another folder in
    /// each test.
    pub(crate) fn files(&self, folder: &str) -> Vec<(String, Vec<u8>)> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else { return Vec::new() };
        let mut files: Vec<(String, Vec<u8>)> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file() && path.extension().is_none_or(|extension| extension != "json"))
            .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
            .collect();
        files.sort();
        files
    }

    /// Every file in a folder and below, by its path from there.
    pub(crate) fn below(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let folder = self.path(folder);
        let entries =
            WalkDir::new(&folder).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
        let path = |path: &Path| path.strip_prefix(&folder).unwrap().display().to_string();
        entries.map(|entry| (path(entry.path()), fs::read(entry.path()).unwrap())).collect()
    }

    pub(crate) fn dist_names(&self) -> Vec<String> {
        self.dist().into_iter().map(|(name, _)| name).collect()
    }

    /// The names of the tarball's members, without folders.
    pub(crate) fn members(&self) -> Vec<String> {
        let tar = fs::File::open(self.path(&format!("dist/k3s-root-{ARCH}.tar"))).unwrap();
        let mut names: Vec<String> = tar::Archive::new(tar)
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .filter(|name| !name.ends_with('/'))
            .collect();
        names.sort();
        names
    }

    /// What a program of the tarball prints.
    pub(crate) fn output_of(&self, program: &str) -> String {
        let root = tempfile::tempdir().unwrap();
        // Written by this process, a program could not be run: a test beside this one that starts a program has it open.
        let tar = self.path(&format!("dist/k3s-root-{ARCH}.tar"));
        let unpacked = Command::new("tar").arg("-xf").arg(tar).arg("-C").arg(root.path()).status().unwrap();
        assert!(unpacked.success());
        let output = Command::new(root.path().join(program)).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// `text` with what differs from run to run and machine to machine replaced.
    fn tidy(&self, text: &str) -> String {
        let real = self.folder.path().canonicalize().unwrap();
        let text = text
            .replace(&format!("{}/", real.display()), "")
            .replace(&format!("{}/", self.folder.path().display()), "")
            .replace(ARCH, "[arch]")
            .replace(&self.digest, "[digest]");
        text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
    }
}

impl Run {
    /// The error with its tree, log and hints: from `error:` to where tarballs or the summary are named.
    pub(crate) fn error(&self) -> String {
        let start = self.stderr.find("error: ").unwrap_or_else(|| panic!("no error in:\n{}", self.stderr));
        let lines =
            self.stderr[start..].lines().take_while(|line| !is_summary(line) && !line.contains("  dist/"));
        lines.map(|line| line.to_owned() + "\n").collect()
    }

    pub(crate) fn count(&self) -> Count {
        let line = self.stderr.lines().find(|line| is_summary(line));
        let line = line.unwrap_or_else(|| panic!("no summary in:\n{}", self.stderr));
        let before = |word: &str| {
            let part = line.split([',', ':']).find_map(|part| part.trim().strip_suffix(word)).unwrap();
            part.trim().parse().unwrap()
        };
        Count { built: before("built"), cut_off: before("cut off") }
    }
}

fn is_summary(line: &str) -> bool {
    line.split_once(" units: ").is_some_and(|(count, _)| count.parse::<usize>().is_ok())
}

pub(crate) fn copy(from: &Path, to: &Path) {
    for entry in WalkDir::new(from) {
        let entry = entry.unwrap();
        let dest = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(dest).unwrap();
        } else {
            fs::copy(entry.path(), dest).unwrap();
        }
    }
}

/// A `.tar.gz` of a folder, the same bytes whatever the checkout's times and owners.
pub(crate) fn pack(folder: &Path, top: &str) -> Vec<u8> {
    let mut builder =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    builder.mode(tar::HeaderMode::Deterministic);
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let path = entry.unwrap().into_path();
        if path.is_file() {
            let name = Path::new(top).join(path.strip_prefix(folder).unwrap());
            builder.append_path_with_name(&path, name).unwrap();
        }
    }
    let mut encoder = builder.into_inner().unwrap();
    encoder.flush().unwrap();
    encoder.finish().unwrap()
}
