//! The bounds of requests, and requests in words.

use super::request::{Reload, Request, SessionClose, StatusOf};
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
                | Self::Plan(_)
                | Self::Explain(_)
                | Self::Errors(_)
        )
    }

    /// The request in one line, for the log.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Reload(Reload { force }) => format!("reload{}", forced(*force)),
            Self::Status(_) => "status".to_owned(),
            Self::Plan(_) => "plan".to_owned(),
            Self::Explain(_) => "explain".to_owned(),
            Self::Errors(_) => "errors".to_owned(),
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
        }
    }

    /// Whether everything in it is within its bounds.
    ///
    /// # Errors
    /// What is not, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            // What a plan and an explanation are asked about is read as a whole.
            Self::Reload(_) | Self::Plan(_) | Self::Explain(_) | Self::Errors(_) => Ok(()),
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
            Self::EndpointReset(reset) => names([Some(&*reset.pool), Some(&*reset.endpoint)]),
        }
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
    let time = for_seconds.map(Duration::from_secs).map(eclusa_config::reference::show_duration);
    let time = time.map(|time| format!(" for {time}")).unwrap_or_default();
    time + &reason.map(|reason| format!(": {reason}")).unwrap_or_default()
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
