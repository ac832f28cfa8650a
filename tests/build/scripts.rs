//! A workspace whose packages are made by shell scripts, in no time: for tests that build often.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::workspace::{ARCH, Conditions, Workspace};

/// How many units a build for one arch has; one more arch brings all but the tool again.
pub(crate) const UNITS: usize = 6;

/// Name, needs and script of each package.
const PACKAGES: [(&str, &str, &str); UNITS] = [
    (
        "seed",
        "",
        "mkdir -p /out/usr/share/seed; cp text /out/usr/share/seed
         for i in 1 2 3 4 5 6 7 8 9 10 11 12; do seq $i 3000 >/out/usr/share/seed/$i; done
         echo $RESULT >/out/usr/share/seed/result",
    ),
    (
        "maker",
        "",
        "mkdir -p /out/tools/bin
         printf '#!/bin/sh\\necho \"#!/bin/sh\"\\necho \"echo $1\"\\n' >/out/tools/bin/maker
         chmod 755 /out/tools/bin/maker",
    ),
    ("one", "tools = ['maker']\nlink = ['seed']", MAKE),
    ("two", "tools = ['maker']\nlink = ['seed']", MAKE),
    ("three", "tools = ['maker']", MAKE),
    (
        "last",
        "link = ['seed', 'one', 'two']",
        "mkdir -p /out/usr/bin; cat /sysroot/usr/bin/* >/out/usr/bin/last",
    ),
];
const MAKE: &str = "mkdir -p /out/usr/bin; maker \"$NAME $RESULT\" >/out/usr/bin/$NAME; sleep 0.02";

const ROOT: &str = "
    checksums = 'sha256sum-{arch}.txt'
    [[tarball]]
    name = 'root'
    file = 'k3s-root-{arch}.tar'
    folders = ['bin']
    [places]
    bin = { root = 'bin' }
";

/// A workspace of scripts.
pub(crate) fn workspace(conditions: Conditions) -> Workspace {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o644);
    tar.append_data(&mut header, "seed-1/text", &b"text\n"[..]).unwrap();
    let workspace = Workspace::with_archive(conditions, "ws", &tar.into_inner().unwrap());
    fs::create_dir(workspace.path("recipes")).unwrap();
    let mut root = ROOT.to_owned();
    for (name, needs, script) in PACKAGES {
        let source = if name == "seed" {
            format!(
                "urls = ['file:{}']\nsha256 = '{}'",
                workspace.path("distfiles/any-name").display(),
                workspace.digest()
            )
        } else {
            let folder = workspace.path("recipes/files").join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("README"), name).unwrap();
            format!("local = '{name}'")
        };
        let recipe = format!(
            "name = '{name}'\nversion = '1'\nsummary = 'A script'\nhomepage = 'https://words.invalid/'\n\
             [license]\nspdx = 'Apache-2.0'\n[[source]]\n{source}\n[needs]\ntoolchain = 'none'\n{needs}\n\
             [build]\nsystem = 'script'\nenv = {{ NAME = '{name}', ROUND = '0', RESULT = '0' }}\n\
             steps = [['sh', '-ec', '''{script}''']]\n"
        );
        fs::write(workspace.path(&format!("recipes/{name}.toml")), recipe).unwrap();
        if !["seed", "maker"].contains(&name) {
            let rule = "[[file]]\npackage = '{name}'\nfrom = ['usr/bin/{name}']\nscript = true\nto = 'bin'\n";
            root.push_str(&rule.replace("{name}", name));
        }
    }
    fs::write(workspace.path("recipes/root.toml"), root).unwrap();
    workspace
}

/// Sets a variable that every package sees: `ROUND` changes what is to be done, `RESULT` also what comes out.
pub(crate) fn set(workspace: &Workspace, variable: &str, value: usize) {
    for (name, ..) in PACKAGES {
        let path = workspace.path(&format!("recipes/{name}.toml"));
        let recipe = fs::read_to_string(&path).unwrap();
        let (before, rest) = recipe.split_once(&format!("{variable} = '")).unwrap();
        let (_, after) = rest.split_once('\'').unwrap();
        fs::write(&path, format!("{before}{variable} = '{value}'{after}")).unwrap();
    }
}

/// Puts a command before those of a package's script.
pub(crate) fn insert(workspace: &Workspace, package: &str, command: &str) {
    workspace.edit(&format!("recipes/{package}.toml"), "'-ec', '''", &format!("'-ec', '''{command}\n"));
}

/// The processes, and the mounts seen by any of them, that have to do with a workspace.
pub(crate) fn traces(workspace: &Workspace) -> Vec<String> {
    let folder = workspace.path("");
    let name = folder.file_name().unwrap().to_str().unwrap();
    let mut traces = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let path = process.path();
        let read = |file: &str| fs::read(path.join(file)).unwrap_or_default();
        let cwd = fs::read_link(path.join("cwd")).unwrap_or_default();
        let texts = [read("cmdline"), read("mountinfo"), cwd.into_os_string().into_encoded_bytes()];
        if texts.iter().any(|text| String::from_utf8_lossy(text).contains(name)) {
            traces.push(format!("{}: {}", path.display(), String::from_utf8_lossy(&texts[0])));
        }
    }
    traces
}

/// Whether the store is sound and nothing is left of what was stopped.
pub(crate) fn assert_sound(workspace: &Workspace, context: &str) {
    let verified = workspace.run("cache", &["verify"]);
    assert_eq!(verified.code, Some(0), "{context}: {}{}", verified.stdout, verified.stderr);
    assert!(!verified.stdout.contains("left alone"), "{context}: {}", verified.stdout);
    assert_eq!(names(&workspace.path("cache/tmp")), [""; 0], "{context}: left in tmp");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let traces = traces(workspace);
        if traces.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{context}: left running or mounted: {traces:#?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What is in a folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The words of a build for this machine's arch.
pub(crate) fn build_words(sandbox: &str) -> [&str; 7] {
    ["--arch", ARCH, "--sandbox", sandbox, "--jobs", "2", "--offline"]
}
