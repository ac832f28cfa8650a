//! Compares what two builds left: what every package installed, then the tarballs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Serialize;

use super::super::error::CliError;
use super::super::place::io_error;
use super::super::table::{Paint, Tone};
use super::work::Work;
use base::digest::{Sha256, TreeDigest};
use base::name::Unit;
use check::{Difference, What, first_difference};
use store::{OutcomeKey, Placement, Store, StoreError};

/// How many lines of diffoscope's answer are shown.
const LINES: usize = 12;

/// A package of both builds.
#[derive(Serialize)]
pub(super) struct Compared {
    pub(super) unit: Unit,
    /// What it installed; none where it was not built.
    first: Option<TreeDigest>,
    second: Option<TreeDigest>,
    /// The first path that differs.
    pub(super) difference: Option<Difference>,
    /// What more there is to say of that.
    pub(super) explained: Vec<String>,
}

impl Compared {
    /// Whether both builds gave the same, if only nothing.
    pub(super) fn is_alike(&self) -> bool {
        self.first == self.second
    }

    /// Whether any build gave something.
    pub(super) fn is_built(&self) -> bool {
        self.first.is_some() || self.second.is_some()
    }

    pub(super) fn row(&self) -> Vec<(String, Tone)> {
        let short = |tree: &Option<TreeDigest>| tree.as_ref().map_or("-".to_owned(), TreeDigest::short);
        let (word, tone) = match (&self.first, &self.second) {
            (Some(first), Some(second)) if first == second => ("alike", Tone::Good),
            (Some(_), Some(_)) => ("different", Tone::Bad),
            (None, None) => ("not built", Tone::Odd),
            _ => ("built once", Tone::Bad),
        };
        vec![
            (self.unit.to_string(), Tone::Plain),
            (word.to_owned(), tone),
            (short(&self.first), Tone::Plain),
            (short(&self.second), Tone::Plain),
        ]
    }
}

/// Compares what both stores have under `key`.
pub(super) fn packages(
    work: &Work,
    first: &Store,
    second: &Store,
    unit: &Unit,
    key: &OutcomeKey,
) -> Result<Compared, CliError> {
    let tree =
        |store: &Store| -> Result<_, StoreError> { Ok(store.lookup(key)?.map(|outcome| outcome.tree)) };
    let mut compared = Compared {
        unit: unit.clone(),
        first: tree(first)?,
        second: tree(second)?,
        difference: None,
        explained: Vec::new(),
    };
    if let (Some(one), Some(other)) = (compared.first, compared.second) {
        compared.difference = first_difference(
            &first.tree(&one)?,
            &second.tree(&other)?,
            |blob| first.read_blob(blob),
            |blob| second.read_blob(blob),
        )?;
        if let Some(difference) = &compared.difference {
            let folder = work.path().join("differences").join(unit.to_string());
            for (side, store, tree) in [("first", first, one), ("second", second, other)] {
                let trees = [(unit.to_string(), tree)];
                store.materialise(&trees, &folder.join(side), Placement::Copy { rewrite: None })?;
            }
            compared.explained = explain(work, &folder, difference);
        }
    }
    Ok(compared)
}

/// What diffoscope says of the file that differs; or that it could say more.
fn explain(work: &Work, folder: &Path, difference: &Difference) -> Vec<String> {
    let files = ["first", "second"].map(|side| folder.join(side).join(&difference.path));
    if !matches!(difference.what, What::Contents(_)) {
        return Vec::new();
    }
    let answer = folder.join("diffoscope.txt");
    let run = Command::new("diffoscope")
        .args(["--no-progress", "--text"])
        .arg(&answer)
        .args(&files)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let shown = files.each_ref().map(|file| work.once_kept(file).display().to_string()).join(" ");
    match run.and_then(|_| fs::read_to_string(&answer)) {
        Ok(text) => {
            let mut lines: Vec<String> = text.lines().take(LINES).map(str::to_owned).collect();
            lines.push(format!("all of it: {}", work.once_kept(&answer).display()));
            lines
        }
        Err(_) => vec![format!("diffoscope, once it is installed, says more: diffoscope {shown}")],
    }
}

/// A tarball of both builds.
#[derive(Serialize)]
pub(super) struct Tarball {
    file: String,
    first: Option<Sha256>,
    second: Option<Sha256>,
    /// How to see what differs.
    see: Option<String>,
}

impl Tarball {
    pub(super) fn is_alike(&self) -> bool {
        self.first == self.second
    }

    pub(super) fn text(&self, paint: Paint) -> String {
        let Self { file, first, second, see } = self;
        match (first, second) {
            (Some(first), Some(second)) if first == second => {
                format!("{}      {file} {first}", paint.word(Tone::Good, "alike"))
            }
            (Some(_), Some(_)) => {
                format!(
                    "{}  {file}: {}",
                    paint.word(Tone::Bad, "different"),
                    see.as_deref().unwrap_or_default()
                )
            }
            _ => format!("{}  {file}: by one build only", paint.word(Tone::Bad, "different")),
        }
    }
}

/// Compares every tarball that either build wrote.
pub(super) fn tarballs(work: &Work) -> Result<Vec<Tarball>, CliError> {
    let folders = ["first", "second"].map(|side| work.tarballs(side));
    let mut names = BTreeSet::new();
    for folder in &folders {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if Path::new(&name).extension().is_some_and(|extension| extension == "tar") {
                names.insert(name);
            }
        }
    }
    let digest = |folder: &Path, name: &str| match fs::read(folder.join(name)) {
        Ok(bytes) => Ok(Some(Sha256::of(&bytes))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", &folder.join(name))(error)),
    };
    let compared = names.into_iter().map(|file| {
        let (first, second) = (digest(&folders[0], &file)?, digest(&folders[1], &file)?);
        let shown = |folder: &PathBuf| work.once_kept(&folder.join(&file)).display().to_string();
        let paths = folders.each_ref().map(shown).join(" ");
        let see = (first != second).then(|| format!("k3sroot diff {paths}"));
        Ok(Tarball { file, first, second, see })
    });
    compared.collect()
}
