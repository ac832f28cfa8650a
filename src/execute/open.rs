//! Opens the sandbox of one unit for a person: as a failed build left it, or freshly filled.

use super::work::Inputs;
use super::workdir::{Limits, WorkDir};
use super::{ActionError, Executor, Kept, borrowed, identity, key, wanted};
use base::name::Unit;
use model::plan::policy::SRC;
use model::plan::{Action, Plan};
use sandbox::{Exit, Invocation, Output, Shim};

/// The folders of a unit's build.
#[derive(Debug)]
pub enum Opened {
    /// As the failed phase left them.
    Failed {
        /// The folders.
        work: WorkDir,
        /// What failed.
        kept: Kept,
    },
    /// As they are before the first phase.
    Fresh {
        /// The folders.
        work: WorkDir,
    },
}

impl Executor<'_> {
    /// The folders of `unit`: those of a failed build of the same action, or new ones, filled.
    pub fn open(&self, plan: &Plan, unit: &Unit) -> Result<Opened, ActionError> {
        let action = action(plan, unit)?;
        if let Some((work, kept)) = WorkDir::kept(self.store, unit) {
            if kept.action == action.digest() {
                return Ok(Opened::Failed { work, kept });
            }
        }
        let work = WorkDir::new(self.store, unit)?;
        let obtained = wanted(action)
            .iter()
            .map(|archives| self.fetcher.obtain(archives, &|_| (), &self.stop.downloads))
            .collect::<Result<Vec<_>, _>>()
            .map_err(ActionError::from)?;
        let limits = Limits { source: self.options.source, deadline: self.stop.deadline(None) };
        work.fill(action, &obtained, self.store, &limits)?;
        let machine = identity(self.sandbox.mode()).map_err(|error| ActionError::Io {
            what: "tell this machine from others".to_owned(),
            source: std::io::Error::other(error),
        })?;
        let tree = |unit: &Unit| {
            let action = plan.get(unit)?;
            Some(self.store.lookup(&key(action, &machine)).map(|outcome| outcome.map(|outcome| outcome.tree)))
        };
        let mut inputs = Inputs::default();
        for (units, trees) in [(action.tools(), &mut inputs.tools), (action.sysroot(), &mut inputs.sysroot)] {
            for unit in units.keys() {
                let tree = tree(unit).transpose()?.flatten();
                let tree = tree.ok_or_else(|| ActionError::NeedNotBuilt { need: unit.clone() })?;
                trees.insert(unit.clone(), tree);
            }
        }
        inputs.place(&work, self.store, self.sandbox.mode())?;
        Ok(Opened::Fresh { work })
    }

    /// Runs `argv` in the opened folders, on the caller's terminal.
    pub fn enter(
        &self,
        plan: &Plan,
        unit: &Unit,
        opened: &Opened,
        argv: &[String],
    ) -> Result<Exit, ActionError> {
        let action = action(plan, unit)?;
        let (work, cwd) = match opened {
            Opened::Failed { work, kept } => (work, kept.cwd.as_str()),
            Opened::Fresh { work } => (work, SRC),
        };
        borrowed::prepare(self.store).map_err(|source| ActionError::Io {
            what: "link the build machine's programs".to_owned(),
            source,
        })?;
        let mut env = action.env().clone();
        env.insert("PS1".to_owned(), format!("[{unit}] $PWD # "));
        let invocation = Invocation {
            mounts: &work.mounts(&self.borrowed(action)?)?,
            argv,
            env: &env,
            cwd,
            shims: &Shim::for_environment(&env),
            output: Output::Inherit,
            log_limit: u64::MAX,
            timeout: None,
            memory: self.options.memory,
            file_size: Some(self.options.output),
            inherit_fds: &[],
        };
        Ok(self.sandbox.run(&invocation, &self.stop.processes)?)
    }
}

fn action<'a>(plan: &'a Plan, unit: &Unit) -> Result<&'a Action, ActionError> {
    plan.get(unit).ok_or_else(|| ActionError::NotPlanned { unit: unit.clone() })
}
