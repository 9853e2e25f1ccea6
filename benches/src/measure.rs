//! One measurement: everything started fresh, warmed up, watched for a while.

use crate::binaries::Binary;
use crate::case::{Case, Http, Variant, Work};
use crate::certificate;
use crate::failure::{Context, Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::meter::{self, Machine, Memory, Sockets};
use crate::place::{Cores, Place, Role};
use crate::process::{ANSWER, Process, Scratch};
use crate::service::Identity;
use crate::setup::{Limits, Setup, write_configuration};
use crate::traffic::tally::{Latency, Report};
use serde::Serialize;
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long connections rest before memory is read, so that queues are empty.
const REST: Duration = Duration::from_millis(100);

/// A traffic process that nobody has ended by then ends by itself.
const FORGOTTEN: Duration = Duration::from_secs(900);

/// What all measurements of a run have in common.
pub struct Bench {
    /// This program, which is also generator and endpoint.
    pub program: PathBuf,
    /// Where files of the run go.
    pub scratch: Scratch,
    /// As whom candidates run; `None` without root: as the one who runs this.
    pub identity: Option<Identity>,
    /// The cores, if there are two.
    pub cores: Option<Cores>,
    /// In namespaces, or on loopback.
    pub namespaces: bool,
    /// The programs that were found.
    pub binaries: Vec<Binary>,
    /// Descriptors that a process may have.
    pub descriptors: u64,
    /// Ctrl-C.
    pub interrupt: Interrupt,
    /// Places made so far.
    pub places: Cell<usize>,
}

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Before counting begins.
    pub warm_up: Duration,
    /// Of counting.
    pub measure: Duration,
}

/// What endpoint and candidate are to be ready for.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// What the generator will do.
    pub work: Work,
    /// The messages of the HTTP work.
    pub http: Option<Http>,
    /// Bytes that a session of the idle work exchanges.
    pub bytes: usize,
    /// Sessions that the candidate has to allow for.
    pub sessions: usize,
}

/// Endpoint and candidate, running; dropping it ends them and takes their place away.
pub struct Scene<'a> {
    bench: &'a Bench,
    /// The candidate; `None` in the null test.
    pub candidate: Option<Process>,
    /// The endpoint.
    pub endpoint: Process,
    target: std::net::SocketAddr,
    http: Option<Http>,
    directory: PathBuf,
    log: PathBuf,
    // Last: processes go before their namespaces do.
    place: Place,
}

impl<'a> Scene<'a> {
    /// Makes a place and starts endpoint and candidate in it.
    ///
    /// # Errors
    /// One of them does not start, or does not listen in time.
    pub fn set(bench: &'a Bench, setup: &Setup, stage: Stage) -> Outcome<Self> {
        let Stage { work, http, bytes, sessions } = stage;
        let number = bench.places.get();
        bench.places.set(number + 1);
        let directory = bench.scratch.path().join(format!("{number}-{}", setup.name));
        fs::create_dir(&directory).context(|| directory.display().to_string())?;
        let log = bench.scratch.path().join(format!("{number}-{}.log", setup.name));
        let place = if bench.namespaces {
            Place::namespaces(bench.cores, &log, &bench.interrupt)?
        } else {
            Place::loopback(bench.cores)?
        };
        let mut arguments = vec!["--listen".into(), place.endpoint_listens().to_string()];
        arguments.extend(["--work".into(), word_of(work), "--bytes".into(), bytes.to_string()]);
        arguments.extend(words_of(http));
        let endpoint = bench.traffic(&place, Role::Endpoint, "endpoint", arguments);
        let mut endpoint = Process::talking("the endpoint", endpoint, &log)?;
        endpoint.line(&bench.interrupt)?;
        let limits = Limits { sessions, descriptors: bench.descriptors };
        let candidate = bench.candidate(setup, &place, limits, &directory, &log)?;
        let target = if candidate.is_some() { place.listen() } else { place.direct() };
        Ok(Self { bench, candidate, endpoint, target, http, directory, log, place })
    }

    /// Starts the generator.
    ///
    /// # Errors
    /// It does not start.
    pub fn load(&self, work: Work, arguments: &[(&str, usize)]) -> Outcome<Process> {
        let mut words = vec!["--to".into(), self.target.to_string()];
        words.extend(["--work".into(), word_of(work)]);
        words.extend(words_of(self.http));
        for (name, value) in arguments {
            words.extend([(*name).to_owned(), value.to_string()]);
        }
        let command = self.bench.traffic(&self.place, Role::Generator, "load", words);
        let mut load = Process::talking("the generator", command, &self.log)?;
        load.line(&self.bench.interrupt)?;
        Ok(load)
    }

    /// KiB that the kernel charges to the candidate's sockets; `None` on loopback, where they
    /// cannot be told from others, without a candidate, or without `ss`.
    #[must_use]
    pub fn charged(&self) -> Option<u64> {
        let candidate = self.candidate.as_ref().filter(|_| self.place.isolated())?;
        let output = Command::new("nsenter")
            .arg(format!("--net=/proc/{}/ns/net", candidate.id()))
            .args(["ss", "-tmnH"])
            .output()
            .ok()?;
        output.status.success().then(|| meter::charged(&String::from_utf8_lossy(&output.stdout)))
    }
}

impl Drop for Scene<'_> {
    /// What it has logged is large, and of no use any more.
    fn drop(&mut self) {
        self.candidate = None;
        let _ = fs::remove_dir_all(&self.directory);
        let _ = fs::remove_file(&self.log);
    }
}

fn word_of(work: Work) -> String {
    use clap::ValueEnum;
    work.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// The messages of the HTTP work, as the traffic processes take them.
fn words_of(http: Option<Http>) -> impl Iterator<Item = String> {
    http.into_iter().flat_map(|http| ["--http".into(), http.to_word()])
}

impl Bench {
    fn traffic(&self, place: &Place, role: Role, name: &str, arguments: Vec<String>) -> Command {
        let mut words = place.command(role);
        words.extend([self.program.display().to_string(), name.to_owned()]);
        words.extend(arguments);
        words.extend(["--limit".into(), FORGOTTEN.as_secs().to_string()]);
        command(&words)
    }

    /// Starts the candidate and waits until it listens.
    fn candidate(
        &self,
        setup: &Setup,
        place: &Place,
        limits: Limits,
        directory: &Path,
        log: &Path,
    ) -> Outcome<Option<Process>> {
        let Some((kind, template)) = &setup.template else { return Ok(None) };
        let binary = self.binaries.iter().find(|binary| binary.kind == *kind);
        let binary = binary.ok_or_else(|| Failure::new(format!("no {}", kind.name())))?;
        let configuration = write_configuration(template, binary, place, limits, directory)?;
        let certificate = self.scratch.path().join(certificate::FILE);
        fs::copy(&certificate, directory.join(certificate::FILE))
            .context(|| format!("cannot copy {}", certificate.display()))?;
        let mut words = place.command(Role::Candidate);
        if let Some(identity) = &self.identity {
            identity.own(directory)?;
            words.push("setpriv".into());
            words.extend(identity.setpriv());
        }
        words.push(binary.path.display().to_string());
        words.extend(binary.arguments(&configuration, directory));
        let mut candidate = Process::start(&setup.name, command(&words), log)?;
        let port = place.listen().port();
        self.interrupt.wait_for("listening candidate", ANSWER, || {
            candidate.alive()?;
            Ok(meter::listens(candidate.id(), port).then_some(()))
        })?;
        Ok(Some(candidate))
    }
}

fn command(words: &[String]) -> Command {
    let mut command = Command::new(words.first().map_or("", String::as_str));
    command.args(words.iter().skip(1));
    command
}

/// What one measurement found. Times are in seconds.
#[derive(Clone, Debug, Serialize)]
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
    fn now(candidate: &[u32], load: &[u32]) -> Outcome<Self> {
        Ok(Self {
            candidate: meter::processor_seconds(candidate)?,
            load: meter::processor_seconds(load)?,
            machine: Machine::now()?,
        })
    }
}

/// Takes one sample of `setup` under the load of `variant`.
///
/// # Errors
/// Something does not start, ends, or does not answer; a signal came.
pub fn measure(
    bench: &Bench,
    setup: &Setup,
    case: &Case,
    variant: &Variant,
    times: Times,
) -> Outcome<Sample> {
    // Room to spare: a candidate at its limit would wait instead of work.
    let room = usize::try_from(bench.descriptors / 5).unwrap_or(usize::MAX).min(4000);
    let sessions = room.max(variant.connections);
    let stage = Stage { work: case.work, http: case.http, bytes: 0, sessions };
    let mut scene = Scene::set(bench, setup, stage)?;
    let mut load = scene.load(case.work, &[("--connections", variant.connections)])?;
    let interrupt = &bench.interrupt;
    interrupt.wait(times.warm_up)?;
    let family = scene.candidate.as_ref().map(|c| meter::family(c.id())).unwrap_or_default();
    let traffic = [load.id(), scene.endpoint.id()];

    let warm = [mark(&mut scene.endpoint, interrupt)?, mark(&mut load, interrupt)?];
    let before = Reading::now(&family, &traffic)?;
    interrupt.wait(times.measure)?;
    let reports = [mark(&mut scene.endpoint, interrupt)?, mark(&mut load, interrupt)?];
    let after = Reading::now(&family, &traffic)?;
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
        memory: Memory::of(&family)?,
        sockets: Sockets::of(scene.candidate.as_ref().map_or(load.id(), Process::id))?,
        charged: scene.charged(),
        charged_busy,
    })
}

/// Asks a traffic process what it has counted since it was last asked.
///
/// # Errors
/// It does not answer, or not sensibly.
pub fn mark(process: &mut Process, interrupt: &Interrupt) -> Outcome<Report> {
    let answer = process.ask("mark", interrupt)?;
    serde_json::from_str(&answer).context(|| format!("not a report: {answer}"))
}
