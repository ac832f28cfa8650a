//! A folder of databases, read whole.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Deserialize;
use serde::de::IgnoredAny;
use walkdir::WalkDir;

use super::{Record, Says, Source, Subject, nvd, osv};
use base::beneath;

/// How large a file may be when it is unpacked, in bytes: NVD's feed of a year has some hundred million.
const LARGEST: u64 = 4 << 30;

/// What may stand in identifiers and times besides letters and digits of ASCII. Both are shown on terminals.
const MARKS: &str = "-._:+";

/// Whether a text is safe to show, and something.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || MARKS.contains(c))
}

/// Raised when a folder cannot be used as a database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Something cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is larger than anybody's database.
    #[error("`{}` is larger than {} GiB", path.display(), LARGEST >> 30)]
    Large {
        /// Which.
        path: PathBuf,
    },
    /// A file is no JSON, or not of the form that it begins to have.
    #[error("`{}` cannot be read as {form}", path.display())]
    Json {
        /// Which.
        path: PathBuf,
        /// The form that it seems to have.
        form: &'static str,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// A file has another form.
    #[error("`{}` is neither of NVD's JSON 2.0 nor of OSV", path.display())]
    Form {
        /// Which.
        path: PathBuf,
    },
    /// A file has the form that NVD gave up in 2023.
    #[error("`{}` is of NVD's JSON 1.1, which nobody keeps up to date: get the feeds of 2.0", path.display())]
    Retired {
        /// Which.
        path: PathBuf,
    },
    /// What an advisory is called, or when it was changed, is nothing that a database writes.
    #[error("`{}` has an advisory whose {what} is `{}`: it wants letters, digits and `{MARKS}`", path.display(), text.escape_debug())]
    Text {
        /// The file.
        path: PathBuf,
        /// What of the advisory.
        what: &'static str,
        /// What is written.
        text: String,
    },
    /// There is nothing.
    #[error("`{}` has no advisory: it wants files `*.json` or `*.json.gz` of NVD's JSON 2.0 or of OSV", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
    },
}

/// The advisories of some folders.
#[derive(Debug)]
pub struct Database {
    /// The newest of each, by where it comes from and its identifier.
    pub(super) records: BTreeMap<(Source, String), Record>,
}

/// The keys that tell a form.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    vulnerabilities: Option<IgnoredAny>,
    #[serde(rename = "CVE_Items")]
    items: Option<IgnoredAny>,
    id: Option<IgnoredAny>,
    vuln_status: Option<IgnoredAny>,
    last_modified: Option<IgnoredAny>,
    modified: Option<IgnoredAny>,
}

impl Database {
    /// Reads the folders, and what of them matters to these subjects. Each must have advisories.
    pub fn read(folders: &[PathBuf], subjects: &[Subject]) -> Result<Self, DatabaseError> {
        let mut records: BTreeMap<(Source, String), Record> = BTreeMap::new();
        for folder in folders {
            let found: Vec<Vec<Record>> =
                files(folder)?.par_iter().map(|path| read(path, subjects)).collect::<Result<_, _>>()?;
            if found.iter().all(Vec::is_empty) {
                return Err(DatabaseError::Empty { path: folder.clone() });
            }
            for record in found.into_iter().flatten() {
                let key = (record.source, record.id.clone());
                // A feed of changes may be older than the one that it changes.
                match records.get(&key) {
                    Some(known) if known.modified > record.modified => {}
                    _ => {
                        records.insert(key, record);
                    }
                }
            }
        }
        Ok(Self { records })
    }

    /// How many advisories there are.
    pub fn advisories(&self) -> usize {
        self.records.len()
    }

    /// How many of them were rejected or withdrawn.
    pub fn withdrawn(&self) -> usize {
        self.records.values().filter(|record| record.withdrawn).count()
    }

    /// How many of the others name no product, so that nothing can be compared with them.
    pub fn without_products(&self) -> usize {
        self.that_say(Says::Nothing)
    }

    /// How many advisories name a subject, in whatever version.
    pub fn concerning(&self) -> usize {
        self.records.values().filter(|record| !record.withdrawn && !record.concerns.is_empty()).count()
    }

    /// How many name no subject, and a repository that no recipe tells: nobody knows here what it is of.
    pub fn of_repositories(&self) -> usize {
        self.that_say(Says::Repository)
    }

    /// How many name a subject and tell what is affected by commits alone, with which no version can be compared.
    pub fn undecided(&self) -> usize {
        self.that_say(Says::Commits)
    }

    fn that_say(&self, says: Says) -> usize {
        self.records.values().filter(|record| !record.withdrawn && record.says == says).count()
    }

    /// When the newest was changed, as the database writes it.
    pub fn newest(&self) -> Option<&str> {
        self.records.values().map(|record| record.modified.as_str()).max().filter(|time| !time.is_empty())
    }

    /// The places of the subjects that some advisory names.
    pub fn named(&self) -> BTreeSet<usize> {
        let concerns =
            self.records.values().filter(|record| !record.withdrawn).flat_map(|record| &record.concerns);
        concerns.map(|(place, _)| *place).collect()
    }
}

/// The files of a database in a folder, in order.
fn files(folder: &Path) -> Result<Vec<PathBuf>, DatabaseError> {
    let mut files = Vec::new();
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
        let entry = entry.map_err(|error| DatabaseError::Read {
            path: error.path().unwrap_or(folder).to_owned(),
            source: error.into_io_error().unwrap_or_else(|| io::ErrorKind::InvalidInput.into()),
        })?;
        let name = entry.file_name().to_string_lossy();
        if entry.file_type().is_file() && (name.ends_with(".json") || name.ends_with(".json.gz")) {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

/// The records in a file.
fn read(path: &Path, subjects: &[Subject]) -> Result<Vec<Record>, DatabaseError> {
    let failed = |source| DatabaseError::Read { path: path.to_owned(), source };
    let file = beneath::open_named(path).map_err(failed)?;
    let mut bytes = Vec::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::MultiGzDecoder::new(file).take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() as u64 > LARGEST {
        return Err(DatabaseError::Large { path: path.to_owned() });
    }
    let mut records = parse(&bytes, subjects, path)?;
    for record in &mut records {
        record.check(path)?;
    }
    Ok(records)
}

impl Record {
    /// Refuses names that no database gives. Those that others are said to give are left out: no recipe knows them.
    fn check(&mut self, path: &Path) -> Result<(), DatabaseError> {
        let dated = self.modified.is_empty() || is_plain(&self.modified);
        let texts = [("identifier", &self.id, is_plain(&self.id)), ("time of change", &self.modified, dated)];
        if let Some((what, text, _)) = texts.into_iter().find(|(_, _, is_good)| !is_good) {
            return Err(DatabaseError::Text { path: path.to_owned(), what, text: text.clone() });
        }
        self.aliases.retain(|alias| is_plain(alias));
        Ok(())
    }
}

fn parse(bytes: &[u8], subjects: &[Subject], path: &Path) -> Result<Vec<Record>, DatabaseError> {
    let as_form = |form| move |source| DatabaseError::Json { path: path.to_owned(), form, source };
    let probe: Probe = serde_json::from_slice(bytes).map_err(as_form("a JSON object"))?;
    match probe {
        Probe { vulnerabilities: Some(_), .. } => {
            let feed: nvd::Feed =
                serde_json::from_slice(bytes).map_err(as_form("a feed of NVD's JSON 2.0"))?;
            Ok(feed.records(subjects))
        }
        Probe { items: Some(_), .. } => Err(DatabaseError::Retired { path: path.to_owned() }),
        Probe { id: Some(_), vuln_status, last_modified, .. }
            if vuln_status.is_some() || last_modified.is_some() =>
        {
            let cve: nvd::Cve =
                serde_json::from_slice(bytes).map_err(as_form("a record of NVD's JSON 2.0"))?;
            Ok(vec![cve.record(subjects)])
        }
        Probe { id: Some(_), modified: Some(_), .. } => {
            let advisory: osv::Advisory =
                serde_json::from_slice(bytes).map_err(as_form("a record of OSV"))?;
            Ok(vec![advisory.record(subjects)])
        }
        _ => Err(DatabaseError::Form { path: path.to_owned() }),
    }
}
