//! The text of a patch into what it does to each file. Hunks are taken by their line counts, so that a removed line that
//! looks like `-- a/file` or a mail's signature confuses nobody.

use super::PatchError;

/// The longest name of one file or folder that Linux allows, and a path that still fits below any folder, in bytes:
/// otherwise it would only show while files are written.
const LONGEST_NAME: usize = 255;
const LONGEST_PATH: usize = 2048;

/// What a patch does to one file.
#[derive(Debug, Default)]
pub(super) struct FilePatch<'a> {
    /// Where it begins, counted from 1.
    pub(super) line: usize,
    /// The file before; `None` when it is made.
    pub(super) old: Option<String>,
    /// The file after; `None` when it is deleted.
    pub(super) new: Option<String>,
    pub(super) mode: Option<u32>,
    pub(super) renames: bool,
    pub(super) copies: bool,
    /// `diff -N` marks a deleted file by a time of zero.
    pub(super) emptied_by_time: bool,
    pub(super) hunks: Vec<Hunk<'a>>,
}

impl FilePatch<'_> {
    /// `diff -N` shows a new file as one that grows from no lines.
    pub(super) fn starts_from_nothing(&self) -> bool {
        matches!(self.hunks.as_slice(), [hunk] if hunk.old_start == 0 && hunk.old_count == 0)
    }
}

/// One hunk.
#[derive(Debug)]
pub(super) struct Hunk<'a> {
    /// Where it begins in the patch, counted from 1.
    pub(super) line: usize,
    pub(super) old_start: usize,
    pub(super) old_count: usize,
    /// The hunk as `diffy` reads it.
    pub(super) text: String,
    lines: Vec<&'a str>,
}

impl Hunk<'_> {
    /// Whether its lines end in CRLF.
    pub(super) fn ends_in_crlf(&self) -> bool {
        self.lines.iter().any(|line| line.ends_with('\r'))
    }

    /// The lines that must be there for it to fit.
    pub(super) fn expected(&self) -> String {
        let lines = self.lines.iter().filter(|line| !line.starts_with(['+', '\\']));
        lines.map(|line| format!("    {}", line.get(1..).unwrap_or_default())).collect::<Vec<_>>().join("\n")
    }
}

pub(super) fn parse<'a>(patch: &'a str, text: &'a str) -> Result<Vec<FilePatch<'a>>, PatchError> {
    let mut parser = Parser { patch, lines: text.split('\n').collect(), at: 0 };
    let mut files = Vec::new();
    while parser.at < parser.lines.len() {
        let line = parser.lines[parser.at];
        let next = parser.lines.get(parser.at + 1).copied().unwrap_or_default();
        if line.starts_with("diff --git ") {
            files.push(parser.git()?);
        } else if line.starts_with("--- ") && next.starts_with("+++ ") {
            files.push(parser.file(FilePatch::default())?);
        } else if line.starts_with("@@ -") && hunk_header(line).is_some() {
            return Err(parser.malformed("a hunk without a file"));
        } else {
            parser.at += 1;
        }
    }
    if files.is_empty() { Err(PatchError::Empty { patch: patch.to_owned() }) } else { Ok(files) }
}

struct Parser<'a> {
    patch: &'a str,
    lines: Vec<&'a str>,
    at: usize,
}

impl<'a> Parser<'a> {
    fn malformed(&self, why: &'static str) -> PatchError {
        PatchError::Malformed { patch: self.patch.to_owned(), line: self.at + 1, why }
    }

    /// A section that begins with `diff --git`, whose extended header may be all there is.
    fn git(&mut self) -> Result<FilePatch<'a>, PatchError> {
        let mut file = FilePatch { line: self.at + 1, ..FilePatch::default() };
        let header = self.lines[self.at].trim_end();
        let (mut made, mut deleted) = (false, false);
        self.at += 1;
        while let Some(line) = self.lines.get(self.at).map(|line| line.trim_end()) {
            if let Some(mode) = line.strip_prefix("new file mode ") {
                (made, file.mode) = (true, Some(self.mode(mode)?));
            } else if let Some(mode) = line.strip_prefix("deleted file mode ") {
                deleted = true;
                self.mode(mode)?;
            } else if let Some(mode) = line.strip_prefix("new mode ") {
                file.mode = Some(self.mode(mode)?);
            } else if let Some(name) =
                line.strip_prefix("rename from ").or_else(|| line.strip_prefix("copy from "))
            {
                (file.renames, file.copies) = (true, line.starts_with("copy"));
                file.old = Some(self.checked(name)?);
            } else if let Some(name) =
                line.strip_prefix("rename to ").or_else(|| line.strip_prefix("copy to "))
            {
                file.new = Some(self.checked(name)?);
            } else if line.starts_with("GIT binary patch") || line.starts_with("Binary files ") {
                return Err(self.malformed("binary patches are not supported"));
            } else if line.starts_with("--- ") {
                return self.file(file);
            } else if !["old mode ", "index ", "similarity index ", "dissimilarity index "]
                .iter()
                .any(|known| line.starts_with(known))
            {
                break;
            }
            self.at += 1;
        }
        // Nothing but the header: an empty file is made or deleted, or only the mode or the name changes.
        if !file.renames {
            let names = header.strip_prefix("diff --git a/").and_then(|names| {
                // `x b/x`: the same name twice, whatever blanks are in it.
                let middle = names.len().checked_sub(3)? / 2;
                let (old, new) = (names.get(..middle)?, names.get(middle..)?);
                (new.strip_prefix(" b/")? == old).then_some(old)
            });
            let name = names.ok_or_else(|| self.malformed("cannot tell the file's name"))?;
            let name = self.checked(name)?;
            file.old = (!made).then(|| name.clone());
            file.new = (!deleted).then_some(name);
        }
        Ok(file)
    }

    /// The `---` and `+++` lines and the hunks below.
    fn file(&mut self, mut file: FilePatch<'a>) -> Result<FilePatch<'a>, PatchError> {
        if file.line == 0 {
            file.line = self.at + 1;
        }
        let (old, _) = self.name("--- ")?;
        let (new, emptied) = self.name("+++ ")?;
        if !file.renames {
            (file.old, file.new, file.emptied_by_time) = (old, new, emptied);
        }
        while let Some(header) = self.lines.get(self.at).filter(|line| line.starts_with("@@ -")) {
            let counts = hunk_header(header).ok_or_else(|| self.malformed("a malformed hunk header"))?;
            file.hunks.push(self.hunk(counts)?);
        }
        if file.hunks.is_empty() {
            return Err(self.malformed("expected a hunk (`@@ -`)"));
        }
        Ok(file)
    }

    /// The name in a `---` or `+++` line, and whether its time is zero.
    fn name(&mut self, prefix: &str) -> Result<(Option<String>, bool), PatchError> {
        let line = self.lines.get(self.at).and_then(|line| line.strip_prefix(prefix));
        let line = line.ok_or_else(|| self.malformed("expected `--- ` and `+++ ` lines"))?;
        let (name, time) = line.trim_end_matches('\r').split_once('\t').unwrap_or((line.trim_end(), ""));
        let name = if name == "/dev/null" {
            None
        } else {
            let Some((_, rest)) = name.split_once('/').filter(|_| !name.starts_with('/')) else {
                return Err(self.refused(name, "there is no folder to leave out (-p1)"));
            };
            Some(self.checked(rest)?)
        };
        self.at += 1;
        Ok((name, time.starts_with("1970-01-01") || time.starts_with("1969-12-31")))
    }

    fn checked(&self, name: &str) -> Result<String, PatchError> {
        let mut components = Vec::new();
        for component in name.split('/') {
            match component {
                ".." => return Err(self.refused(name, "it has `..`")),
                "" | "." => {}
                other => components.push(other),
            }
        }
        if name.starts_with('/') {
            return Err(self.refused(name, "it is absolute"));
        }
        if name.contains('\0') || name.contains('"') {
            return Err(self.refused(name, "quoted names are not supported"));
        }
        if components.is_empty() {
            return Err(self.refused(name, "it is empty"));
        }
        if name.len() > LONGEST_PATH || components.iter().any(|component| component.len() > LONGEST_NAME) {
            return Err(self.refused(name, "it is too long"));
        }
        Ok(components.join("/"))
    }

    fn refused(&self, name: &str, why: &'static str) -> PatchError {
        PatchError::Name { patch: self.patch.to_owned(), line: self.at + 1, file: name.to_owned(), why }
    }

    /// git's file modes, of which only the two of regular files are supported.
    fn mode(&self, text: &str) -> Result<u32, PatchError> {
        match text {
            "100644" | "100664" => Ok(0o644),
            "100755" | "100775" => Ok(0o755),
            _ => Err(self.malformed("only regular files (100644, 100755) are supported")),
        }
    }

    fn hunk(&mut self, counts: [usize; 4]) -> Result<Hunk<'a>, PatchError> {
        let [old_start, old_count, new_start, new_count] = counts;
        let line = self.at + 1;
        let mut text = format!("@@ -{old_start},{old_count} +{new_start},{new_count} @@\n");
        let (mut old, mut new, mut lines) = (0, 0, Vec::new());
        self.at += 1;
        while old < old_count || new < new_count || self.no_newline_marker() {
            let Some(&line) =
                self.lines.get(self.at).filter(|_| self.at + 1 < self.lines.len() || self.last_line_counts())
            else {
                return Err(self.malformed("the hunk ends early"));
            };
            match line.as_bytes().first() {
                Some(b' ') | None => (old, new) = (old + 1, new + 1),
                Some(b'-') => old += 1,
                Some(b'+') => new += 1,
                Some(b'\\') => {}
                Some(_) => return Err(self.malformed("the hunk ends early")),
            }
            if old > old_count || new > new_count {
                return Err(self.malformed("the hunk's lines are not as many as its header says"));
            }
            // Editors and mailers strip the blank of an empty context line.
            text.push_str(if line.is_empty() { " " } else { line });
            text.push('\n');
            lines.push(line);
            self.at += 1;
        }
        Ok(Hunk { line, old_start, old_count, text, lines })
    }

    fn no_newline_marker(&self) -> bool {
        self.lines.get(self.at).is_some_and(|line| line.starts_with("\\ "))
    }

    /// What follows the text's last newline is no line, unless there is something.
    fn last_line_counts(&self) -> bool {
        self.lines.last().is_some_and(|line| !line.is_empty())
    }
}

/// `@@ -1,2 +3,4 @@ anything`: where and how many lines, before and after.
fn hunk_header(line: &str) -> Option<[usize; 4]> {
    let (old, rest) = line.strip_prefix("@@ -")?.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let range = |text: &str| match text.split_once(',') {
        Some((start, count)) => Some((start.parse().ok()?, count.parse().ok()?)),
        None => Some((text.parse().ok()?, 1)),
    };
    let ((old_start, old_count), (new_start, new_count)) = (range(old)?, range(new)?);
    Some([old_start, old_count, new_start, new_count])
}
