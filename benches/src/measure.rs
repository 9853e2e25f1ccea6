//! One measurement: everything started fresh, warmed up, watched for a while.

use crate::case::{Case, Variant, Work};
use crate::failure::{Context, Outcome};
use crate::interrupt::Interrupt;
use crate::meter::{self, Machine, Memory, Sockets};
use crate::process::Process;
use crate::scene::{Bench, Scene};
use crate::setup::Setup;
use crate::stage::Stage;
use crate::traffic::tally::{Latency, Report};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// How long connections rest before memory is read, so that queues are empty.
const REST: Duration = Duration::from_millis(100);

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Before counting begins.
    pub warm_up: Duration,
    /// Of counting.
    pub measure: Duration,
}

/// What one measurement found. Times are in seconds.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Sample {
    /// Time between the two marks.
    pub seconds: f64,
    /// Units in that time.
    pub units: f64,
    /// Processor time of the candidate.
    pub candidate: f64,
    /// Processor time of generator and endpoint.
    pub load: f64,
    /// Processor time of the whole machine, others included.
    pub machine: f64,
    /// What the host gave to other machines meanwhile.
    pub stolen: f64,
    /// Latencies, where the case has any.
    pub latency: Option<Latency>,
    /// Connections that ended as they should not, at either end, warm-up included.
    pub errors: u64,
    /// What the first of them was.
    pub first_error: Option<String>,
    /// Reloads of the candidate in that time.
    pub reloads: usize,
    /// The candidate's memory after traffic, connections still open.
    pub memory: Memory,
    /// The sockets of its namespace at that time.
    pub sockets: Sockets,
    /// KiB that the kernel charges to them then.
    pub charged: Option<u64>,
    /// KiB that it charged to them while traffic was flowing.
    pub charged_busy: Option<u64>,
}

/// Processor times at one moment.
struct Reading {
    candidate: f64,
    load: f64,
    machine: Machine,
}

impl Reading {
    /// `root` is the candidate. What is reloaded goes on in other processes, which are followed.
    fn now(root: Option<u32>, reloads: bool, load: &[u32]) -> Outcome<Self> {
        let candidate = match root {
            None => 0.0,
            Some(root) if reloads => meter::lineage_seconds(root)?,
            Some(root) => meter::processor_seconds(&meter::family(root))?,
        };
        Ok(Self { candidate, load: meter::processor_seconds(load)?, machine: Machine::now()? })
    }
}

/// Takes one sample of `setup` under the load of `variant`; with a `rate` operations begin at that
/// many a second, whether or not those before are over.
///
/// # Errors
/// Something does not start, ends, or does not answer; a signal came.
pub fn measure(
    bench: &Bench,
    setup: &Setup,
    (case, variant): (&Case, &Variant),
    times: Times,
    rate: Option<f64>,
) -> Outcome<Sample> {
    // Room to spare: a candidate at its limit would wait instead of work.
    let room = usize::try_from(bench.descriptors / 5).unwrap_or(usize::MAX).min(4000);
    let stage = Stage::of(case, variant, setup, room.max(variant.connections));
    let mut scene = Scene::set(bench, setup, stage, &[])?;
    let mut arguments = vec![("--connections", variant.connections.to_string())];
    arguments.extend(rate.map(|rate| ("--rate", rate.to_string())));
    let mut load = scene.load(&arguments)?;
    let interrupt = &bench.interrupt;
    interrupt.wait(times.warm_up)?;
    let root = scene.candidate.as_ref().map(Process::id);
    let traffic = [load.id(), scene.endpoint.id()];

    let warm = [mark(&mut scene.endpoint, interrupt)?, mark(&mut load, interrupt)?];
    let before = Reading::now(root, stage.reloads, &traffic)?;
    let reloads = watch(&mut scene, case.reload_every, times.measure, interrupt)?;
    let reports = [mark(&mut scene.endpoint, interrupt)?, mark(&mut load, interrupt)?];
    let after = Reading::now(root, stage.reloads, &traffic)?;
    let charged_busy = scene.charged();

    load.ask("rest", interrupt)?;
    scene.endpoint.ask("rest", interrupt)?;
    interrupt.wait(REST)?;
    if let Some(candidate) = &mut scene.candidate {
        candidate.alive()?;
    }
    let counted = &reports[usize::from(case.work != Work::BulkUp)];
    let all = || warm.iter().chain(&reports);
    #[allow(clippy::cast_precision_loss)]
    Ok(Sample {
        seconds: counted.seconds,
        units: counted.count as f64 / case.unit.size(),
        candidate: after.candidate - before.candidate,
        load: after.load - before.load,
        machine: after.machine.busy - before.machine.busy,
        stolen: after.machine.stolen - before.machine.stolen,
        latency: reports[1].latency.clone(),
        errors: all().map(|report| report.errors).sum(),
        first_error: all().find_map(|report| report.first_error.clone()),
        reloads,
        memory: root.map(memory).transpose()?.unwrap_or_default(),
        sockets: Sockets::of(root.unwrap_or(load.id()))?,
        charged: scene.charged(),
        charged_busy,
    })
}

/// Waits for as long as is measured, and reloads the candidate meanwhile; how often.
fn watch(
    scene: &mut Scene<'_>,
    every: Option<Duration>,
    measure: Duration,
    interrupt: &Interrupt,
) -> Outcome<usize> {
    let end = Instant::now() + measure;
    let mut reloads = 0;
    if let Some(every) = every.filter(|_| scene.candidate.is_some()) {
        // The last one has its time to show what it does.
        while end.saturating_duration_since(Instant::now()) > every {
            scene.reload()?;
            reloads += 1;
            interrupt.wait(every)?;
        }
    }
    interrupt.wait(end.saturating_duration_since(Instant::now()))?;
    Ok(reloads)
}

/// What the candidate holds; who ends meanwhile holds nothing.
fn memory(root: u32) -> Outcome<Memory> {
    let mut family = meter::family(root);
    family.retain(|&id| id == root || Memory::of(&[id]).is_ok());
    Memory::of(&family)
}

/// Asks a traffic process what it has counted since it was last asked.
///
/// # Errors
/// It does not answer, or not sensibly.
pub fn mark(process: &mut Process, interrupt: &Interrupt) -> Outcome<Report> {
    let answer = process.ask("mark", interrupt)?;
    serde_json::from_str(&answer).context(|| format!("not a report: {answer}"))
}
