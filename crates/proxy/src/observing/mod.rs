//! `observe`: the judges at work beside a HAProxy that carries the traffic. Probes and verdicts are those
//! of the service, by the same code; nothing is listened on, nothing is carried, nothing follows. What would
//! have followed is told, and so is where HAProxy says something else.
//!
//! | file | concern |
//! |---|---|
//! | `tap` | what the judges say, on its way here |
//! | `would` | what would have followed |
//! | `source`, `stat` | HAProxy's table: where it is read, what it says |
//! | `compare`, `tally` | two words on one endpoint: who said what since when; pure |
//! | `told`, `summary` | the same in words and for machines |
//! | `at` | moments, and how they are told |
//! | `observer` | all of it together |

mod at;
mod compare;
mod observer;
mod source;
mod stat;
mod summary;
mod tally;
mod tap;
mod told;
mod would;

pub(crate) use tap::{Judged, Tap, What};

use crate::admin::Told;
use crate::admin::client::{Page, event_row, has_colour};
use crate::command::{file_of, refuse};
use crate::confine::confine_observer;
use crate::engine::{Engine, StartError};
use crate::observe::{Follower, Recent};
use crate::run::listen;
use clap::Args;
use eclusa_config::diagnostic::counted;
use eclusa_config::plan::{
    Dashboard, LogOutput, LogTarget, Observe as Asked, Plan, Probe, Program,
};
use eclusa_config::{Loaded, Mode};
use observer::{Observer, READ_EVERY, Read};
use source::Source;
use std::future::pending;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind};
use tokio::sync::{mpsc, watch};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

/// For the end of its help.
#[must_use]
pub fn help(program: Program) -> String {
    let name = program.name();
    format!(
        "\
Lines go to standard output, and to the log that the file names, tagged {name}-observe. The metrics are
answered where `observe.listen` says, if that address is free. Standing sessions are HAProxy's: what would
have been done with them is told with its count.

Exit codes:
  0  ended in order: by --for, SIGTERM or SIGINT
  1  could not do its work
  2  the configuration or the command line is wrong

Signals:
  SIGTERM, SIGINT  a summary, and the end
  SIGUSR1          a summary; the files of the log are opened anew

For some days, beside HAProxy, whatever becomes of this terminal:
  systemd-run --unit eclusa-observe {name} observe --haproxy /run/haproxy/admin.sock
  journalctl -fu eclusa-observe"
    )
}

/// Between two looks at all endpoints.
const LOOK: Duration = Duration::from_secs(1);
/// Between two summaries.
const DAY: Duration = Duration::from_secs(86_400);
/// The longest pause after HAProxy could not be read.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// The exit code of a program that could not do its work.
const FAILED: u8 = 1;

/// `observe [-c FILE] [--haproxy FROM] [--for TIME] [--json]`
#[derive(Args, Debug)]
pub struct Observe {
    /// The file; without it the default file
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The HAProxy that carries the traffic: its stats socket, http://HOST:PORT/PATH;csv, or a file with
    /// its table
    #[arg(long, value_name = "FROM", value_parser = source::parse)]
    haproxy: Option<Source>,
    /// End after so long, such as 24h; without it at a signal
    #[arg(long = "for", value_name = "TIME", value_parser = eclusa_config::duration)]
    time: Option<Duration>,
    /// Lines of JSON
    #[arg(long)]
    json: bool,
}

/// Observes until its time is over or a signal ends it.
#[must_use]
pub fn run(program: Program, wanted: &Observe) -> ExitCode {
    let file = file_of(program, wanted.config.as_deref());
    let loaded = match eclusa_config::load(program, file, Mode::Start) {
        Ok(loaded) => loaded,
        Err(diagnostics) => return refuse(&diagnostics),
    };
    match observe(&loaded, file, wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{} observe: {message}", program.name());
            ExitCode::from(FAILED)
        }
    }
}

/// What is left of a plan where nothing is carried: pools, and where it is told.
fn bare(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    plan.listeners.clear();
    plan.lists.clear();
    plan.errors.clear();
    (plan.admin, plan.haproxy_socket) = (None, None);
    plan.dashboard = Dashboard::default();
    (plan.workers, plan.sessions_max) = (Some(1), None);
    // Nobody is to hold an address for us, nor to take our figures for a balancer's.
    plan.observe = Asked { listen: plan.observe.listen, ..Asked::default() };
    for output in &mut plan.log.outputs {
        output.sessions = None;
    }
    // What would stand on standard error stands on standard output.
    let is_kept = |it: &LogOutput| it.target != LogTarget::Stderr && it.events.is_some();
    plan.log.outputs.retain(is_kept);
    // A tag has 48 bytes at most, all of them ASCII.
    let tag: String = plan.log.tag.chars().take(48 - "-observe".len()).collect();
    plan.log.tag = format!("{tag}-observe").into();
    plan
}

fn observe(loaded: &Loaded, file: &Path, wanted: &Observe) -> Result<(), String> {
    let plan = bare(&loaded.plan);
    if plan.pools.iter().all(|pool| pool.probe == Probe::None) {
        let what = "no pool is probed, and without traffic nothing else tells how endpoints are";
        return Err(format!("{}: {what} (write `probe` in [pool.NAME])", file.display()));
    }
    let read = match &wanted.haproxy {
        Some(Source::Path(path)) => Some(path.as_path()),
        _ => None,
    };
    // Before any other thread: it holds for those that this one starts.
    let in_force = confine_observer(&plan, file, read);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let (tap, judged, lost) = Tap::new();
    let engine = Arc::new(start(&plan, tap)?);
    engine.tell("confined", in_force.words);
    for warning in loaded.warnings.lines().iter().chain(&in_force.warnings) {
        engine.warn(warning);
    }
    begin(&engine, &plan, wanted);
    let printer = Printer::new(engine.recent(), wanted.json)?;
    let local = LocalSet::new();
    let ended = local.block_on(&runtime, async {
        let (reads, every) = follow_haproxy(&engine, wanted.haproxy.clone());
        let source = wanted.haproxy.as_ref().map(ToString::to_string);
        let observer = Observer::new(engine.clone(), source, lost);
        let end = wanted.time.map(|time| Instant::now() + time);
        let mut watching = Watching { observer, printer, judged, reads, every, end };
        watching.watch(&mut signals, &engine).await
    });
    // Nothing stands here that could be waited for.
    engine.stop(|| true);
    ended.map_err(|error| format!("cannot write to standard output: {error}"))
}

/// Without the address of the metrics where somebody has it: a service that runs, or another observer.
fn start(plan: &Plan, tap: Tap) -> Result<Engine, String> {
    match Engine::start_observing(plan, tap.clone()) {
        Err(StartError::Observe(address, error)) => {
            let mut plan = plan.clone();
            plan.observe.listen.clear();
            let engine = Engine::start_observing(&plan, tap).map_err(|error| error.to_string())?;
            let message = format!(
                "metrics are not answered: `observe.listen`: cannot listen on {address}: {error}"
            );
            engine.warn(message);
            Ok(engine)
        }
        started => started.map_err(|error| error.to_string()),
    }
}

/// Tells what is observed, and what is not.
fn begin(engine: &Engine, plan: &Plan, wanted: &Observe) {
    let probed = || plan.pools.iter().filter(|pool| pool.probe != Probe::None);
    let endpoints: usize = probed().map(|pool| pool.endpoints.len()).sum();
    let beside = match &wanted.haproxy {
        Some(source) => format!("beside HAProxy, read from {source}"),
        None => "without a look at HAProxy (--haproxy)".to_owned(),
    };
    let (endpoints, pools) = (counted(endpoints, "endpoint"), counted(probed().count(), "pool"));
    let message =
        format!("observing {endpoints} of {pools}, {beside}; nothing is listened on or carried");
    engine.tell("observing", message);
    for pool in plan.pools.iter().filter(|pool| pool.probe == Probe::None) {
        engine.warn(format!("pool {} is not probed: nothing is known of it here", pool.name));
    }
}

/// Begins to read HAProxy. The second value sets how often.
fn follow_haproxy(
    engine: &Arc<Engine>,
    source: Option<Source>,
) -> (mpsc::Receiver<Read>, watch::Sender<Duration>) {
    let (reads, read) = mpsc::channel(1);
    let (every, pause) = watch::channel(READ_EVERY);
    if let Some(source) = source {
        spawn_local(read_on(engine.clone(), source, pause, reads));
    }
    (read, every)
}

async fn read_on(
    engine: Arc<Engine>,
    source: Source,
    mut every: watch::Receiver<Duration>,
    reads: mpsc::Sender<Read>,
) {
    let (mut seen, mut failures) = (None, 0);
    loop {
        let asked = engine.time().into();
        let answer = source.read(&mut seen).await;
        failures = if answer.is_err() { failures + 1 } else { 0 };
        let answered = engine.time().into();
        if reads.send(Read { asked, answered, answer }).await.is_err() {
            return;
        }
        match failures {
            0 => wait(&mut every).await,
            _ => sleep(retry_after(failures)).await,
        }
    }
}

/// Twice as long after each failure.
fn retry_after(failures: u32) -> Duration {
    READ_EVERY.saturating_mul(1 << (failures - 1).min(10)).min(RETRY_MAX)
}

/// The pause between two reads, which can become another while it lasts.
async fn wait(every: &mut watch::Receiver<Duration>) {
    let began = Instant::now();
    loop {
        let until = began + *every.borrow_and_update();
        tokio::select! {
            () = sleep_until(until) => return,
            changed = every.changed() => if changed.is_err() { return },
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    user: Signal,
}

impl Signals {
    fn new() -> Result<Self, String> {
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            user: listen(SignalKind::user_defined1())?,
        })
    }
}

/// What is to be done next.
enum Step {
    Judged(Judged),
    Read(Read),
    Look,
    Told,
    Asked,
    Day,
    End,
}

/// Everything that is at work.
struct Watching {
    observer: Observer,
    printer: Printer,
    judged: mpsc::Receiver<Judged>,
    reads: mpsc::Receiver<Read>,
    every: watch::Sender<Duration>,
    end: Option<Instant>,
}

impl Watching {
    /// Until the end.
    async fn watch(&mut self, signals: &mut Signals, engine: &Engine) -> io::Result<()> {
        // What HAProxy says first finds everyone that it is about.
        self.observer.look();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut day = Instant::now() + DAY;
        loop {
            let step = tokio::select! {
                biased;
                _ = signals.terminate.recv() => Step::End,
                _ = signals.interrupt.recv() => Step::End,
                () = until(self.end) => Step::End,
                _ = signals.user.recv() => Step::Asked,
                () = sleep_until(day) => Step::Day,
                Some(judged) = self.judged.recv() => Step::Judged(judged),
                Some(read) = self.reads.recv() => Step::Read(read),
                _ = looks.tick() => Step::Look,
                () = self.printer.follower.wait(self.printer.last) => Step::Told,
            };
            match step {
                Step::Judged(judged) => self.observer.judged(&judged),
                Step::Read(read) => self.observer.read(read),
                Step::Look => self.observer.look(),
                Step::Told => {}
                Step::Asked => {
                    engine.reopen_log();
                    self.summary(false)?;
                }
                Step::Day => {
                    day += DAY;
                    self.summary(true)?;
                }
                Step::End => return self.summary(false),
            }
            self.every.send_if_modified(|every| {
                let pause = self.observer.pause();
                std::mem::replace(every, pause) != pause
            });
            self.printer.print()?;
        }
    }

    fn summary(&mut self, day: bool) -> io::Result<()> {
        while let Ok(judged) = self.judged.try_recv() {
            self.observer.judged(&judged);
        }
        self.observer.look();
        self.printer.print()?;
        let colour = self.printer.colour;
        let printer = &mut self.printer;
        let page = self.observer.summary(day, colour, || printer.print())?;
        self.printer.page(&page)
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}

/// Puts events on standard output.
struct Printer {
    recent: Arc<Recent>,
    follower: Follower,
    /// The number of the last event that was printed.
    last: u64,
    json: bool,
    colour: bool,
}

impl Printer {
    fn new(recent: &Arc<Recent>, json: bool) -> Result<Self, String> {
        let follower = recent.follow().ok_or("somebody follows the events already")?;
        let colour = has_colour(io::stdout().is_terminal());
        Ok(Self { recent: recent.clone(), follower, last: 0, json, colour })
    }

    /// What has happened since the last time.
    fn print(&mut self) -> io::Result<()> {
        let (total, events) = self.recent.after(self.last);
        let missed = total.saturating_sub(self.last).saturating_sub(events.len() as u64);
        self.last = total;
        let mut text = String::new();
        if missed > 0 && !self.json {
            text.push_str(&format!("{missed} events were not printed: too many at once\n"));
        }
        let mut page = Page::new(self.colour);
        for event in events {
            // People get a page instead.
            if self.json {
                let told = Told::from(&*event);
                text.push_str(&serde_json::to_string(&told).unwrap_or_default());
                text.push('\n');
            } else if event.kind != "summary" {
                page.list(&[event_row(&Told::from(&*event).0)]);
            }
        }
        text.push_str(&page.into_text());
        self.write(&text)
    }

    /// A summary.
    fn page(&self, page: &str) -> io::Result<()> {
        if self.json { Ok(()) } else { self.write(&format!("\n{page}\n")) }
    }

    fn write(&self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn haproxy_is_asked_less_and_less_often_while_it_cannot_be_read() {
        let pauses: Vec<_> = (1..8).map(|failures| retry_after(failures).as_secs()).collect();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(retry_after(u32::MAX), RETRY_MAX);
    }

    #[test]
    fn nothing_is_left_of_a_plan_that_could_be_in_the_way_of_a_service() {
        let text = "masters = [\"10.0.0.11\"]\n[log]\ntarget = \"/var/log/eclusa.log\"\n\
                    [admin]\n[dashboard]\nlisten = [\"127.0.0.1:9640\"]\n\
                    [observe]\nlisten = [\"127.0.0.1:9643\"]\npeer = \"http://10.0.0.9:9643\"\n";
        let loaded = eclusa_config::parse(Program::Apiserver, "test", text, Mode::Offline);
        let plan = bare(&loaded.unwrap().plan);
        assert!(plan.listeners.is_empty() && plan.admin.is_none() && plan.haproxy_socket.is_none());
        assert!(!plan.dashboard.is_served() && plan.observe.peer.is_none());
        assert_eq!(plan.observe.listen.len(), 1);
        assert_eq!(&*plan.log.tag, "eclusa-apiserver-observe");
        assert!(!plan.log.sessions() && plan.log.outputs.len() == 1);
        assert_eq!(plan.pools[0].endpoints.len(), 1, "the pools stay as they are");
    }
}
