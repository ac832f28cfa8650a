//! `kill -9` at any moment, of k3sroot alone or of all its processes at once: nothing is lost, and nothing is left.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::scripts::{self, UNITS, assert_sound, build_words, set};
use super::skipped::skipped;
use super::workspace::{ARCH, Conditions, USUAL, Workspace};

const KILLS: usize = 100;
/// After how many kills the next build is left to finish.
const CHECK: usize = 10;
/// After what time there are enough, on a machine that is slow.
const ENOUGH: Duration = Duration::from_secs(60);

/// Moments without a pattern: the same ones for the same seed (`SplitMix64`).
struct Random(u64);

impl Random {
    /// A seed that `K3SROOT_TEST_SEED` names, or one of this moment.
    #[expect(clippy::disallowed_methods, reason = "a failure is repeated with the seed that it printed")]
    fn new() -> (Self, String) {
        let given = std::env::var("K3SROOT_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        let seed = given.unwrap_or(u64::try_from(now).unwrap());
        (Self(seed), format!("K3SROOT_TEST_SEED={seed}"))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, limit: Duration) -> Duration {
        Duration::from_micros(self.next() % u64::try_from(limit.as_micros().max(1)).unwrap())
    }
}

/// A process and all that descend from it.
fn tree(root: u32) -> Vec<Pid> {
    let mut parents = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let pid = process.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        if let (Some(pid), Some(parent)) = (pid, fields.get(1).and_then(|parent| parent.parse::<i32>().ok()))
        {
            parents.push((pid, parent));
        }
    }
    let mut tree = vec![i32::try_from(root).unwrap()];
    let mut next = 0;
    while let Some(&parent) = tree.get(next) {
        tree.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    tree.into_iter().map(Pid::from_raw).collect()
}

/// Starts a command of k3sroot's, and kills it after a while, with all its processes or alone; whether it was not over yet.
fn killed_after(workspace: &Workspace, verb: &str, words: &[&str], time: Duration, whole_tree: bool) -> bool {
    let mut command = workspace.command(verb, words);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(time);
    if whole_tree {
        for pid in tree(child.id()) {
            // Those that follow their parent are gone by now.
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

/// How many of the units the store has.
fn stored(workspace: &Workspace, sandbox: &str) -> usize {
    let plan = workspace.run("plan", &["--arch", ARCH, "--sandbox", sandbox, "--json"]);
    plan.stdout.matches("\"stored\": true").count()
}

fn kills(sandbox: &'static str, count: usize, whole_trees: bool) {
    let workspace = scripts::workspace(Conditions { sandbox, ..USUAL });
    let (mut random, seed) = Random::new();
    workspace.build_all();
    let undisturbed = workspace.dist();
    set(&workspace, "ROUND", 1);
    let started = Instant::now();
    workspace.build_all();
    let whole = started.elapsed();

    let words = [&build_words(sandbox)[..], &["--out", "dist"]].concat();
    let (mut unfinished, mut kills) = (0, 0);
    for round in 0..count {
        let context = format!("{seed}, kill {round}, --sandbox {sandbox}");
        set(&workspace, "ROUND", round + 2);
        let whole_tree = whole_trees && round % 2 == 0;
        let killed = killed_after(&workspace, "build", &words, random.below(whole), whole_tree);
        unfinished += usize::from(killed);
        kills += 1;
        if round % CHECK == CHECK - 1 {
            // At once, while what was killed may still be dying.
            let kept = stored(&workspace, sandbox);
            let run = workspace.build(&[]);
            assert_eq!(run.code, Some(0), "{context}: {}", run.stderr);
            // What had come to its end before the kill is not built again.
            assert!(run.count().built + kept <= UNITS, "{context}: {kept} were kept: {}", run.stderr);
            assert!(workspace.dist() == undisturbed, "{context}: {:?}", workspace.dist_names());
            assert_sound(&workspace, &context);
            if started.elapsed() > ENOUGH {
                let what = format!("{} of {count} kills, --sandbox {sandbox}", count - round - 1);
                skipped(&what, "this machine is slow");
                break;
            }
        }
    }
    // The others had ended before their time came, which is drawn from the length of a whole build.
    assert!(unfinished * 10 > kills, "{seed}: {unfinished} of {kills} builds were killed before their end");
}

#[test]
fn kills_of_a_build_lose_nothing() {
    // Only namespaces end what runs in them when everything of k3sroot's is killed at one blow.
    let apart = super::namespaces();
    kills("auto", KILLS * 4 / 5, apart);
    kills("none", KILLS / 5, false);
}

#[test]
fn a_killed_gc_leaves_what_it_had_not_removed_whole() {
    let workspace = scripts::workspace(USUAL);
    let (mut random, seed) = Random::new();
    workspace.build_all();
    let undisturbed = workspace.dist();
    for round in 0..10 {
        let context = format!("{seed}, kill {round}");
        let words = ["gc", "--max-size", if round % 2 == 0 { "0" } else { "100K" }];
        killed_after(&workspace, "cache", &words, random.below(Duration::from_millis(25)), false);
        assert_sound(&workspace, &context);
        workspace.build_all();
        assert!(workspace.dist() == undisturbed, "{context}: {:?}", workspace.dist_names());
    }
}
