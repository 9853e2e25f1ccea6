//! `drill ...`: the command lines, the wait for the end, and what came of it, for people.

use super::call::call;
use super::commands::{Reason, Returning, Target, seconds};
use super::page::{Cell, Page, Style, safe};
use super::show::counted;
use super::{EXIT_CODES, has_colour, tell};
use crate::admin::drill::{
    DrillConnections, DrillPool, DrillReport, DrillShow, DrillStart, DrillStop,
};
use crate::admin::request::Request;
use crate::admin::{Moment, Outcome};
use crate::drill::Fault;
use clap::{Args, Subcommand};
use eclusa_config::plan::Program;
use std::fmt::Write;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How often whoever waits for the end looks.
const LOOK: Duration = Duration::from_millis(250);
/// How long beyond its time the end of a drill is waited for.
const GRACE: Duration = Duration::from_secs(15);

/// For the end of the help of those that begin one.
const GUARDS: &str = "\
It is refused unless `drills = true` stands in [admin] of the file, below the quorum of the masters, where no
other endpoint of the pool is well, of an endpoint that is not up, and while another drill is on. Nothing passes
these guards by. It ends by itself, whatever becomes of this command; at once at a reload, a stop, `drill stop`,
and when another endpoint of the pool falls.";

/// `drill ...`
#[derive(Debug, Subcommand)]
pub enum DrillCommand {
    /// Nothing comes back: as if its host had lost its power or its network
    ///
    /// Connections to it are not answered, nor are probes. Sessions that stand go on until it is found
    /// dead; then they are reset where the pool does that (masters: yes).
    #[command(after_long_help = format!("{GUARDS}\n\n{EXIT_CODES}"))]
    Freeze(Drilling),
    /// It refuses connections: as if its program had ended
    ///
    /// Sessions that stand go on.
    #[command(after_long_help = format!("{GUARDS}\n\n{EXIT_CODES}"))]
    Refuse(Drilling),
    /// Connections to it, and its answers to probes, come later
    ///
    /// Sessions that stand go on as they are.
    #[command(after_long_help = format!("{GUARDS}\n\n{EXIT_CODES}"))]
    Slow {
        /// Which endpoint, how long, why.
        #[command(flatten)]
        drilling: Drilling,
        /// How much later (200ms, 2s; at most 10s)
        #[arg(long, value_name = "TIME", default_value = "1s", value_parser = milliseconds)]
        by: u64,
    },
    /// End the drill that is on
    #[command(after_long_help = EXIT_CODES)]
    Stop {
        /// Which program.
        #[command(flatten)]
        target: Target,
        /// Why, for the log.
        #[command(flatten)]
        why: Reason,
    },
    /// Show the drill that is on, or the last one
    #[command(after_long_help = EXIT_CODES)]
    Show {
        /// Which program.
        #[command(flatten)]
        target: Target,
    },
}

/// Which endpoint, how long, why.
#[derive(Args, Debug)]
pub struct Drilling {
    #[command(flatten)]
    on: Returning,
    /// For so long: at most 60s
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    for_seconds: u64,
    #[command(flatten)]
    why: Reason,
}

fn milliseconds(text: &str) -> Result<u64, String> {
    let time = eclusa_config::duration(text)?;
    u64::try_from(time.as_millis()).map_err(|_| "at most 10s".to_owned())
}

impl DrillCommand {
    pub(super) fn into_request(self) -> (Target, Request) {
        let (drilling, fault, delay_ms) = match self {
            Self::Stop { target, why } => {
                return (target, Request::DrillStop(DrillStop { reason: why.reason }));
            }
            Self::Show { target } => return (target, Request::DrillShow(DrillShow {})),
            Self::Freeze(drilling) => (drilling, Fault::Freeze, None),
            Self::Refuse(drilling) => (drilling, Fault::Refuse, None),
            Self::Slow { drilling, by } => (drilling, Fault::Slow, Some(by)),
        };
        let Drilling { on: Returning { target, endpoint }, for_seconds, why } = drilling;
        let ((pool, endpoint), reason) = (endpoint, why.reason);
        let start = DrillStart { pool, endpoint, fault, for_seconds, delay_ms, reason };
        (target, Request::DrillStart(start))
    }
}

/// Begins a drill, waits for its end, and tells what came of it.
pub(super) fn run(program: Program, target: &Target, request: &Request) -> ExitCode {
    let (number, lasts) = match begin(program, target, request) {
        Ok(begun) => begun,
        Err((message, code)) => return tell((String::new(), message, code)),
    };
    let deadline = Instant::now() + lasts + GRACE;
    loop {
        wait();
        let report = match ask(program, target) {
            Ok(report) => report,
            Err((message, code)) => return tell((String::new(), message, code)),
        };
        let is_other = report.number != number;
        if is_other || report.ended.is_some() {
            let (text, code) = match (is_other, target.json) {
                (true, _) => (String::new(), Outcome::Failed.code()),
                (_, true) => (json(&report), 0),
                (_, false) => (text(&report), 0),
            };
            let lost = "another drill has begun since; the log has what came of this one\n";
            return tell((text, if is_other { lost.to_owned() } else { String::new() }, code));
        }
        if Instant::now() >= deadline {
            let message =
                "the drill goes on beyond its time: `drill show` tells of it\n".to_owned();
            return tell((String::new(), message, Outcome::Failed.code()));
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a client with nothing else to do")]
fn wait() {
    std::thread::sleep(LOOK);
}

/// The number of the drill that has begun, and how long it lasts.
fn begin(
    program: Program,
    target: &Target,
    request: &Request,
) -> Result<(u64, Duration), (String, u8)> {
    let trouble = |problem: super::call::Trouble| (problem.message(program), problem.code());
    let answered = call(program, target, request).map_err(trouble)?;
    let lines: String = answered.messages.iter().map(|line| safe(line) + "\n").collect();
    if answered.outcome != Outcome::Done {
        return Err((lines, answered.outcome.code()));
    }
    let report = understood(answered.data)?;
    // At once: whoever interrupts this command has to know that the drill goes on.
    eprint!("{lines}");
    Ok((report.number, report.until.since(report.began)))
}

fn ask(program: Program, target: &Target) -> Result<DrillReport, (String, u8)> {
    let trouble = |problem: super::call::Trouble| (problem.message(program), problem.code());
    let answered = call(program, target, &Request::DrillShow(DrillShow {})).map_err(trouble)?;
    if answered.outcome != Outcome::Done {
        let lines: String = answered.messages.iter().map(|line| safe(line) + "\n").collect();
        return Err((lines, answered.outcome.code()));
    }
    understood(answered.data)
}

fn understood(data: serde_json::Value) -> Result<DrillReport, (String, u8)> {
    let wrong =
        |error| (format!("the answer is not understood ({error})\n"), Outcome::Failed.code());
    serde_json::from_value(data).map_err(wrong)
}

fn json(report: &DrillReport) -> String {
    serde_json::to_string_pretty(report).unwrap_or_default() + "\n"
}

fn text(report: &DrillReport) -> String {
    let mut page = Page::new(has_colour(std::io::stdout().is_terminal()));
    self::report(&mut page, report);
    page.into_text()
}

/// What is drilled, in words: `freeze of apiserver/m2`.
pub(super) fn what(report: &DrillReport) -> String {
    let DrillReport { pool, endpoint, fault, delay_ms, .. } = report;
    let by = delay_ms.as_ref().map_or(String::new(), |delay| format!(", {} later", span(*delay)));
    format!("{} of {pool}/{endpoint}{by}", fault.name())
}

/// What a drill that is on means, for `status`.
pub(super) fn notice(report: &DrillReport, at: Moment) -> Cell {
    let left = crate::admin::moment::in_words(report.until.since(at));
    let by = &report.by;
    let text =
        format!("{}, by {by}, for {left} more; no verdict on it is to be believed", what(report));
    Cell::new(text, Style::Doubtful)
}

/// Writes everything about a drill.
pub(super) fn report(page: &mut Page, report: &DrillReport) {
    let lasted = span(report.lasted_ms);
    let head = match &report.ended {
        Some(why) => format!("drill: {}, over after {lasted}: {why}", what(report)),
        None => format!("drill: {}, for {lasted} so far, until {}", what(report), report.until),
    };
    page.line(&head, Style::Bold);
    let DrillConnections { failed, .. } = report.connections;
    let DrillPool { unserved, .. } = report.of_pool;
    let style = |bad: u64| if bad > 0 { Style::Bad } else { Style::Plain };
    let mut rows: Vec<Vec<Cell>> = vec![
        vec!["connections".into(), Cell::new(connections(&report.connections), style(failed))],
        vec!["the pool".into(), Cell::new(of_pool(&report.of_pool), style(unserved))],
    ];
    let [before, after] = report.standing;
    let now = if report.ended.is_some() { "at its end" } else { "now" };
    let standing = format!("{} on it when it began, {after} {now}", counted(before, "session"));
    rows.push(vec!["standing".into(), standing.into()]);
    for (index, change) in report.verdicts.iter().enumerate() {
        let title = if index == 0 { "verdicts" } else { "" };
        let text = format!("{}  {}: {}", span(change.after_ms), change.verdict, change.why);
        rows.push(vec![title.into(), text.into()]);
    }
    let who =
        report.reason.as_ref().map_or(report.by.clone(), |why| format!("{}: {why}", report.by));
    rows.push(vec!["ordered by".into(), format!("{who} at {}", report.began).into()]);
    page.table(&rows);
}

fn connections(counted: &DrillConnections) -> String {
    let DrillConnections { met, elsewhere, through, failed, left, slowest_ms } = *counted;
    if met == 0 {
        return "nobody wanted to connect to it".to_owned();
    }
    let mut text =
        format!("{met} to it: {elsewhere} reached another endpoint, {failed} reached none");
    if through > 0 {
        let _ = write!(text, ", {through} reached it after all");
    }
    if left > 0 {
        let _ = write!(text, ", {left} did not wait");
    }
    let under_way = met.saturating_sub(elsewhere + through + failed + left);
    if under_way > 0 {
        let _ = write!(text, ", {under_way} under way");
    }
    let _ = write!(text, "; the slowest took {}", span(slowest_ms));
    text
}

fn of_pool(pool: &DrillPool) -> String {
    let DrillPool { ended, unserved, broken, again } = *pool;
    let what = if ended == 1 { "session or exchange" } else { "sessions and exchanges" };
    format!(
        "{ended} {what} ended meanwhile: {unserved} reached no endpoint, {broken} were broken off; \
         {again} second tries"
    )
}

/// A time to the millisecond where it is short.
fn span(milliseconds: u64) -> String {
    match milliseconds {
        0..=999 => format!("{milliseconds} ms"),
        _ => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
    }
}
