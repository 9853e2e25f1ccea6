//! What a reload would do, without doing it: the comparison and the guard of the reload itself, and
//! what it prepares, prepared for nobody.

use super::parts::pools;
use super::{Engine, StartError};
use crate::layer7::{Services, unserved};
use crate::observe::metrics::Metrics;
use crate::probe;
use eclusa_config::diff::Diff;
use eclusa_config::plan::Plan;
use std::sync::Arc;

/// What a reload would do.
#[derive(Debug)]
pub(crate) struct Preview {
    /// The plan that runs.
    pub(crate) running: Plan,
    /// How many configurations have been in force, from 1.
    pub(crate) generation: u64,
    /// What would change.
    pub(crate) diff: Diff,
    /// What the shrink guard would refuse it for, each pool in words.
    pub(crate) refused: Vec<String>,
    /// What could not be had: a file, in words.
    pub(crate) trouble: Option<String>,
}

impl Engine {
    /// Looks what a reload of this plan would do. `files`: those that the plan names are loaded, as a
    /// reload would. New addresses are not bound: two on one address would share its clients.
    pub(crate) fn preview(&self, plan: &Plan, files: bool) -> Preview {
        let control = self.control();
        let (diff, guarded) = self.compared(&control, plan);
        let (running, generation) = (control.plan.clone(), control.generation);
        // Files are slow: who asks for the status need not wait.
        drop(control);
        let trouble = files.then(|| self.try_to_prepare(plan).err()).flatten();
        let refused = guarded.err().unwrap_or_default();
        Preview { running, generation, diff, refused, trouble }
    }

    fn try_to_prepare(&self, plan: &Plan) -> Result<(), String> {
        // Pools and counters of their own: nothing of this is in force.
        let pools = pools(plan, &Metrics::new(1, plan.program.name()));
        probe::prepare(&pools, plan).map_err(|why| StartError::Ca(why).to_string())?;
        let served = match &self.layer {
            Some(layer) => layer.check(plan),
            None => unserved(plan).map_or(Ok(()), Err),
        };
        served.map_err(|why| StartError::Service(why).to_string())
    }

    /// The plan that runs.
    pub(crate) fn plan(&self) -> Plan {
        self.control().plan.clone()
    }

    /// The services of the plan that runs.
    pub(crate) fn services(&self) -> Arc<Services> {
        self.shared.services.load_full()
    }
}
