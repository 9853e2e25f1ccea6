//! The program around the engine: start, wait for a signal, stop. The same for both binaries.

use crate::confine::confine;
use crate::engine::{Care, Engine, LOOK};
use crate::files;
use crate::keeper::{Client, NotTheFile, Sockets};
use crate::layer7::Layer;
use crate::observe::metrics::STUCK;
use crate::operate::{EXPIRE, Operator, Orders};
use eclusa_config::plan::Program;
use eclusa_config::{Diagnostics, Loaded, Mode};
use std::future::pending;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

/// The exit code of a program that could not do its work.
const FAILED: u8 = 1;
/// How often the status that systemd shows is brought up to date.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// What a stop may take beyond its deadline: closing the listeners, last words, the log.
const AFTER_DEADLINE: Duration = Duration::from_secs(5);

/// Runs a plan without a keeper until SIGTERM (sessions may end by themselves until the deadline)
/// or SIGINT (at once). `config` is the file that it came from.
#[must_use]
pub fn run(loaded: &Loaded, config: Option<&Path>, layer: Option<Arc<dyn Layer>>) -> ExitCode {
    ended(loaded.plan.program, serve(loaded, None, config, None, layer))
}

/// Runs as the engine of the keeper at the other end of standard input.
///
/// # Errors
/// Everything that is wrong with the configuration file.
pub fn engine(
    program: Program,
    config: &Path,
    layer: Option<Arc<dyn Layer>>,
) -> Result<ExitCode, Diagnostics> {
    // In place of `exe`, which the keeper has started: for those who look at processes.
    if let Ok(name) = std::ffi::CString::new(program.name()) {
        let _ = rustix::thread::set_name(&name);
    }
    let keeper = match Client::over_stdin() {
        Ok(keeper) => Arc::new(keeper),
        Err(error) => return Ok(ended(program, Err(format!("no keeper: {error}")))),
    };
    files::ask(keeper.clone());
    let (loaded, refused) = load(program, config, &keeper)?;
    Ok(ended(program, serve(&loaded, refused.as_ref(), Some(config), Some(keeper), layer)))
}

/// Why an engine begins with something else than the file.
enum Refused {
    /// This is wrong with it.
    Broken(String),
    /// Somebody, or nobody, wanted it so: the cause.
    GoneBack(&'static str),
}

/// What the file says. Or, rather than nothing, what was in force until the engine before this one
/// crashed, and what is wrong with the file.
fn load(
    program: Program,
    config: &Path,
    keeper: &Client,
) -> Result<(Loaded, Option<Refused>), Diagnostics> {
    if let Some(why) = keeper.not_the_file()
        && let Some(loaded) = last_good(program, config, keeper)
    {
        let refused = match why {
            NotTheFile::StartFailed => {
                let why = "an engine could not start with it, as the log says just before this";
                Refused::Broken(format!("{}: {why}", config.display()))
            }
            NotTheFile::Unconfirmed => {
                Refused::GoneBack("the engine ended before somebody confirmed what it ran with")
            }
            NotTheFile::GoneBack => Refused::GoneBack("gone back before the last engine ended"),
        };
        return Ok((loaded, Some(refused)));
    }
    match eclusa_config::load_with(program, config, Mode::Start, files::open) {
        Ok(loaded) => Ok((loaded, None)),
        Err(wrong) => match last_good(program, config, keeper) {
            Some(loaded) => Ok((loaded, Some(Refused::Broken(wrong.to_string())))),
            None => Err(wrong),
        },
    }
}

/// What was in force last, if it still can be.
fn last_good(program: Program, config: &Path, keeper: &Client) -> Option<Loaded> {
    let text = keeper.last_good().ok()?;
    let name = format!("{} as it was in force last", config.display());
    eclusa_config::parse_with(program, &name, &text, Mode::Start, files::open).ok()
}

fn ended(program: Program, end: Result<(), String>) -> ExitCode {
    match end {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{}: {message}", program.name());
            ExitCode::from(FAILED)
        }
    }
}

/// `refused`: why, where the plan is not the file's.
fn serve(
    loaded: &Loaded,
    refused: Option<&Refused>,
    config: Option<&Path>,
    keeper: Option<Arc<Client>>,
    layer: Option<Arc<dyn Layer>>,
) -> Result<(), String> {
    let orders = Orders::open(loaded, config);
    let amended = orders.loaded().clone();
    let plan = &amended.plan;
    // Before any other thread: it holds for those that this one starts.
    let in_force = confine(plan, config, keeper.is_some());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    // Before anything else: a signal that comes while the engine starts must not be lost.
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let sockets = match &keeper {
        Some(keeper) => Sockets::of_keeper(keeper.clone()),
        None => Sockets::own(plan.program, plan.run_directory.clone()),
    };
    let engine = Engine::start_on(plan, sockets, layer).map_err(|error| error.to_string())?;
    let engine = Arc::new(engine);
    engine.tell("confined", in_force.words);
    for warning in amended.warnings.lines().iter().chain(&in_force.warnings) {
        engine.warn(warning);
    }
    if let Some(Refused::Broken(why)) = refused {
        engine.file_refused(why);
    }
    let operator = Operator::new(engine.clone(), loaded, config, keeper.clone(), orders);
    let mut keeping = Keeping::start(keeper)?;
    match refused {
        Some(Refused::GoneBack(cause)) => operator.began_back(cause),
        _ => keeping.in_force(loaded.digest),
    }
    let local = LocalSet::new();
    let in_order = local.block_on(&runtime, async {
        let _serving = operator.serve(plan);
        // Who waits for that may ask for something next.
        keeping.ready(&engine);
        engine.metrics().engine_restarts(keeping.crashes());
        let in_order = signals.wait_for_stop(&engine, &mut keeping, &operator).await;
        operator.end_drill("the service stops");
        in_order
    });
    drop(local);
    keeping.stopping(if in_order { engine.stop_deadline() } else { Duration::ZERO });
    let hurry = Arc::new(AtomicBool::new(!in_order));
    let seen = hurry.clone();
    let waiting = std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(signals.wait_for_another());
        seen.store(true, Ordering::Relaxed);
    });
    engine.stop(|| hurry.load(Ordering::Relaxed));
    // The thread waits for a signal that may never come; it ends with the process.
    drop(waiting);
    Ok(())
}

/// What an engine owes its keeper; nothing without one.
struct Keeping {
    keeper: Option<Arc<Client>>,
    /// Told when the keeper has gone.
    gone: Option<oneshot::Receiver<()>>,
    /// What the status said last.
    status: String,
}

impl Keeping {
    fn start(keeper: Option<Arc<Client>>) -> Result<Self, String> {
        let Some(client) = keeper.clone() else {
            return Ok(Self { keeper, gone: None, status: String::new() });
        };
        let (tell, gone) = oneshot::channel();
        let watch = move || {
            client.wait_for_end();
            // The engine is stopping already.
            let _ = tell.send(());
        };
        let watching: io::Result<_> =
            std::thread::Builder::new().name("keeper".into()).spawn(watch);
        watching.map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(Self { keeper, gone: Some(gone), status: String::new() })
    }

    fn ready(&mut self, engine: &Engine) {
        if let Some(keeper) = &self.keeper {
            keeper.ready();
        }
        self.tell_status(engine);
    }

    fn in_force(&self, digest: u64) {
        if let Some(keeper) = &self.keeper {
            keeper.in_force(digest);
        }
    }

    fn crashes(&self) -> u64 {
        self.keeper.as_ref().map_or(0, |keeper| keeper.crashes())
    }

    fn stopping(&self, deadline: Duration) {
        if let Some(keeper) = &self.keeper {
            keeper.stopping(deadline.saturating_add(AFTER_DEADLINE));
        }
    }

    fn tell_status(&mut self, engine: &Engine) {
        let Some(keeper) = &self.keeper else { return };
        let status = engine.in_one_line();
        if status != self.status {
            keeper.status(&status);
            self.status = status;
        }
    }

    /// Waits for the end of the keeper; for ever without one.
    async fn end(&mut self) {
        if let Some(gone) = &mut self.gone {
            let told = gone.await.is_ok();
            self.gone = None;
            if told {
                return;
            }
            // The thread that would tell cannot fail: an error is no end.
        }
        pending().await
    }

    /// How often the keeper wants to hear of us.
    fn every(&self) -> Duration {
        let heartbeat = self.keeper.as_ref().and_then(|keeper| keeper.heartbeat_every());
        heartbeat.unwrap_or(STATUS_EVERY).clamp(Duration::from_millis(10), STATUS_EVERY)
    }

    fn beat(&mut self, engine: &Engine) {
        let stuck = engine.heartbeats().older_than(STUCK).next();
        if let (Some(keeper), None) = (&self.keeper, stuck) {
            keeper.heartbeat();
        }
        self.tell_status(engine);
    }
}

/// Takes signals of a kind from now on.
pub(crate) fn listen(kind: SignalKind) -> Result<Signal, String> {
    signal(kind).map_err(|error| format!("cannot take signals: {error}"))
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user: Signal,
}

impl Signals {
    fn new() -> Result<Self, String> {
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
            user: listen(SignalKind::user_defined1())?,
        })
    }

    /// Waits for a stop; says whether it is one in order (SIGTERM, or the keeper has gone) or at once
    /// (SIGINT).
    async fn wait_for_stop(
        &mut self,
        engine: &Engine,
        keeping: &mut Keeping,
        operator: &Operator,
    ) -> bool {
        let mut care = Care::default();
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut expiries = tokio::time::interval(EXPIRE);
        let mut beats = tokio::time::interval(keeping.every());
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return true,
                _ = self.interrupt.recv() => return false,
                _ = self.hangup.recv() => operator.hang_up(),
                _ = looks.tick() => engine.look_after(&mut care),
                _ = expiries.tick() => {
                    operator.expire();
                    operator.lapse();
                }
                _ = self.user.recv() => engine.reopen_log(),
                _ = beats.tick() => keeping.beat(engine),
                () = keeping.end() => {
                    engine.warn("the keeper has gone: stopping");
                    return true;
                }
            }
        }
    }

    /// Waits for a second signal, from an operator who does not want to wait.
    async fn wait_for_another(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
