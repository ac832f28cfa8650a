//! `k3sroot build`: from recipes to tarballs.

use std::collections::{BTreeMap, BTreeSet};
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
use super::place::{refuse_other_than_folder, remove_if_there};
use super::printer::Printer;
use super::project::{Planned, Project, open_store};
use base::name::{ArchName, PackageName, Unit};
use execute::{ActionError, Executor, Failure, How, Report};
use model::plan::Override;
use report::{Ending, MemberRecord, Recorder, TarballRecord};
use root::pack::{self, Content, Member, Rendered, Written};

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
    // What an earlier build wrote keeps the facts of that build.
    if let (false, Some(out)) = (tarballs?.is_empty(), out_folder(args, &planned)) {
        for arch in &planned.arches {
            facts::write(global, arch, out, &record, &planned)?;
        }
    }
    global.say(&summary(&planned, &report, record.saved, started));
    let over =
        |(package, over): (&PackageName, &Override)| format!("{package} (version {})", over.shown_version());
    let overrides: Vec<String> = planned.overrides.iter().map(over).collect();
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
    // A root without a package is for those who ask for it; one without what failed to build is for nobody.
    let unreachable = |failure: &Failure| matches!(failure.source, ActionError::Source(_));
    let unreachable_alone = report.failures.iter().all(unreachable);
    let writes = report.failures.is_empty() || args.partial && unreachable_alone;
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
            if writes {
                if packing.stop.is_thrown() {
                    return Err(CliError::Stopped);
                }
                all.extend(write_tars(writing, arch, out)?);
            } else {
                say_what_stays(packing, arch, out);
            }
        }
        if !writes && unreachable_alone {
            eprintln!("hint: `--partial` writes tarballs without the packages whose sources are unreachable");
        }
    }
    Ok(all)
}

/// The list of what is not in the tarballs.
pub(super) fn missing_note(arch: &ArchName, out: &Path) -> PathBuf {
    out.join(missing_file(arch))
}

/// The list of what was built from local trees, which makes tarballs that nobody else can build.
pub(super) fn overrides_note(arch: &ArchName, out: &Path) -> PathBuf {
    out.join(overrides_file(arch))
}

fn missing_file(arch: &ArchName) -> String {
    format!("k3s-root-{arch}.missing.txt")
}

fn overrides_file(arch: &ArchName) -> String {
    format!("k3s-root-{arch}.overrides.txt")
}

/// The two lists, as far as they have a line.
fn notes(planned: &Planned, missing: &BTreeSet<PackageName>, arch: &ArchName) -> Vec<Rendered> {
    let over = |(package, over): (&PackageName, &Override)| {
        format!("{package} {} {} {}\n", over.shown_version(), over.tree, over.path.display())
    };
    let overrides: Vec<String> = planned.overrides.iter().map(over).collect();
    let missing: Vec<String> = missing.iter().map(|package| format!("{package}\n")).collect();
    [(overrides_file(arch), overrides), (missing_file(arch), missing)]
        .into_iter()
        .filter(|(_, lines)| !lines.is_empty())
        .map(|(name, lines)| Rendered::new(name, lines.concat().into_bytes()))
        .collect()
}

/// Says that the tarballs of an earlier build are still there, after a build that wrote none.
fn say_what_stays(packing: &Packing<'_>, arch: &ArchName, out: &Path) {
    let files = packing.project.layout.tarball_files(arch).into_iter().map(|(_, file)| out.join(file));
    for path in files.filter(|path| path.exists()) {
        packing.global.say(&format!("note: `{}` is unchanged: it is from an earlier build", path.display()));
    }
}

/// Removes what an earlier build left in `out` and this one does not have, lest it be taken for this one's.
fn remove_others(arch: &ArchName, out: &Path, written: &[Written]) -> Result<(), CliError> {
    let documents = DOCUMENTS.map(|kind| kind.file(arch)).into_iter();
    let files = documents.chain([envelope_file(arch), facts::file(arch)]).map(|file| out.join(file));
    for path in files.chain([missing_note(arch, out), overrides_note(arch, out)]) {
        if written.iter().all(|file| file.path != path) {
            remove_if_there(&path)?;
        }
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
    packed.files.splice(last..last, documents.into_iter().chain(notes(planned, &packed.missing, arch)));
    let written = pack::write_files(out, &packed.files)?;
    remove_others(arch, out, &written)?;
    for file in &written {
        let (size, path) = (super::printer::bytes(file.size), file.path.display());
        global.say(&format!("{}  {size}  {path}", file.sha256));
    }
    if !packed.missing.is_empty() {
        packed.say_what_is_missing(global, arch);
    }
    if args.no_legal {
        packing.skip(&contents, out)?;
    } else {
        match packing.write(&contents, out) {
            Ok(done) => done.say_in_passing(global),
            Err(error) => {
                // An earlier pack is not of what is there now.
                discard(global, arch, out)?;
                return Err(error);
            }
        }
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
    // The sum of nothing is negative zero.
    let cpu = 0.0 + report.outcomes.values().map(|(_, how)| of_unit(how)).sum::<f64>();
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
