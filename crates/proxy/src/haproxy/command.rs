//! What HAProxy's socket is asked (its management.txt for 2.6, section 9.3), as far as it is there.

use super::csv::{Proxy, Wanted};
use crate::admin::AdminState;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// `show stat`
    Stat(Wanted),
    /// `show info`
    Info,
    /// `show version`
    Version,
    /// `show backend`: the names of the pools.
    Pools,
    /// `show servers state [POOL]`
    State(Option<String>),
    /// `show sess`
    Sessions,
    /// `show errors`
    Errors,
    /// `get weight POOL/ENDPOINT`
    Weight(Target),
    /// `help`
    Help,
    /// `prompt`: answers end in a prompt, and the connection stays; once more: they do not.
    Prompt,
    /// `quit`
    Quit,
    /// `set timeout cli TIME`: times here are fixed.
    Nothing,
    /// An order.
    Change(Target, Change),
}

/// An endpoint, as it is named here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) pool: String,
    pub(crate) endpoint: String,
}

/// What is to become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// `set server P/E state`, `enable server`, `disable server`
    State(AdminState),
    /// `set server P/E weight N`, `set weight P/E N`
    Weight(u32),
    /// The same in percent of what the file says.
    Percent(u32),
    /// `shutdown sessions server P/E`
    Shutdown,
}

/// What there is, for `help` and for mistakes.
pub(super) const HELP: &str = "\
The following commands are valid at this level:
  disable server <bk>/<srv>               : take an endpoint out: no new sessions, no probes
  enable server <bk>/<srv>                : make it ready again
  get weight <bk>/<srv>                   : its weight, and that of the file
  set server <bk>/<srv> state <state>     : ready, drain or maint
  set server <bk>/<srv> weight <n>[%]     : its weight, 1 to 256, or a share of the file's
  set timeout cli <delay>                 : taken, and without effect
  set weight <bk>/<srv> <n>[%]            : as set server ... weight
  show backend                            : the names of the pools
  show errors                             : the last messages that were refused
  show info                               : the program
  show servers state [<bk>]               : endpoints, as in a state file
  show sess                               : the sessions
  show stat [<iid|px> <type> <sid>] [up|no-maint]* : the table of figures
  show version                            : the version
  shutdown sessions server <bk>/<srv>     : close the sessions of an endpoint
  help                                    : this list
  prompt                                  : toggle interactive mode with prompt
  quit                                    : disconnect
";

/// Reads a command, without the `;` that ends it; `None`: there is nothing.
///
/// # Errors
/// What is wrong, in HAProxy's words where it has some.
pub(crate) fn parse(text: &str) -> Result<Option<Command>, String> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let command = match *words {
        [] => return Ok(None),
        ["help" | "?", ..] => Command::Help,
        ["prompt"] => Command::Prompt,
        ["quit"] => Command::Quit,
        ["show", "stat", ref rest @ ..] => Command::Stat(stat(rest)?),
        ["show", "info"] => Command::Info,
        ["show", "info", form, ..] => return Err(only("show info", form)),
        ["show", "version"] => Command::Version,
        ["show", "backend"] => Command::Pools,
        ["show", "servers", "state"] => Command::State(None),
        ["show", "servers", "state", pool] => Command::State(Some(pool.to_owned())),
        ["show", "sess"] => Command::Sessions,
        ["show", "sess", ..] => {
            return Err("show sess: one session is not told here; all of them are.\n".to_owned());
        }
        ["show", "errors", ..] => Command::Errors,
        ["get", "weight", name] => Command::Weight(target(name)?),
        ["set", "timeout", "cli", _] => Command::Nothing,
        ["set", "server", ref rest @ ..] => set(rest)?,
        ["set", "weight", name, value] => Command::Change(target(name)?, weight(value)?),
        ["set", "weight", ..] => return Err(lacks_target()),
        ["enable", "server", name] => {
            Command::Change(target(name)?, Change::State(AdminState::Ready))
        }
        ["disable", "server", name] => {
            Command::Change(target(name)?, Change::State(AdminState::Maint))
        }
        ["shutdown", "sessions", "server", name] => {
            Command::Change(target(name)?, Change::Shutdown)
        }
        ["enable" | "disable", "server"] | ["shutdown", "sessions", "server"] => {
            return Err(lacks_target());
        }
        _ => return Err(unknown()),
    };
    Ok(Some(command))
}

fn unknown() -> String {
    let list = HELP.split_once('\n').map_or(HELP, |(_, list)| list);
    format!("Unknown command. Please enter one of the following commands only:\n{list}")
}

fn lacks_target() -> String {
    "Require 'backend/server'.\n".to_owned()
}

/// A form of output that is not there.
fn only(command: &str, form: &str) -> String {
    let form: String = form.chars().filter(char::is_ascii_graphic).take(40).collect();
    format!("{command}: `{form}` is not supported here: only the plain form is.\n")
}

fn stat(words: &[&str]) -> Result<Wanted, String> {
    let mut wanted = Wanted::default();
    let mut words = words;
    if let [proxy, kinds, sid, rest @ ..] = words
        && let (Ok(kinds), Ok(sid)) = (kinds.parse(), sid.parse())
    {
        wanted.proxy = match proxy.parse::<i64>() {
            Ok(number) if number < 0 => Proxy::All,
            Ok(number) => Proxy::Number(number),
            Err(_) => Proxy::Name((*proxy).to_owned()),
        };
        (wanted.kinds, wanted.sid, words) = (kinds, sid, rest);
    }
    for word in words {
        match *word {
            "up" => wanted.up = true,
            "no-maint" => wanted.no_maint = true,
            form @ ("typed" | "json" | "desc") => return Err(only("show stat", form)),
            _ => {
                return Err(
                    "show stat: expects [<iid|px> <type> <sid>] [up|no-maint]*.\n".to_owned()
                );
            }
        }
    }
    Ok(wanted)
}

fn set(words: &[&str]) -> Result<Command, String> {
    let [name, rest @ ..] = words else { return Err(lacks_target()) };
    let target = target(name)?;
    let change = match rest {
        ["state", "ready"] => Change::State(AdminState::Ready),
        ["state", "drain"] => Change::State(AdminState::Drain),
        ["state", "maint"] => Change::State(AdminState::Maint),
        ["state", ..] => {
            return Err(
                "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n".to_owned()
            );
        }
        ["weight", value] => weight(value)?,
        ["weight", ..] => return Err("Require <weight> or <weight%>.\n".to_owned()),
        [
            what @ ("addr" | "agent" | "agent-addr" | "agent-port" | "agent-send" | "check-addr"
            | "check-port" | "fqdn" | "health" | "ssl"),
            ..,
        ] => {
            let why = "state and weight are, the rest is the file's: change it and reload";
            return Err(format!("'set server <srv> {what}' is not supported here: {why}.\n"));
        }
        _ => return Err("usage: set server <backend>/<server> state | weight\n".to_owned()),
    };
    Ok(Command::Change(target, change))
}

fn weight(text: &str) -> Result<Change, String> {
    let (digits, percent) = match text.strip_suffix('%') {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    let Ok(number) = digits.parse::<u32>() else {
        return Err("Empty weight string empty or preceded by garbage\n".to_owned());
    };
    match (number, percent) {
        (0, _) => Err("Weight 0 is not there: say 'set server <srv> state drain'.\n".to_owned()),
        (..=256, false) => Ok(Change::Weight(number)),
        (_, false) => Err("Absolute weight can only be between 0 and 256 inclusive.\n".to_owned()),
        (_, true) => Ok(Change::Percent(number)),
    }
}

/// `POOL/ENDPOINT`
fn target(name: &str) -> Result<Target, String> {
    match name.split_once('/') {
        Some((pool, endpoint)) if !pool.is_empty() && !endpoint.is_empty() => {
            Ok(Target { pool: pool.to_owned(), endpoint: endpoint.to_owned() })
        }
        _ => Err(lacks_target()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(name: &str, change: Change) -> Result<Option<Command>, String> {
        Ok(Some(Command::Change(target(name)?, change)))
    }

    #[test]
    fn orders() {
        use AdminState::{Drain, Maint, Ready};
        let set = |state| change("web/a", Change::State(state));
        assert_eq!(parse("set server web/a state drain"), set(Drain));
        assert_eq!(parse("  set   server web/a state\tmaint\r"), set(Maint));
        assert_eq!(parse("disable server web/a"), set(Maint));
        assert_eq!(parse("enable server web/a"), set(Ready));
        assert_eq!(parse("set server web/a weight 7"), change("web/a", Change::Weight(7)));
        assert_eq!(parse("set weight web/a 50%"), change("web/a", Change::Percent(50)));
        let address = "web/[::1]:443";
        assert_eq!(
            parse("shutdown sessions server web/[::1]:443"),
            change(address, Change::Shutdown)
        );
    }

    #[test]
    fn questions() {
        let stat = |wanted| Ok(Some(Command::Stat(wanted)));
        assert_eq!(parse("show stat"), stat(Wanted::default()));
        assert_eq!(parse("show stat -1 4 -1"), stat(Wanted { kinds: 4, ..Wanted::default() }));
        let named = Wanted { proxy: Proxy::Name("web".to_owned()), kinds: 7, ..Wanted::default() };
        assert_eq!(parse("show stat web 7 -1 up"), stat(Wanted { up: true, ..named }));
        let third = Wanted { proxy: Proxy::Number(3), kinds: 4, sid: 2, ..Wanted::default() };
        assert_eq!(parse("show stat 3 4 2 no-maint"), stat(Wanted { no_maint: true, ..third }));
        assert_eq!(parse("show info"), Ok(Some(Command::Info)));
        assert_eq!(parse("show servers state web"), Ok(Some(Command::State(Some("web".into())))));
        assert_eq!(parse("set timeout cli 60"), Ok(Some(Command::Nothing)));
        assert_eq!(parse(" \r"), Ok(None));
    }

    #[test]
    fn mistakes_are_told_in_haproxys_words_where_it_has_some() {
        let wrong = |text| parse(text).unwrap_err();
        assert_eq!(wrong("set server"), "Require 'backend/server'.\n");
        assert_eq!(wrong("enable server web"), "Require 'backend/server'.\n");
        assert_eq!(wrong("set server web/ state drain"), "Require 'backend/server'.\n");
        assert_eq!(wrong("set server web/a weight"), "Require <weight> or <weight%>.\n");
        let range = "Absolute weight can only be between 0 and 256 inclusive.\n";
        assert_eq!(wrong("set server web/a weight 257"), range);
        assert!(wrong("set server web/a weight -1").contains("garbage"));
        assert!(wrong("set server web/a weight 0").contains("state drain"));
        assert!(wrong("set server web/a weight 99999999999999999999").contains("garbage"));
        let states = "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n";
        assert_eq!(wrong("set server web/a state gone"), states);
        assert!(wrong("set server web/a addr 1.2.3.4").contains("not supported"));
        assert!(wrong("show stat typed").contains("`typed` is not supported"));
        assert!(wrong("show info json").contains("`json` is not supported"));
        assert!(wrong("show stat everything").starts_with("show stat: expects"));
        assert!(wrong("add acl x y").starts_with("Unknown command."));
        assert!(wrong("shutdown frontend web").starts_with("Unknown command."));
    }
}
