//! Requests and replies as lines: an object of JSON each, `\n` at its end.
//!
//! ```text
//! {"v":1,"id":7,"command":"endpoint set","pool":"apiserver","endpoint":"m1","admin":"drain"}
//! {"v":1,"id":7,"outcome":"done","code":0,"messages":["apiserver/m1: drain"],"data":{...}}
//! ```

use super::bounds::shown;
use super::{Data, Outcome, Reply, Request};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::io::{self, Write};

/// The version of the protocol.
pub(super) const VERSION: u64 = 1;
/// The longest request, in bytes, without its line end.
pub(super) const REQUEST_MAX: usize = 64 << 10;
/// The longest reply, in bytes.
pub(super) const REPLY_MAX: usize = 4 << 20;
/// The longest id, in bytes.
const ID_MAX: usize = 64;
/// The commands.
pub(super) const COMMANDS: [&str; 20] = [
    "reload",
    "status",
    "session list",
    "session show",
    "session close",
    "endpoint set",
    "endpoint weight",
    "endpoint reset",
    "plan",
    "explain",
    "errors",
    "events",
    "save",
    "confirm",
    "rollback",
    "endpoint add",
    "endpoint remove",
    "drill start",
    "drill stop",
    "drill show",
];
/// What a line looks like, for messages.
const FORM: &str = "a line such as {\"v\":1,\"id\":1,\"command\":\"status\"}";

/// A line that came in: the id to answer with, and the request or what is wrong with it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) id: Value,
    pub(super) request: Result<Request, String>,
}

/// Reads a line (without its end).
pub(super) fn parse(line: &[u8]) -> Line {
    let mut id = Value::Null;
    let request = object(line).and_then(|mut fields| {
        id = take_id(&mut fields)?;
        request(fields)
    });
    Line { id, request }
}

fn object(line: &[u8]) -> Result<Map<String, Value>, String> {
    let text = std::str::from_utf8(line)
        .map_err(|error| format!("not UTF-8 after {} bytes; wanted {FORM}", error.valid_up_to()))?;
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(format!("no object; wanted {FORM}")),
        Err(error) => Err(format!("no JSON ({error}); wanted {FORM}")),
    }
}

/// The id is sent back as it came.
fn take_id(fields: &mut Map<String, Value>) -> Result<Value, String> {
    match fields.remove("id") {
        None => Ok(Value::Null),
        Some(id @ (Value::Null | Value::Number(_))) => Ok(id),
        Some(Value::String(id)) if id.len() <= ID_MAX => Ok(Value::String(id)),
        Some(_) => Err(format!("`id` must be a number, or a text of at most {ID_MAX} bytes")),
    }
}

fn request(mut fields: Map<String, Value>) -> Result<Request, String> {
    match fields.remove("v") {
        None => return Err(format!("`v` is missing: this program speaks version {VERSION}")),
        Some(version) if version.as_u64() == Some(VERSION) => {}
        Some(Value::Number(version)) => {
            return Err(format!("version {version}: this program speaks version {VERSION}"));
        }
        Some(_) => return Err(format!("`v` must be the number {VERSION}")),
    }
    let command = match fields.remove("command") {
        None => return Err(format!("`command` is missing: one of {}", COMMANDS.join(", "))),
        Some(Value::String(command)) => command,
        Some(_) => return Err("`command` must be a text".to_owned()),
    };
    let request = match &*command {
        "reload" => arguments(fields).map(Request::Reload),
        "confirm" => arguments(fields).map(Request::Confirm),
        "rollback" => arguments(fields).map(Request::Rollback),
        "status" => arguments(fields).map(Request::Status),
        "session list" => arguments(fields).map(Request::SessionList),
        "session show" => arguments(fields).map(Request::SessionShow),
        "session close" => arguments(fields).map(Request::SessionClose),
        "endpoint set" => arguments(fields).map(Request::EndpointSet),
        "endpoint weight" => arguments(fields).map(Request::EndpointWeight),
        "endpoint reset" => arguments(fields).map(Request::EndpointReset),
        "endpoint add" => arguments(fields).map(Request::EndpointAdd),
        "endpoint remove" => arguments(fields).map(Request::EndpointRemove),
        "drill start" => arguments(fields).map(Request::DrillStart),
        "drill stop" => arguments(fields).map(Request::DrillStop),
        "drill show" => arguments(fields).map(Request::DrillShow),
        "plan" => arguments(fields).map(Request::Plan),
        "explain" => arguments(fields).map(Request::Explain),
        "errors" => arguments(fields).map(Request::Errors),
        "events" => arguments(fields).map(Request::Events),
        "save" => arguments(fields).map(Request::Save),
        _ => return Err(unknown(&command)),
    };
    let request = request.map_err(|error| format!("{command}: {error}"))?;
    request.check().map_err(|error| format!("{command}: {error}"))?;
    Ok(request)
}

fn arguments<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, String> {
    // serde quotes what was written.
    serde_json::from_value(Value::Object(fields)).map_err(|error| {
        let text = error.to_string();
        let mut line: String = text.chars().take(300).collect();
        if line.len() < text.len() {
            line.push('…');
        }
        line.chars()
            .flat_map(|c| if c.is_control() { c.escape_debug().collect() } else { vec![c] })
            .collect()
    })
}

fn unknown(command: &str) -> String {
    let hint = match eclusa_config::nearest(command, COMMANDS) {
        Some(hint) => format!("did you mean `{hint}`?"),
        None => format!("one of {}", COMMANDS.join(", ")),
    };
    format!("no command `{}`: {hint}", shown(command))
}

impl Request {
    /// The request as a line, with its end.
    ///
    /// # Errors
    /// It is too long.
    pub(super) fn to_line(&self, id: u64) -> Result<Vec<u8>, String> {
        let (command, arguments) = match self {
            Self::Reload(arguments) => ("reload", serde_json::to_value(arguments)),
            Self::Confirm(arguments) => ("confirm", serde_json::to_value(arguments)),
            Self::Rollback(arguments) => ("rollback", serde_json::to_value(arguments)),
            Self::Status(arguments) => ("status", serde_json::to_value(arguments)),
            Self::SessionList(arguments) => ("session list", serde_json::to_value(arguments)),
            Self::SessionShow(arguments) => ("session show", serde_json::to_value(arguments)),
            Self::SessionClose(arguments) => ("session close", serde_json::to_value(arguments)),
            Self::EndpointSet(arguments) => ("endpoint set", serde_json::to_value(arguments)),
            Self::EndpointWeight(arguments) => ("endpoint weight", serde_json::to_value(arguments)),
            Self::EndpointReset(arguments) => ("endpoint reset", serde_json::to_value(arguments)),
            Self::EndpointAdd(arguments) => ("endpoint add", serde_json::to_value(arguments)),
            Self::EndpointRemove(arguments) => ("endpoint remove", serde_json::to_value(arguments)),
            Self::DrillStart(arguments) => ("drill start", serde_json::to_value(arguments)),
            Self::DrillStop(arguments) => ("drill stop", serde_json::to_value(arguments)),
            Self::DrillShow(arguments) => ("drill show", serde_json::to_value(arguments)),
            Self::Plan(arguments) => ("plan", serde_json::to_value(arguments)),
            Self::Explain(arguments) => ("explain", serde_json::to_value(arguments)),
            Self::Errors(arguments) => ("errors", serde_json::to_value(arguments)),
            Self::Events(arguments) => ("events", serde_json::to_value(arguments)),
            Self::Save(arguments) => ("save", serde_json::to_value(arguments)),
        };
        let arguments = arguments.map_err(|error| error.to_string())?;
        let mut fields = Map::new();
        fields.insert("v".to_owned(), VERSION.into());
        fields.insert("id".to_owned(), id.into());
        fields.insert("command".to_owned(), command.into());
        fields.extend(arguments.as_object().cloned().unwrap_or_default());
        let mut line = serde_json::to_vec(&fields).map_err(|error| error.to_string())?;
        if line.len() > REQUEST_MAX {
            return Err(format!("the request is longer than {} KiB", REQUEST_MAX >> 10));
        }
        line.push(b'\n');
        Ok(line)
    }
}

/// A reply as it is written.
#[derive(Serialize)]
struct Written<'a> {
    v: u64,
    id: &'a Value,
    outcome: Outcome,
    code: u8,
    messages: &'a [String],
    #[serde(skip_serializing_if = "is_nothing")]
    data: &'a Data,
}

fn is_nothing(data: &&Data) -> bool {
    matches!(data, Data::None)
}

/// A reply as a client reads it. What newer programs add is ignored.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    /// The version that the program speaks.
    pub(super) v: u64,
    /// What came of the request.
    pub(super) outcome: Outcome,
    /// Lines for people.
    #[serde(default)]
    pub(super) messages: Vec<String>,
    /// The answer for programs.
    #[serde(default)]
    pub(super) data: Value,
}

/// The reply as a line, with its end; one that says so where it would be too long.
pub(super) fn reply_line(id: &Value, reply: &Reply) -> Vec<u8> {
    written(id, reply).unwrap_or_else(|_| {
        let message = format!(
            "the answer takes more than {} MiB: ask for less (`status POOL`, `session list --limit N`)",
            REPLY_MAX >> 20
        );
        written(id, &Reply::not_done(Outcome::Failed, message)).unwrap_or_default()
    })
}

fn written(id: &Value, reply: &Reply) -> io::Result<Vec<u8>> {
    let mut line = Bounded(Vec::new());
    let Reply { outcome, messages, data, .. } = reply;
    let (outcome, code) = (*outcome, outcome.code());
    serde_json::to_writer(&mut line, &Written { v: VERSION, id, outcome, code, messages, data })?;
    line.write_all(b"\n")?;
    Ok(line.0)
}

/// Takes no more than [`REPLY_MAX`] bytes.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > REPLY_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
