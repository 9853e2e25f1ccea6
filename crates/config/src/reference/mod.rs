//! The one table of keys: what may be written where, its type, its default, what it is for.
//!
//! The reader checks by it, hints come from it, and `docs/configuration.md`, the manual pages of section
//! 5 and the JSON Schemas are printed from it.

mod man;
mod render;
mod schema;
pub mod table;

pub use man::man;
pub use render::render;
pub use schema::schema;

use crate::plan::{ByteSize, Program};
use std::time::Duration;

/// A table of the document and the keys it may have.
#[derive(Debug)]
pub struct Section {
    /// What it is for.
    pub help: &'static str,
    /// The keys that both programs know, or that the program of this section knows.
    pub keys: &'static [&'static Key],
}

/// A key of a section.
#[derive(Debug)]
pub struct Key {
    /// As written.
    pub name: &'static str,
    /// What its value must be.
    pub kind: Kind,
    /// What holds when it is left out.
    pub default: Default,
    /// What it is for.
    pub help: &'static str,
}

/// What holds when a key is left out.
#[derive(Clone, Copy, Debug)]
pub enum Default {
    /// It must not be left out.
    Required,
    /// Nothing that could be written; in words.
    Words(&'static str),
    /// The same as this value, in TOML.
    Value(&'static str),
    /// The same as a value that depends on the program.
    ByProgram {
        /// The value in `eclusa-apiserver`.
        apiserver: &'static str,
        /// The value in `eclusa-edge`.
        edge: &'static str,
    },
    /// A value in `eclusa-apiserver`; in `eclusa-edge` it depends on other keys.
    EdgeInWords {
        /// The value in `eclusa-apiserver`.
        apiserver: &'static str,
        /// What holds in `eclusa-edge`, in words.
        edge: &'static str,
    },
}

impl Default {
    /// The value in TOML, if it is one.
    #[must_use]
    pub fn value(self, program: Program) -> Option<&'static str> {
        match (self, program) {
            (Self::Required | Self::Words(_), _) | (Self::EdgeInWords { .. }, Program::Edge) => {
                None
            }
            (Self::Value(text), _)
            | (
                Self::ByProgram { apiserver: text, .. } | Self::EdgeInWords { apiserver: text, .. },
                Program::Apiserver,
            )
            | (Self::ByProgram { edge: text, .. }, Program::Edge) => Some(text),
        }
    }
}

/// What a value must be.
#[derive(Debug)]
pub enum Kind {
    /// A whole number in a range.
    Integer {
        /// The least.
        min: u32,
        /// The greatest.
        max: u32,
    },
    /// `true` or `false`.
    Boolean,
    /// A duration in a range.
    Duration {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
        /// Whether `"never"` is allowed, too.
        never: bool,
        /// Whether it must be in whole seconds (the kernel counts so).
        whole: bool,
    },
    /// One of some words.
    Choice(&'static [&'static str]),
    /// A network, or one address.
    Network,
    /// An address of this host.
    Address,
    /// An address and port to listen on.
    Listen,
    /// An address to listen on, with or without a port.
    ListenHost,
    /// Address or name of an endpoint, with its port, or a table of this section.
    Endpoint(&'static Section),
    /// The same; the port may be left out.
    Master(&'static Section),
    /// Address or name of an endpoint and its port.
    EndpointAddress,
    /// A server name or a wildcard.
    ServerName,
    /// A host name.
    HostName,
    /// An absolute path, such as this.
    Path(&'static str),
    /// The path of a request.
    RequestPath,
    /// The same, or `"none"`.
    RequestPathOrNone,
    /// `http://` with an address or name and a port.
    HttpAddress,
    /// What a request may carry as `Host`.
    RequestHost,
    /// A status of HTTP, or several.
    Status,
    /// A regular expression.
    Pattern,
    /// A place that a log goes to.
    LogTarget,
    /// A number from 0 to 1.
    Fraction,
    /// What something may be called.
    Label,
    /// The name of something that stands elsewhere in the document, as said.
    Name(&'static str),
    /// `"v1"`, `"v2"`, or a table of this section.
    SendProxy(&'static Section),
    /// A list with at least one item; a single item may be written without brackets.
    List(&'static Kind),
    /// A host or a wildcard.
    HostPattern,
    /// A path in the form in which paths are compared.
    ComparedPath,
    /// Any text with something in it, on one line.
    Text,
    /// Any text.
    Body,
    /// What takes the place of a part of a path.
    Replacement,
    /// A method of HTTP.
    Method,
    /// A text with variables.
    Template,
    /// The name of a header field that a rule may change.
    HeaderName,
    /// A word without spaces: the name of a cookie, of a protocol.
    Token,
    /// A header field, a cookie, a parameter or the path.
    HashBy,
    /// SHA-256 of a certificate.
    Fingerprint,
    /// A name and the hash of its password.
    User,
    /// A number of bytes in a range.
    Size {
        /// The least.
        min: u64,
        /// The greatest.
        max: u64,
    },
    /// A table of header fields with their values.
    Fields,
    /// A table of pools with their shares.
    Shares,
    /// A table of names with a number each.
    Numbers {
        /// What the names are of.
        of: &'static str,
        /// One that would do, in TOML.
        example: &'static str,
    },
    /// A table of names, each with what is asked of its value: a text, a list of texts, `true`, or a
    /// table of this section.
    Matching(&'static Section),
    /// How a file may be used, in octal.
    FileMode,
    /// A group of users.
    Group,
    /// A table, or `false`.
    TableOrFalse(&'static Section),
    /// A table, or `true` for its defaults, or `false` for none.
    Switch(&'static Section),
    /// A table.
    Table(&'static Section),
    /// Tables that have names: `[pool.NAME]`.
    Named(&'static Section),
    /// A list of tables: `[[listener.NAME.route]]`.
    Tables(&'static Section),
}

impl Kind {
    /// What is expected, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Boolean => "`true` or `false`".to_owned(),
            Self::Duration { min, max, never, whole } => {
                let (min, max) = (show_duration(*min), show_duration(*max));
                let whole = if *whole { " in whole seconds" } else { "" };
                let never = if *never { ", or \"never\"" } else { "" };
                format!("a duration{whole} from \"{min}\" to \"{max}\"{never}")
            }
            Self::Choice(words) => {
                let words: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
                words.join(" or ")
            }
            Self::Network => "a network such as \"10.0.0.0/22\", or an address".to_owned(),
            Self::Address => "an IP address".to_owned(),
            Self::Listen => "address and port, such as \"0.0.0.0:443\" or \"[::]:443\"".to_owned(),
            Self::ListenHost => {
                "an address, such as \"0.0.0.0\" or \"[::]\", or with a port".to_owned()
            }
            Self::Endpoint(_) => {
                "address or name with a port (\"10.0.1.100:443\"), or a table".to_owned()
            }
            Self::Master(_) => {
                "address or name, with or without a port (\"10.0.0.11\"), or a table".to_owned()
            }
            Self::EndpointAddress => {
                "address or name, with a port: \"10.0.1.100:443\", \"[fd00::1]:6443\"".to_owned()
            }
            Self::ServerName => "a name such as \"shop.example.com\" or \"*.example.com\"".into(),
            Self::HostName => "a host name".to_owned(),
            Self::Path(_) => "an absolute path".to_owned(),
            Self::RequestPath => "the path of a request, such as \"/healthz\"".to_owned(),
            Self::RequestPathOrNone => {
                "the path of a request, such as \"/livez\", or \"none\"".to_owned()
            }
            Self::HttpAddress => "`http://`, an address or name, and a port".to_owned(),
            Self::RequestHost => "a name or address, with or without a port".to_owned(),
            Self::Status => "a status (\"401\"), a class (\"2xx\") or a range (\"200-399\")".into(),
            Self::Pattern => "a regular expression, such as '^ok'".to_owned(),
            Self::LogTarget => {
                "\"stderr\", \"journal\", the absolute path of a file, \"unix:/dev/log\", \
                 \"udp:ADDRESS:PORT\" or \"tcp:ADDRESS:PORT\""
                    .to_owned()
            }
            Self::Fraction => "a number from 0 to 1".to_owned(),
            Self::Label => "a name".to_owned(),
            Self::Name(what) => format!("the name of {what}"),
            Self::SendProxy(_) => "\"v1\", \"v2\", or a table".to_owned(),
            Self::List(item) => format!("a list: {}", item.describe()),
            Self::FileMode => "a mode in octal, such as \"0660\"".to_owned(),
            Self::Group => "the name or number of a group".to_owned(),
            Self::TableOrFalse(_) => "a table, or `false`".to_owned(),
            Self::Switch(_) => "`true`, `false`, or a table".to_owned(),
            Self::Table(_) => "a table".to_owned(),
            Self::Named(_) => "tables with names".to_owned(),
            Self::Tables(_) => "a list of tables".to_owned(),
            of_requests => of_requests.describe_of_requests(),
        }
    }

    /// The same, of what concerns requests.
    fn describe_of_requests(&self) -> String {
        match self {
            Self::HostPattern => "a name such as \"shop.example.com\" or \"*.example.com\"".into(),
            Self::ComparedPath => "a path, such as \"/api\"".to_owned(),
            Self::Text => "a text on one line".to_owned(),
            Self::Body => "a text".to_owned(),
            Self::Replacement => "a path, or a part of one".to_owned(),
            Self::Method => "a method, such as \"GET\"".to_owned(),
            Self::Template => "a text, with or without variables: \"www.{host}\"".to_owned(),
            Self::HeaderName => "the name of a header field, such as \"X-Env\"".to_owned(),
            Self::Token => "a name of letters, digits and hyphens".to_owned(),
            Self::HashBy => {
                "\"header:NAME\", \"cookie:NAME\", \"query:NAME\" or \"path\"".to_owned()
            }
            Self::Fingerprint => "64 hexadecimal digits, with or without colons".to_owned(),
            Self::User => "a name, a colon and the hash of its password".to_owned(),
            Self::Size { min, max } => {
                format!("a size from \"{}\" to \"{}\"", ByteSize(*min), ByteSize(*max))
            }
            Self::Fields => "a table of names and values: `{ X-Env = \"blue\" }`".to_owned(),
            Self::Shares => "a table of pools and shares: `{ blue = 95, green = 5 }`".to_owned(),
            Self::Numbers { of, example } => format!("a table of {of} and numbers: `{example}`"),
            Self::Matching(_) => {
                "a table of names, each with a text, a list of texts, `true` or a table".to_owned()
            }
            _ => "a value".to_owned(),
        }
    }

    /// A value that would do, in TOML.
    #[must_use]
    pub fn example(&self) -> String {
        let example = match self {
            Self::Integer { min, max } => return (*min).max(1).min(*max).to_string(),
            Self::Boolean => "true",
            Self::Duration { min, max, .. } => {
                let usual = Duration::from_secs(30).clamp(*min, *max);
                return format!("\"{}\"", show_duration(usual));
            }
            Self::Choice(words) => return format!("\"{}\"", words.first().unwrap_or(&"")),
            Self::Network => "\"10.0.0.0/22\"",
            Self::Address => "\"192.168.1.2\"",
            Self::Listen => "\"0.0.0.0:443\"",
            Self::ListenHost => "\"0.0.0.0\"",
            Self::Endpoint(_) | Self::EndpointAddress => "\"10.0.1.100:443\"",
            Self::Master(_) => "\"10.0.0.11\"",
            Self::ServerName => "\"shop.example.com\"",
            Self::HostName => "\"kubernetes\"",
            Self::Path(example) => return format!("\"{example}\""),
            Self::RequestPath => "\"/healthz\"",
            Self::RequestPathOrNone => "\"/livez\"",
            Self::HttpAddress => "\"http://10.0.0.9:9643\"",
            Self::RequestHost => "\"shop.example.com\"",
            Self::Status => "\"2xx\"",
            Self::Pattern => "'^ok'",
            Self::LogTarget => "\"stderr\"",
            Self::Fraction => "0.1",
            Self::Label => "\"haproxy\"",
            Self::Name(_) => "\"web\"",
            Self::SendProxy(_) => "\"v2\"",
            Self::List(item) => return format!("[{}]", item.example()),
            Self::HostPattern => "\"shop.example.com\"",
            Self::ComparedPath => "\"/api\"",
            Self::Text => "\"blue\"",
            Self::Body => "\"User-agent: *\"",
            Self::Replacement => "\"/\"",
            Self::Method => "\"GET\"",
            Self::Template => "\"www.{host}\"",
            Self::HeaderName => "\"X-Env\"",
            Self::Token => "\"session\"",
            Self::HashBy => "\"cookie:session\"",
            Self::Fingerprint => return format!("\"{}\"", "5d".repeat(32)),
            Self::User => "\"alice:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC\"",
            Self::Size { min, max } => {
                return format!("\"{}\"", ByteSize((32 << 10).clamp(*min, *max)));
            }
            Self::Fields => "{ X-Env = \"blue\" }",
            Self::Shares => "{ blue = 95, green = 5 }",
            Self::Numbers { example, .. } => *example,
            Self::Matching(_) => "{ X-Env = \"blue\" }",
            Self::FileMode => "\"0660\"",
            Self::Group => "\"eclusa\"",
            Self::TableOrFalse(_) => "false",
            Self::Switch(_) => "true",
            Self::Table(_) | Self::Named(_) => "{}",
            Self::Tables(_) => "[{}]",
        };
        example.to_owned()
    }

    /// The section that lies below, if one does.
    #[must_use]
    pub fn section(&self) -> Option<&'static Section> {
        match self {
            Self::Endpoint(section)
            | Self::Master(section)
            | Self::SendProxy(section)
            | Self::TableOrFalse(section)
            | Self::Switch(section)
            | Self::Matching(section)
            | Self::Table(section)
            | Self::Named(section)
            | Self::Tables(section) => Some(section),
            Self::List(item) => item.section(),
            _ => None,
        }
    }
}

/// A duration as it is written: `1h`, `500ms`.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit =
        units.iter().find(|(length, _)| milliseconds > 0 && milliseconds.is_multiple_of(*length));
    match unit {
        Some((length, unit)) => format!("{}{unit}", milliseconds / length),
        None if milliseconds == 0 => "0s".to_owned(),
        None => format!("{milliseconds}ms"),
    }
}

/// The top level of a program's document.
#[must_use]
pub fn root(program: Program) -> &'static Section {
    match program {
        Program::Apiserver => &table::APISERVER,
        Program::Edge => &table::EDGE,
    }
}

/// Calls `see` with every section that a program knows and the path that leads there; one that stands
/// in many places (a condition and its parts) is seen once.
pub fn walk(program: Program, see: &mut dyn FnMut(&str, &'static Section)) {
    let mut waiting = vec![(String::new(), root(program))];
    let mut seen: Vec<*const Section> = Vec::new();
    while let Some((path, section)) = waiting.pop() {
        let this: *const Section = section;
        if is_shared(section) && seen.contains(&this) {
            continue;
        }
        seen.push(this);
        see(&path, section);
        // Last in, first out: in the order of the table.
        for key in section.keys.iter().rev() {
            let Some(below) = key.kind.section() else { continue };
            waiting.push((join(&path, key), below));
        }
    }
}

fn is_shared(section: &'static Section) -> bool {
    let shared = [&table::CONDITION, &table::VALUES, &table::CERTIFICATE_SECTION];
    shared.into_iter().any(|shared| std::ptr::eq(section, shared))
}

fn join(path: &str, key: &Key) -> String {
    let dot = if path.is_empty() { "" } else { "." };
    let name = if matches!(key.kind, Kind::Named(_) | Kind::Matching(_)) { ".NAME" } else { "" };
    format!("{path}{dot}{}{name}", key.name)
}
