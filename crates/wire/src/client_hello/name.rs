//! The server name extension (RFC 6066, section 3).

use super::Stop;
use super::reader::Reader;
use std::net::IpAddr;

/// The longest name DNS allows, in bytes (RFC 1035, section 2.3.4).
pub const NAME_MAX: usize = 253;

/// The longest part between two dots, in bytes.
const LABEL_MAX: usize = 63;

const HOST_NAME: u8 = 0;

/// What the client asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ServerName {
    /// No server name.
    #[default]
    Absent,
    /// A host name: lower case, no final dot, ASCII letters, digits, `-` and `_` between dots.
    Host(Box<str>),
    /// An IP address, which RFC 6066 forbids and some clients send: no name to route by.
    Address,
    /// Something that no host is called: no name to route by.
    Invalid,
}

/// Reads the content of the extension.
pub(super) fn read(content: &[u8]) -> Result<ServerName, Stop> {
    let wrong = Stop::Malformed("the list of server names is wrong");
    let list = Reader(content).only_vector16().filter(|list| !list.is_empty()).ok_or(wrong)?;
    let mut list = Reader(list);
    let mut found = None;
    while !list.is_empty() {
        let kind = list.u8().ok_or(wrong)?;
        // Names of kinds to come begin with two bytes of length as well (RFC 6066, section 3).
        let name = list.vector16().ok_or(wrong)?;
        if kind != HOST_NAME {
            continue;
        }
        if name.is_empty() {
            return Err(Stop::Malformed("the server name is empty"));
        }
        if found.replace(name).is_some() {
            return Err(Stop::Malformed("two server names"));
        }
    }
    Ok(found.map_or(ServerName::Absent, judge))
}

fn judge(name: &[u8]) -> ServerName {
    let Ok(text) = str::from_utf8(name) else { return ServerName::Invalid };
    if text.parse::<IpAddr>().is_ok() {
        return ServerName::Address;
    }
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.len() <= NAME_MAX && text.split('.').all(is_label) {
        ServerName::Host(text.to_ascii_lowercase().into_boxed_str())
    } else {
        ServerName::Invalid
    }
}

/// Underscores and hyphens at the ends are no good style in host names, but names with them are in
/// use and must reach their wildcard.
fn is_label(label: &str) -> bool {
    (1..=LABEL_MAX).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
