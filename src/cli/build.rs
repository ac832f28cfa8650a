//! `k3sroot build`: from recipes to tarballs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::args::{Build, DIST, Global};
use super::collect::lacks;
use super::error::{CliError, render_failure};
use super::facts;
use super::legal::{Packing, discard};
use super::means;
use super::packed::{About, DOCUMENTS, Signer, documents, envelope_file, packed};
use super::place::{io_error, refuse_other_than_folder, remove_if_there};
use super::printer::Printer;
use super::project::{Planned, Project, open_store};
use crate::execute::{ActionError, Executor, How, Report};
use crate::name::{ArchName, PackageName, Unit};
use crate::pack::{self, Content, Member};
use crate::plan::Override;
use crate::report::{Ending, MemberRecord, Recorder, TarballRecord};

pub(super) fn run(global: &Global, args: &Build) -> Result<(), CliError> {
    let started = Instant::now();
    let signer = Signer::new(&args.signing)?;
    let project = Project::load(global)?;
    let store = open_store(global)?;
    let planned = project.plan(&args.selection, &store)?;
    if let Some(out) = out_folder(args, &planned) {
        refuse_other_than_folder(out)?;
    } else {
        let given = [
            ("--sign-key", args.signing.sign_key.is_some()),
            ("--builder-id", args.signing.builder_id.is_some()),
            ("--contact", args.contact.is_some()),
        ];
        if let Some((option, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
            return Err(CliError::NothingWritten { option });
        }
    }
    let fetcher = means::fetcher(&args.sources, &store)?;
    let sandbox = means::sandbox(global, &args.running, &store)?;
    let stop = means::stop();
    for compiler in planned.compilers.values() {
        global.say(&format!("note: compiling with {} of this machine", compiler.describe()));
    }
    let executor = Executor {
        store: &store,
        fetcher: &fetcher,
        sandbox: &sandbox,
        compilers: &planned.compilers,
        options: means::options(&args.running),
        stop: &stop,
    };
    let (printer, recorder) = (Printer::new(global, &store), Recorder::default());
    let run = executor.run(&planned.plan, &|event| {
        recorder.event(&event);
        printer.event(&event);
    });
    drop(printer);
    let (report, tarballs) = match run {
        Ok(report) => {
            for failure in &report.failures {
                eprintln!("\n{}", render_failure(failure).trim_end());
            }
            say_what_folders_lack(global, args, &report);
            let tarballs = if report.cancelled {
                Err(CliError::Stopped)
            } else {
                let packing = Packing {
                    global,
                    project: &project,
                    store: &store,
                    planned: &planned,
                    fetcher: &fetcher,
                    stop: &stop,
                    contact: args.contact.as_deref(),
                    in_passing: true,
                };
                tarballs(&Writing { args, packing, signer: &signer, report: &report })
            };
            (report, tarballs)
        }
        Err(error) => (Report::default(), Err(error.into())),
    };
    let ending = Ending {
        id: run_name(),
        words: std::env::args_os().map(|word| without_password(&word.to_string_lossy())).collect(),
        error: tarballs.as_ref().err().map(|error| error.render(false)),
        jobs: executor.options.jobs,
        plan: &planned.plan,
        report: &report,
        store: &store,
        tarballs: tarballs.as_ref().map_or_else(|_| Vec::new(), Clone::clone),
        show: &render_failure,
    };
    let record = recorder.finish(ending);
    // A record is plain data.
    let text = serde_json::to_vec(&record).unwrap_or_default();
    if let Err(error) = store.remember_run(&record.id, &text) {
        global.say(&format!("note: `k3sroot report` will not know this run: {error}"));
    }
    tarballs?;
    for arch in &planned.arches {
        if let Some(out) = out_folder(args, &planned) {
            facts::write(global, arch, out, &record, &planned)?;
        }
    }
    global.say(&summary(&planned, &report, record.saved, started));
    let overrides: Vec<&str> = planned.overrides.keys().map(PackageName::as_str).collect();
    if !overrides.is_empty() {
        global.say(&format!("note: not from pinned sources but from local trees: {}", overrides.join(", ")));
    }
    say_what_is_missing(&report);
    if report.failures.is_empty() {
        Ok(())
    } else {
        Err(CliError::Unfinished {
            our_own: report.failures.iter().any(|failure| failure.source.is_our_own()),
        })
    }
}

/// What is missing from folders that were collected for builds without a network.
fn say_what_folders_lack(global: &Global, args: &Build, report: &Report) {
    let errors = report.failures.iter().filter_map(|failure| match &failure.source {
        ActionError::Source(error) => Some(error),
        _ => None,
    });
    let errors: Vec<_> = errors.collect();
    for line in lacks(global, &args.selection, &args.sources.distfiles, &errors) {
        eprintln!("hint: {line}");
    }
}

/// What this run is called: when it ended, so that names are in order of time.
#[expect(clippy::disallowed_methods, reason = "the clock names a record, and reaches nothing that is built")]
fn run_name() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string().replace(':', "-")
}

/// A word of the command line, without the name and password that an address in it may have.
fn without_password(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let host = rest.find('/').unwrap_or(rest.len());
    let secret = rest[..host].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}://{}", &rest[secret..])
}

/// The folder that files are written to, if any are.
fn out_folder<'a>(args: &'a Build, planned: &Planned) -> Option<&'a Path> {
    // Who builds one package while working on it must not lose the root that lies in `dist`.
    let default = (!planned.named).then(|| Path::new(DIST));
    args.out.as_deref().or(default)
}

/// What there is to write from.
struct Writing<'a> {
    args: &'a Build,
    packing: Packing<'a>,
    signer: &'a Signer,
    report: &'a Report,
}

/// Packs everything that was built, for every arch.
fn tarballs(writing: &Writing<'_>) -> Result<Vec<TarballRecord>, CliError> {
    let Writing { args, packing, report, .. } = writing;
    let Packing { project, planned, .. } = packing;
    // A missing source leaves a package out; anything else that fails leaves nothing that could be taken for a root.
    let broken = report.failures.iter().any(|failure| !matches!(failure.source, ActionError::Source(_)));
    let mut all = Vec::new();
    if let Some(out) = out_folder(args, planned) {
        // What lies there is replaced, and there is nothing to replace it with.
        if project.none_ships(planned) {
            packing
                .global
                .say("note: no tarballs: nothing of what was asked for has files of its own in the root");
            return Ok(all);
        }
        for arch in &planned.arches {
            remove_earlier(project, arch, out)?;
            let written = if broken { Ok(Vec::new()) } else { write_tars(writing, arch, out) };
            // An earlier pack is not of what is there now.
            if written.as_ref().map_or(true, Vec::is_empty) {
                discard(packing.global, arch, out)?;
            }
            all.extend(written?);
        }
    }
    Ok(all)
}

/// The list of what is not in the tarballs.
pub(super) fn missing_note(arch: &ArchName, out: &Path) -> PathBuf {
    out.join(format!("k3s-root-{arch}.missing.txt"))
}

/// The list of what was built from local trees, which makes tarballs that nobody else can build.
pub(super) fn overrides_note(arch: &ArchName, out: &Path) -> PathBuf {
    out.join(format!("k3s-root-{arch}.overrides.txt"))
}

/// Removes what an earlier build left in `out`, lest it be taken for this one's.
fn remove_earlier(project: &Project, arch: &ArchName, out: &Path) -> Result<(), CliError> {
    let tarballs = project.layout.tarball_files(arch).into_iter().map(|(_, file)| file);
    let documents = DOCUMENTS.map(|kind| kind.file(arch)).into_iter();
    let documents = documents.chain([envelope_file(arch), facts::file(arch)]);
    let files = tarballs.chain([project.layout.checksums_file(arch)]).chain(documents);
    let files = files.map(|file| out.join(file));
    for path in files.chain([missing_note(arch, out), overrides_note(arch, out)]) {
        remove_if_there(&path)?;
    }
    Ok(())
}

/// Packs what was built for `arch`.
fn write_tars(writing: &Writing<'_>, arch: &ArchName, out: &Path) -> Result<Vec<TarballRecord>, CliError> {
    let Writing { args, packing, signer, report } = writing;
    let Packing { global, project, store, planned, .. } = packing;
    let tree_of = |unit: &Unit| report.outcomes.get(unit).map(|(outcome, _)| outcome.tree);
    let Some(mut packed) = packed(project, store, planned, arch, tree_of)? else { return Ok(Vec::new()) };
    // The list of checksums stays the last.
    let about = About::new(project, planned, arch, store, &report.machines)?;
    let contents = about.contents(&packed.root, &packed.files)?;
    let documents = documents(&DOCUMENTS, &contents, signer);
    let last = packed.files.len().saturating_sub(1);
    packed.files.splice(last..last, documents);
    fs::create_dir_all(out).map_err(io_error("make", out))?;
    let written = pack::write_files(out, &packed.files)?;
    for file in &written {
        let (size, path) = (super::printer::bytes(file.size), file.path.display());
        global.say(&format!("{}  {size}  {path}", file.sha256));
    }
    if !planned.overrides.is_empty() {
        let note = overrides_note(arch, out);
        let line = |(package, over): (&PackageName, &Override)| {
            format!("{package} {} {}\n", over.tree, over.path.display())
        };
        let text: String = planned.overrides.iter().map(line).collect();
        fs::write(&note, text).map_err(io_error("write", &note))?;
    }
    if !packed.missing.is_empty() {
        let note = missing_note(arch, out);
        let names: Vec<&str> = packed.missing.iter().map(PackageName::as_str).collect();
        fs::write(&note, names.join("\n") + "\n").map_err(io_error("write", &note))?;
        packed.say_what_is_missing(global, arch);
        global.say(&format!("{}  written", note.display()));
    }
    if args.no_legal {
        packing.skip(&contents, out)?;
    } else {
        packing.write(&contents, out)?.say_in_passing(global);
    }
    let records = packed.root.tarballs.iter().filter_map(|tarball| {
        let file = tarball.file_name(arch);
        let written = written.iter().find(|written| written.path.ends_with(&file))?;
        let (sha256, members) = (written.sha256.to_string(), tarball.members.iter().map(member).collect());
        Some(TarballRecord { file, sha256, bytes: written.size, members })
    });
    Ok(records.collect())
}

fn member(member: &Member<Arc<[u8]>>) -> MemberRecord {
    let (bytes, link) = match &member.content {
        Content::Folder => (0, None),
        Content::File { contents, .. } => (contents.len() as u64, None),
        Content::Link { target } => (0, Some(target.clone())),
    };
    let package = member.origin.as_ref().map(|origin| origin.package.clone());
    MemberRecord { name: member.name.clone(), bytes, link, package }
}

/// How everything came to be, in one line.
fn summary(planned: &Planned, report: &Report, saved: f64, started: Instant) -> String {
    let count = |wanted: fn(&How) -> bool| report.outcomes.values().filter(|(_, how)| wanted(how)).count();
    let built = count(|how| matches!(how, How::Built { .. }));
    let cut_off = count(|how| matches!(how, How::CutOff));
    let cached = count(|how| matches!(how, How::Cached));
    let of_unit = |how: &How| if let How::Built { cpu, .. } = how { cpu.as_secs_f64() } else { 0.0 };
    let cpu: f64 = report.outcomes.values().map(|(_, how)| of_unit(how)).sum();
    let wall = started.elapsed().as_secs_f64();
    let all = planned.plan.actions().len();
    let (failed, blocked) = (report.failures.len(), report.blocked.len());
    // What is not looked at because nothing that needs it is built: the tools of what is in the store.
    let idle = all.saturating_sub(report.outcomes.len() + failed + blocked);
    format!(
        "{all} units: {built} built, {cached} from the store, {cut_off} cut off, {idle} not needed, {failed} failed, \
         {blocked} blocked; {wall:.1} s, {cpu:.0} CPU s of builds, {saved:.0} CPU s saved"
    )
}

/// Which wanted units have no outcome because of which failed ones.
fn say_what_is_missing(report: &Report) {
    let mut by_cause: BTreeMap<&Unit, Vec<String>> = BTreeMap::new();
    for (unit, cause) in &report.blocked {
        by_cause.entry(cause).or_default().push(unit.to_string());
    }
    for (cause, units) in by_cause {
        eprintln!("not built because of {cause}: {}", units.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_remembered() {
        let shown = [
            "--debian-mirror=https://me:secret@mirror.test/debian",
            "https://me@mirror.test",
            "https://mirror.test/a@b",
            "pigz@amd64",
        ]
        .map(without_password);
        let expected = [
            "--debian-mirror=https://mirror.test/debian",
            "https://mirror.test",
            "https://mirror.test/a@b",
            "pigz@amd64",
        ];
        assert_eq!(shown, expected);
    }
}
