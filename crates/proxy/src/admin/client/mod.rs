//! The commands that speak to a running program: `reload`, `confirm`, `rollback`, `plan`, `explain`,
//! `status`, `session`, `endpoint`, `drill`, `events`, `save`.

mod call;
mod commands;
mod drill;
mod errors;
mod events;
mod explained;
mod page;
mod planned;
mod save;
mod sessions;
mod show;

pub use commands::{
    AdminCommand, EXIT_CODES, EndpointCommand, EventsCommand, ExplainCommand, Reason, Returning,
    SessionCommand, SortBy, Taking, Target, Which, Why,
};
pub use drill::{DrillCommand, Drilling};

pub(crate) use events::row as event_row;
pub(crate) use page::{Cell, Page, Style};

use super::request::{Errors, Events, Request, SessionList, Sort, StatusOf};
use super::{
    DrillReport, EventTable, Explanation, Outcome, PlanReport, RefusedTable, Session, SessionTable,
    StatusReport,
};
use call::{Answered, call};
use eclusa_config::plan::Program;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

/// Between two looks of `status --watch`.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// Does what a command says and tells on standard output and standard error what came of it.
#[must_use]
pub fn run(program: Program, command: AdminCommand) -> ExitCode {
    let watch = matches!(command, AdminCommand::Status { watch: true, .. });
    let offline = matches!(&command, AdminCommand::Explain(command) if command.offline);
    let dry_run = matches!(command, AdminCommand::Save { dry_run: true, .. });
    let (target, mut request) = command.into_request();
    if matches!(request, Request::Save(_)) {
        let colour = has_colour(std::io::stdout().is_terminal());
        return tell(save::save(program, &target, &request, dry_run, colour));
    }
    if matches!(&request, Request::Events(events) if events.follow) {
        return events::follow(program, &target, &request);
    }
    if matches!(request, Request::DrillStart(_)) {
        return drill::run(program, &target, &request);
    }
    if offline {
        let colour = has_colour(std::io::stdout().is_terminal());
        return tell(explained::offline(program, &target, &request, colour));
    }
    if let Request::Plan(of) = &mut request
        && let Err(error) = planned::read(of, &target)
    {
        return tell((String::new(), error, Outcome::Wrong.code()));
    }
    if watch {
        return watching(program, &target, &request);
    }
    once(program, &target, &request)
}

/// Shows the last messages that were refused: for programs that speak HTTP.
#[must_use]
pub fn errors(program: Program, target: &Target) -> ExitCode {
    once(program, target, &Request::Errors(Errors {}))
}

/// How the running program is; or why nobody can say, in one line.
pub(crate) fn status(program: Program, target: &Target) -> Result<Box<StatusReport>, String> {
    let data = asked(program, target, &Request::Status(StatusOf::default()))?;
    serde_json::from_value(data).map_err(|error| format!("its status is not understood: {error}"))
}

/// Its last events, as JSON.
pub(crate) fn events_of(program: Program, target: &Target) -> Result<Value, String> {
    asked(program, target, &Request::Events(Events::default()))
}

/// Its sessions, those that carried most first, as JSON.
pub(crate) fn sessions_of(program: Program, target: &Target, limit: u32) -> Result<Value, String> {
    let list = SessionList { limit, sort: Sort::Bytes, ..SessionList::default() };
    asked(program, target, &Request::SessionList(list))
}

/// The data of an answer; or why there is none, in one line.
fn asked(program: Program, target: &Target, request: &Request) -> Result<Value, String> {
    let in_one_line = |text: &str| {
        let lines = text.lines().map(str::trim).collect::<Vec<_>>();
        lines.join("; ").replace(":; ", ": ")
    };
    match call(program, target, request) {
        Err(trouble) => Err(in_one_line(&trouble.message(program))),
        Ok(Answered { outcome: Outcome::Done, data, .. }) => Ok(data),
        Ok(Answered { messages, .. }) => Err(messages.join("; ")),
    }
}

fn once(program: Program, target: &Target, request: &Request) -> ExitCode {
    let colour = has_colour(std::io::stdout().is_terminal());
    tell(answer_of(program, target, request, colour))
}

fn tell((out, err, code): (String, String, u8)) -> ExitCode {
    // A reader that has gone away is no failure.
    let _ = std::io::stderr().write_all(err.as_bytes());
    let _ = std::io::stdout().write_all(out.as_bytes());
    ExitCode::from(code)
}

#[allow(clippy::disallowed_methods, reason = "a client with nothing else to do")]
fn watching(program: Program, target: &Target, request: &Request) -> ExitCode {
    let terminal = std::io::stdout().is_terminal();
    loop {
        let (out, err, code) = answer_of(program, target, request, has_colour(terminal));
        // A wrong request will not be right the next time; a program that is down may come back.
        if code == Outcome::Wrong.code() {
            let _ = std::io::stderr().write_all(err.as_bytes());
            return ExitCode::from(code);
        }
        // On a terminal: home, then clear to the end, so that nothing flickers.
        let (before, after) = if terminal { ("\x1b[H\x1b[2J", "") } else { ("", "\n") };
        let shown = std::io::stdout().write_all(format!("{before}{err}{out}{after}").as_bytes());
        if shown.and_then(|()| std::io::stdout().flush()).is_err() {
            return ExitCode::SUCCESS;
        }
        std::thread::sleep(WATCH_EVERY);
    }
}

/// Colour is for terminals whose owner has not asked to be spared (no-color.org).
pub(crate) fn has_colour(terminal: bool) -> bool {
    let plain = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    terminal && !plain && std::env::var_os("NO_COLOR").is_none()
}

/// What goes to standard output and to standard error, and the exit code.
pub(super) fn answer_of(
    program: Program,
    target: &Target,
    request: &Request,
    colour: bool,
) -> (String, String, u8) {
    let Answered { outcome, messages, data } = match call(program, target, request) {
        Ok(answered) => answered,
        Err(trouble) => return (String::new(), trouble.message(program), trouble.code()),
    };
    let lines: String = messages.iter().map(|line| page::safe(line) + "\n").collect();
    let code = outcome.code();
    // A plan that would be refused is a plan all the same.
    let is_plan = matches!(request, Request::Plan(_)) && !data.is_null();
    if outcome != Outcome::Done && !is_plan {
        return (String::new(), lines, code);
    }
    if target.json {
        let text = serde_json::to_string_pretty(&data).unwrap_or_default();
        return (text + "\n", lines, code);
    }
    match text_of(request, data, colour) {
        // Its page has the message at its end.
        Ok(Some(text)) if is_plan => (text, String::new(), code),
        Ok(Some(text)) => (text, lines, code),
        Ok(None) => (lines, String::new(), code),
        Err(error) => {
            let name = program.name();
            let message = format!(
                "{name}: the answer is not understood ({error}): client and running program may be \
                 of different versions; --json shows it\n"
            );
            (String::new(), lines + &message, Outcome::Failed.code())
        }
    }
}

/// What a question is answered with; orders are answered with their messages.
pub(super) fn text_of(
    request: &Request,
    data: serde_json::Value,
    colour: bool,
) -> Result<Option<String>, serde_json::Error> {
    fn of<T: DeserializeOwned>(data: serde_json::Value) -> Result<T, serde_json::Error> {
        serde_json::from_value(data)
    }
    let mut page = Page::new(colour);
    match request {
        Request::Status(_) => show::status(&mut page, &of::<StatusReport>(data)?),
        Request::SessionList(_) => sessions::list(&mut page, &of::<SessionTable>(data)?),
        Request::SessionShow(_) => sessions::one(&mut page, &of::<Session>(data)?),
        Request::DrillShow(_) => drill::report(&mut page, &of::<DrillReport>(data)?),
        Request::Plan(_) => planned::plan(&mut page, &of::<PlanReport>(data)?),
        Request::Explain(_) => explained::explanation(&mut page, &of::<Explanation>(data)?),
        Request::Errors(_) => errors::table(&mut page, &of::<RefusedTable>(data)?),
        Request::Events(_) => events::table(&mut page, &of::<EventTable>(data)?),
        _ => return Ok(None),
    }
    Ok(Some(page.into_text()))
}
