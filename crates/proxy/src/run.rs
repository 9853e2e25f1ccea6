//! The program around the engine: start, wait for a signal, stop. The same for both binaries.

use crate::engine::Engine;
use eclusa_config::plan::Plan;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The exit code of a program that could not do its work.
const FAILED: u8 = 1;

/// Runs the plan until SIGTERM (sessions may end by themselves until the deadline) or SIGINT (at
/// once). `warnings` are told in the log.
#[must_use]
pub fn run(plan: &Plan, warnings: &[String]) -> ExitCode {
    match serve(plan, warnings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{}: {message}", plan.program.name());
            ExitCode::from(FAILED)
        }
    }
}

fn serve(plan: &Plan, warnings: &[String]) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    // Before anything else: a signal that comes while the engine starts must not be lost.
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let engine = Engine::start(plan).map_err(|error| error.to_string())?;
    for warning in warnings {
        engine.warn(warning);
    }
    let in_order = runtime.block_on(signals.wait_for_stop(&engine));
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

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("cannot take signals: {error}"));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for a stop; says whether it is one in order (SIGTERM) or at once (SIGINT).
    async fn wait_for_stop(&mut self, engine: &Engine) -> bool {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return true,
                _ = self.interrupt.recv() => return false,
                _ = self.hangup.recv() => {
                    engine.warn("SIGHUP: this version does not reload yet; nothing was changed");
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
