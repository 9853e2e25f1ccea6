//! What is asked: a connection or a request, as somebody wrote it down.

use crate::nearest::nearest;
use crate::plan::{Listener, Plan};
use eclusa_policy::condition::Written;
use eclusa_policy::name::{checked, fold};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A name and a value.
pub type Pair = (String, String);

/// Listeners that a message lists.
const LISTED: usize = 8;

/// A connection or a request whose way is to be explained.
#[derive(Clone, Debug)]
pub struct Question {
    /// The client, as access lists see it: behind a proxy the one that its PROXY header names.
    pub from: IpAddr,
    /// The name of the listener; may be left out where only one can be meant.
    pub listener: Option<String>,
    /// The port that the client connects to.
    pub port: Option<u16>,
    /// The server name of the ClientHello; at a listener that terminates TLS the host, if left out.
    pub server_name: Option<String>,
    /// The host of a request; with or without a port.
    pub host: Option<String>,
    /// Its path, with or without a query.
    pub path: Option<String>,
    /// Its method; `GET` if left out.
    pub method: Option<String>,
    /// Its header fields.
    pub headers: Vec<Pair>,
    /// Its cookies.
    pub cookies: Vec<Pair>,
}

/// A request that was asked about.
pub(super) struct Request {
    pub(super) written: Written,
}

impl Request {
    /// Whether its host is an address: no server name is sent for those (RFC 6066, section 3).
    pub(super) fn is_address(&self) -> bool {
        let host = self.written.host.trim_start_matches('[').trim_end_matches(']');
        host.parse::<IpAddr>().is_ok()
    }
}

impl Question {
    /// A question about a connection of this client.
    #[must_use]
    pub fn from(client: IpAddr) -> Self {
        Self {
            from: client,
            listener: None,
            port: None,
            server_name: None,
            host: None,
            path: None,
            method: None,
            headers: Vec::new(),
            cookies: Vec::new(),
        }
    }

    pub(super) fn server_name(&self) -> Result<Option<String>, String> {
        let Some(name) = &self.server_name else { return Ok(None) };
        let name = fold(name);
        match checked(&name) {
            Ok(_) => Ok(Some(name)),
            Err(error) => Err(format!("the server name is none: {error}")),
        }
    }

    /// The request that it is about; `None`: it is about a connection.
    pub(super) fn request(&self) -> Result<Option<Request>, String> {
        let has_more = self.path.is_some()
            || self.method.is_some()
            || !self.headers.is_empty()
            || !self.cookies.is_empty();
        let host = match &self.host {
            None if has_more => {
                return Err("a request without a host: the host is missing".to_owned());
            }
            None => return Ok(None),
            Some(host) => host_of(host)?,
        };
        let path = self.path.as_deref().ok_or("a request without a path: the path is missing")?;
        let method = self.method.as_deref().unwrap_or("GET");
        if method.is_empty() || !method.bytes().all(is_token) {
            return Err(format!("`{}` is no method such as GET", method.escape_debug()));
        }
        if !(path.starts_with('/') || path == "*" && method == "OPTIONS") {
            return Err(format!("the path `{}` does not begin with `/`", path.escape_debug()));
        }
        if !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            let shown = path.escape_debug();
            return Err(format!("the path `{shown}` has what no client sends: percent-encode it"));
        }
        let mut written = Written::get(&host, path);
        method.clone_into(&mut written.method);
        for (name, value) in &self.headers {
            if name.is_empty() || !name.bytes().all(is_token) {
                let shown = name.escape_debug();
                return Err(format!(
                    "`{shown}` is no name of a header field: write `X-Name: value`"
                ));
            }
            if name.eq_ignore_ascii_case("host") {
                return Err("the host stands in a header field: give it as the host".to_owned());
            }
            let value = value.trim_matches([' ', '\t']);
            if value.chars().any(char::is_control) {
                return Err(format!("the value of {name} has control characters"));
            }
            written = written.with_header(name, value);
        }
        let mut cookies = Vec::new();
        for (name, value) in &self.cookies {
            if name.is_empty()
                || !name.bytes().all(is_token)
                || value.chars().any(|c| c.is_control() || c == ';')
            {
                return Err(format!("`{}` is no cookie: write `name=value`", name.escape_debug()));
            }
            cookies.push(format!("{name}={value}"));
        }
        if !cookies.is_empty() {
            written = written.with_header("cookie", &cookies.join("; "));
        }
        Ok(Some(Request { written }))
    }

    /// The listener that is meant, and its address that the client comes to.
    pub(super) fn listener<'p>(
        &self,
        plan: &'p Plan,
        request: bool,
    ) -> Result<(&'p Listener, SocketAddr), String> {
        if let Some(name) = &self.listener
            && !plan.listeners.iter().any(|listener| *listener.name == **name)
        {
            let hint = nearest(name, plan.listeners.iter().map(|listener| &*listener.name));
            let hint = hint.map_or_else(
                || format!(": there are {}", shown(plan.listeners.iter())),
                |hint| format!("; did you mean {hint}?"),
            );
            return Err(format!("there is no listener {}{hint}", name.escape_debug()));
        }
        let is_meant = |listener: &&Listener| {
            self.listener.as_ref().is_none_or(|name| *listener.name == **name)
                && self.port.is_none_or(|port| address(listener, port).is_some())
        };
        let mut meant: Vec<_> = plan.listeners.iter().filter(is_meant).collect();
        if meant.len() > 1 && request {
            meant.retain(|listener| listener.http.is_some());
        }
        let listener = match meant[..] {
            [one] => one,
            [] => {
                let port = self.port.map_or(String::new(), |port| format!(" on port {port}"));
                let there = shown(plan.listeners.iter());
                return Err(format!("no listener{port} takes this: there are {there}"));
            }
            _ => {
                let names = shown(meant.into_iter());
                return Err(format!("which listener? {names}: name it, or its port"));
            }
        };
        let at = match self.port {
            Some(port) => address(listener, port),
            None => listener.addresses.first().map(|listen| listen.address),
        };
        let at = at.ok_or_else(|| format!("listener {} has no address", listener.name))?;
        Ok((listener, at))
    }
}

/// The address of the listener with this port.
fn address(listener: &Listener, port: u16) -> Option<SocketAddr> {
    let addresses = listener.addresses.iter().map(|listen| listen.address);
    addresses.into_iter().find(|address| address.port() == port)
}

fn shown<'p>(listeners: impl Iterator<Item = &'p Listener>) -> String {
    let all: Vec<_> = listeners
        .map(|listener| {
            let first = listener.addresses.first().map(|listen| listen.address);
            first.map_or(listener.name.to_string(), |at| format!("{} ({at})", listener.name))
        })
        .collect();
    match all.len() {
        0 => "none".to_owned(),
        count if count > LISTED => {
            format!("{} and {} more", all[..LISTED].join(", "), count - LISTED)
        }
        _ => all.join(", "),
    }
}

/// The host in the form in which hosts are compared: lower case, without port and trailing dot.
fn host_of(text: &str) -> Result<String, String> {
    let wrong = || {
        let shown = text.escape_debug();
        Err(format!("the host `{shown}` is no name and no address such as [::1]"))
    };
    let bare = match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            // `::1` is an address, not the host `:` with a port.
            if host.contains(':') && !host.starts_with('[') { text } else { host }
        }
        _ => text,
    };
    let host = fold(bare);
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match inner {
        Some(inner) if inner.parse::<Ipv6Addr>().is_ok() => Ok(host),
        Some(_) => wrong(),
        None if checked(&host).is_ok() => Ok(host),
        None => wrong(),
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
