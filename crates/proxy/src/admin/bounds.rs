//! The bounds of requests, and requests in words.

use super::drill::{DrillStart, DrillStop};
use super::request::{
    Confirm, EndpointAdd, EndpointRemove, Events, Reload, Request, Rollback, SessionClose, StatusOf,
};
use crate::drill::Fault;
use std::fmt::Write;
use std::time::Duration;

/// Sessions that a list may have.
const LIST_MAX: u32 = 10_000;
/// Sessions that one request may name.
const NAMED_MAX: usize = 1_000;
/// The longest name of a pool, an endpoint or a session, in bytes.
const NAME_MAX: usize = 64;
/// The longest reason, in characters.
const REASON_MAX: usize = 200;
/// The longest time that an order may hold, in seconds: 366 days.
const FOR_MAX: u64 = 366 * 86_400;
/// The longest time that a confirmation may be awaited, in seconds: a day.
const CONFIRM_MAX: u64 = 86_400;
/// The longest drill, in seconds.
const DRILL_MAX: u64 = 60;
/// How much later all may come from an endpoint in a drill, in milliseconds.
const DELAY_MAX: u64 = 10_000;
/// Endpoints that may be added at once.
const ADDED_MAX: u64 = 64;
/// The longest address, in bytes: a name of DNS, and a port.
const ADDRESS_MAX: usize = 260;
/// Events that may be asked for: as many as are kept.
const EVENTS_MAX: u32 = 1_000;
/// Kinds that may be asked for at once.
const KINDS_MAX: usize = 32;
/// The greatest weight, as in the configuration.
const WEIGHT_MAX: u16 = 256;

impl Request {
    /// Whether it changes something: then it is logged with who asked for it.
    pub(crate) fn changes(&self) -> bool {
        !matches!(
            self,
            Self::Status(_)
                | Self::SessionList(_)
                | Self::SessionShow(_)
                | Self::DrillShow(_)
                | Self::Plan(_)
                | Self::Explain(_)
                | Self::Errors(_)
                | Self::Events(_)
                | Self::Save(_)
        )
    }

    /// The request in one line, for the log.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Reload(reload) => reload.words(),
            Self::Confirm(Confirm { reason }) => format!("confirm{}", why(reason.as_deref())),
            Self::Rollback(Rollback { force, reason }) => {
                format!("rollback{}{}", forced(*force), why(reason.as_deref()))
            }
            Self::Status(_) => "status".to_owned(),
            Self::DrillStart(start) => start.words(),
            Self::DrillStop(DrillStop { reason }) => {
                format!("drill stop{}", why(reason.as_deref()))
            }
            Self::DrillShow(_) => "drill show".to_owned(),
            Self::Plan(_) => "plan".to_owned(),
            Self::Explain(_) => "explain".to_owned(),
            Self::Errors(_) => "errors".to_owned(),
            Self::Events(_) => "events".to_owned(),
            Self::Save(_) => "save".to_owned(),
            Self::SessionList(_) => "session list".to_owned(),
            Self::SessionShow(show) => format!("session show {}", show.session),
            Self::SessionClose(close) => close.words(),
            Self::EndpointSet(set) => {
                let (name, state) = (endpoint(&set.pool, &set.endpoint), set.admin.name());
                let limits = limits(set.for_seconds, set.reason.as_deref());
                format!("endpoint {state} {name}{}{limits}", forced(set.force))
            }
            Self::EndpointWeight(set) => {
                let name = endpoint(&set.pool, &set.endpoint);
                let limits = limits(set.for_seconds, set.reason.as_deref());
                format!("endpoint weight {name} {}{limits}", set.weight)
            }
            Self::EndpointReset(reset) => {
                format!("endpoint reset {}", endpoint(&reset.pool, &reset.endpoint))
            }
            Self::EndpointAdd(add) => {
                let weight = add.weight.map(|weight| format!(" --weight {weight}"));
                let (weight, reason) = (weight.unwrap_or_default(), why(add.reason.as_deref()));
                format!("endpoint add {} {}{weight}{reason}", add.pool, add.endpoints.join(" "))
            }
            Self::EndpointRemove(remove) => {
                let name = endpoint(&remove.pool, &remove.endpoint);
                let reason = why(remove.reason.as_deref());
                format!("endpoint remove {name}{}{reason}", forced(remove.force))
            }
        }
    }

    /// Why, as whoever asks for it has said.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Reload(Reload { reason, .. })
            | Self::Confirm(Confirm { reason })
            | Self::Rollback(Rollback { reason, .. })
            | Self::DrillStart(DrillStart { reason, .. })
            | Self::DrillStop(DrillStop { reason })
            | Self::EndpointAdd(EndpointAdd { reason, .. })
            | Self::EndpointRemove(EndpointRemove { reason, .. }) => reason.as_deref(),
            Self::EndpointSet(set) => set.reason.as_deref(),
            Self::EndpointWeight(set) => set.reason.as_deref(),
            _ => None,
        }
    }

    /// Whether everything in it is within its bounds.
    ///
    /// # Errors
    /// What is not, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            // What a plan and an explanation are asked about is read as a whole.
            Self::Plan(_)
            | Self::Explain(_)
            | Self::Errors(_)
            | Self::Save(_)
            | Self::DrillShow(_) => Ok(()),
            Self::DrillStart(start) => start.check(),
            Self::Reload(reload) => reload.check(),
            Self::Confirm(Confirm { reason })
            | Self::Rollback(Rollback { reason, .. })
            | Self::DrillStop(DrillStop { reason }) => order(None, reason.as_deref()),
            Self::Events(events) => events.check(),
            Self::Status(StatusOf { pool }) => names([pool.as_deref()]),
            Self::SessionList(list) => {
                names([list.pool.as_deref(), list.endpoint.as_deref()])?;
                within("limit", list.limit.into(), LIST_MAX.into())
            }
            Self::SessionShow(show) => names([Some(&*show.session)]),
            Self::SessionClose(close) => close.check(),
            Self::EndpointSet(set) => {
                names([Some(&*set.pool), Some(&*set.endpoint)])?;
                order(set.for_seconds, set.reason.as_deref())
            }
            Self::EndpointWeight(set) => {
                names([Some(&*set.pool), Some(&*set.endpoint)])?;
                within("weight", set.weight.into(), WEIGHT_MAX.into())?;
                order(set.for_seconds, set.reason.as_deref())
            }
            Self::EndpointAdd(add) => add.check(),
            Self::EndpointRemove(remove) => {
                names([Some(&*remove.pool), Some(&*remove.endpoint)])?;
                order(None, remove.reason.as_deref())
            }
            Self::EndpointReset(reset) => names([Some(&*reset.pool), Some(&*reset.endpoint)]),
        }
    }
}

impl Reload {
    fn check(&self) -> Result<(), String> {
        if let Some(seconds) = self.confirm_seconds {
            within("confirm_seconds", seconds, CONFIRM_MAX)?;
        }
        order(None, self.reason.as_deref())
    }

    fn words(&self) -> String {
        let within = self.confirm_seconds.map(|seconds| format!(" --confirm {}", time(seconds)));
        let (force, reason) = (forced(self.force), why(self.reason.as_deref()));
        format!("reload{force}{}{reason}", within.unwrap_or_default())
    }
}

impl DrillStart {
    fn check(&self) -> Result<(), String> {
        names([Some(&*self.pool), Some(&*self.endpoint)])?;
        within("for_seconds", self.for_seconds, DRILL_MAX)?;
        match (self.delay_ms, self.fault) {
            (Some(delay), Fault::Slow) => within("delay_ms", delay, DELAY_MAX)?,
            (Some(_), _) => return Err("`delay_ms` is for `slow` alone".to_owned()),
            (None, _) => {}
        }
        order(None, self.reason.as_deref())
    }

    /// What is drilled, and how long.
    fn words(&self) -> String {
        let (fault, name) = (self.fault.name(), endpoint(&self.pool, &self.endpoint));
        let delay = self.delay_ms.map(|delay| format!(" by {delay} ms")).unwrap_or_default();
        let limits = limits(Some(self.for_seconds), self.reason.as_deref());
        format!("drill {fault} {name}{delay}{limits}")
    }
}

impl EndpointAdd {
    fn check(&self) -> Result<(), String> {
        names([Some(&*self.pool)])?;
        within("endpoints", self.endpoints.len() as u64, ADDED_MAX)?;
        for endpoint in &self.endpoints {
            let (address, name) = Self::parts(endpoint);
            names([Some(name)])?;
            if !(1..=ADDRESS_MAX).contains(&address.len())
                || !address.chars().all(|c| c.is_ascii_graphic())
            {
                return Err(format!("`{}` cannot be an address", shown(address)));
            }
        }
        if let Some(weight) = self.weight {
            within("weight", weight.into(), WEIGHT_MAX.into())?;
        }
        order(None, self.reason.as_deref())
    }

    /// Address and name of `ADDRESS` or `ADDRESS=NAME`.
    pub(crate) fn parts(endpoint: &str) -> (&str, &str) {
        endpoint.split_once('=').unwrap_or((endpoint, endpoint))
    }
}

impl Events {
    fn check(&self) -> Result<(), String> {
        if self.limit > EVENTS_MAX {
            return Err(format!("`limit` is {}; it must be from 0 to {EVENTS_MAX}", self.limit));
        }
        if self.kinds.len() > KINDS_MAX {
            return Err(format!("at most {KINDS_MAX} kinds"));
        }
        names(self.kinds.iter().map(|kind| Some(&**kind)))
    }
}

impl SessionClose {
    fn check(&self) -> Result<(), String> {
        let given = self.pool.is_some() || self.endpoint.is_some() || self.client.is_some();
        if self.sessions.is_empty() != given {
            return Err(
                "which sessions? Either `sessions`, or at least one of `pool`, `endpoint` \
                        and `client`"
                    .to_owned(),
            );
        }
        if self.sessions.len() > NAMED_MAX {
            return Err(format!("at most {NAMED_MAX} sessions at once"));
        }
        names(self.sessions.iter().map(|session| Some(&**session)))?;
        names([self.pool.as_deref(), self.endpoint.as_deref()])
    }

    fn words(&self) -> String {
        let mut words = "session close".to_owned();
        match &*self.sessions {
            [] => {}
            [one] => drop(write!(words, " {one}")),
            [first, others @ ..] => drop(write!(words, " {first} and {} more", others.len())),
        }
        let filter = [("pool", &self.pool), ("endpoint", &self.endpoint)];
        for (what, name) in filter {
            if let Some(name) = name {
                let _ = write!(words, " {what} {name}");
            }
        }
        if let Some(client) = self.client {
            let _ = write!(words, " client {client}");
        }
        words
    }
}

fn forced(force: bool) -> &'static str {
    if force { " --force" } else { "" }
}

fn endpoint(pool: &str, endpoint: &str) -> String {
    format!("{pool}/{endpoint}")
}

fn limits(for_seconds: Option<u64>, reason: Option<&str>) -> String {
    let time = for_seconds.map(|seconds| format!(" for {}", time(seconds))).unwrap_or_default();
    time + &why(reason)
}

fn time(seconds: u64) -> String {
    eclusa_config::reference::show_duration(Duration::from_secs(seconds))
}

fn why(reason: Option<&str>) -> String {
    reason.map(|reason| format!(": {reason}")).unwrap_or_default()
}

fn within(what: &str, number: u64, most: u64) -> Result<(), String> {
    match (1..=most).contains(&number) {
        true => Ok(()),
        false => Err(format!("`{what}` is {number}; it must be from 1 to {most}")),
    }
}

fn order(for_seconds: Option<u64>, reason: Option<&str>) -> Result<(), String> {
    if let Some(seconds) = for_seconds {
        within("for_seconds", seconds, FOR_MAX)?;
    }
    match reason {
        Some(reason) if reason.chars().count() > REASON_MAX => {
            Err(format!("`reason` is longer than {REASON_MAX} characters"))
        }
        Some(reason) if reason.chars().any(char::is_control) => {
            Err("`reason` must be one line, without control characters".to_owned())
        }
        _ => Ok(()),
    }
}

fn names<'a>(names: impl IntoIterator<Item = Option<&'a str>>) -> Result<(), String> {
    let right = |name: &str| {
        (1..=NAME_MAX).contains(&name.len()) && name.chars().all(|c| c.is_ascii_graphic())
    };
    match names.into_iter().flatten().find(|name| !right(name)) {
        None => Ok(()),
        Some(name) => Err(format!("`{}` cannot be a name", shown(name))),
    }
}

/// A text of somebody else in a message: cut, and safe to print.
pub(super) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(40).collect();
    let rest = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{rest}", cut.escape_debug())
}
