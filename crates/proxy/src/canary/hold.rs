//! `--hold`: looks at our service every second, and goes back when it is not fit. In the kernel it ends by itself
//! five seconds after the last look: however this process ends, nothing stays in force.

use super::judge::{Facts, Refusal, Way, unfit};
use super::nft::Nft;
use super::rule::Rule;
use crate::admin::client::{self, Target};
use eclusa_config::plan::Program;
use std::process::ExitCode;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);

/// What is held.
pub(super) struct Held {
    pub(super) facts: Facts,
    pub(super) way: Way,
    pub(super) rule: Rule,
}

/// Stays until it must go back, which is a failure.
#[allow(clippy::disallowed_methods, reason = "a client with nothing else to do")]
pub(super) fn hold(program: Program, target: &Target, nft: &Nft, held: &Held) -> ExitCode {
    loop {
        std::thread::sleep(EVERY);
        let against = against(program, target, held);
        if !against.is_empty() {
            eprintln!("{}: nothing is moved any more:", program.name());
            against.iter().for_each(|one| eprintln!("  {one}"));
            if let Err(why) = nft.apply(&held.rule.off()) {
                eprintln!("  {why}; it ends by itself within 5 s");
            }
            return ExitCode::FAILURE;
        }
        if let Err(why) = nft.apply(&held.rule.renewal()) {
            eprintln!(
                "{}: the canary is no longer this command's: ended or replaced by another one, or this one stood \
                 still for 5 s ({why})",
                program.name()
            );
            return ExitCode::FAILURE;
        }
    }
}

fn against(program: Program, target: &Target, held: &Held) -> Vec<Refusal> {
    let Held { facts, way, .. } = held;
    let status = client::status(program, target);
    let listener = facts.plan.listeners.iter().find(|one| *one.name == *way.listener);
    listener
        .map(|listener| unfit(program, &facts.plan, &status, listener, way.at, facts.passes.force))
        .unwrap_or_default()
}
