//! Random sites of the edge, and what clients ask there: for tests that come to an answer in two ways.

use fastrand::Rng;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

/// The pools of a site.
pub const POOLS: [&str; 3] = ["one", "two", "three"];
/// Its listeners: HTTP, HTTP over TLS that is terminated, and TLS that is carried by its server name.
pub const LISTENERS: [&str; 3] = ["http", "https", "sni"];
/// The hosts that clients ask for, all of them names in a certificate.
pub const HOSTS: [&str; 5] = ["a.test", "b.test", "x.a.test", "c", "y.x.a.test"];

const PATTERNS: [&str; 5] = ["a.test", "*.test", "*.a.test", "b.test", "c"];
const PATHS: [&str; 5] = ["/", "/a", "/a/b", "/ab", "/img.png"];
const SENT: [&str; 11] = [
    "/", "/a", "/a/", "/a/b/c", "/ab", "//a", "/%61/b", "/x/../a", "/a?q=1", "/img.png", "/a?q=2&p",
];
const METHODS: [&str; 4] = ["GET", "POST", "OPTIONS", "CONNECT"];
/// The one user of a site, whose password is the one that clients send if they send any.
const USER: &str = "a:$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC";
const PASSWORD: &str = "Basic YTpteVBhc3N3b3Jk";

/// Where the parts of a site are.
#[derive(Clone, Debug)]
pub struct Place {
    /// Of the listeners, in their order.
    pub listeners: [SocketAddr; 3],
    /// The endpoint of each pool.
    pub pools: [SocketAddr; 3],
    /// The certificates of the listener that terminates TLS, as the file names them.
    pub certificates: String,
    /// Further keys of each listener, a line each.
    pub listener: String,
    /// Further keys of each pool.
    pub pool: String,
    /// Further lines at the beginning of the file.
    pub head: String,
}

/// The text of a site with a listener of each kind, with random rules, routes and access lists.
#[must_use]
pub fn site(rng: &mut Rng, place: &Place) -> String {
    let mut text = place.head.clone();
    for (name, address) in LISTENERS.into_iter().zip(place.listeners) {
        listener(rng, &mut text, name, address, place);
    }
    for (pool, endpoint) in POOLS.iter().zip(place.pools) {
        let more = &place.pool;
        let _ = writeln!(text, "[pool.{pool}]\nendpoints = [\"{endpoint}\"]\n{more}");
    }
    text
}

fn pick<'a>(rng: &mut Rng, of: &[&'a str]) -> &'a str {
    of[rng.usize(..of.len())]
}

/// A condition as an inline table; `http`: over requests, too.
fn condition(rng: &mut Rng, http: bool, tls: bool, depth: usize) -> String {
    let nested = if depth > 0 { 3 } else { 0 };
    let kind = rng.usize(..7 + nested);
    let leaf = |rng: &mut Rng| match kind % 7 {
        0 if http => format!("host = [\"{}\", \"{}\"]", pick(rng, &PATTERNS), pick(rng, &PATTERNS)),
        1 if http => format!("path_prefix = \"{}\"", pick(rng, &PATHS)),
        2 if http => format!("path = \"{}\"", pick(rng, &PATHS)),
        3 if http => format!("method = [\"{}\"]", pick(rng, &["GET", "POST"])),
        4 if http => match rng.u8(..6) {
            0 => "header = { X-A = \"1\" }".to_owned(),
            1 => "query = { q = [\"1\", \"3\"] }".to_owned(),
            2 => "host_prefix = [\"a.\", \"x.\"]".to_owned(),
            3 => "host_regex = '^[a-m].*t$'".to_owned(),
            4 => format!("available = {{ {} = 1 }}", pick(rng, &POOLS)),
            _ => "cookie = { k = \"v\" }".to_owned(),
        },
        5 if tls => format!("server_name = \"{}\"", pick(rng, &PATTERNS)),
        _ => format!("source = \"{}\"", pick(rng, &["10.0.0.0/8", "10.1.0.0/16", "::/0"])),
    };
    match kind {
        7.. => {
            let inner = |rng: &mut Rng| condition(rng, http, tls, depth - 1);
            match kind {
                7 => format!("{{ all = [{}, {}] }}", inner(rng), inner(rng)),
                8 => format!("{{ any = [{}, {}] }}", inner(rng), inner(rng)),
                _ => format!("{{ not = {} }}", inner(rng)),
            }
        }
        _ => format!("{{ {} }}", leaf(rng)),
    }
}

fn listener(rng: &mut Rng, text: &mut String, name: &str, address: SocketAddr, place: &Place) {
    let (http, tls) = match name {
        "http" => (true, false),
        "https" => (true, true),
        _ => (false, true),
    };
    let Place { certificates, listener: more, .. } = place;
    let _ = writeln!(text, "[listener.{name}]\nlisten = [\"{address}\"]\n{more}");
    if rng.bool() {
        let _ = writeln!(text, "deny = [\"10.2.0.0/16\"]");
    }
    match rng.u8(..4) {
        0 => drop(writeln!(text, "allow = [\"10.0.0.0/8\", \"2001:db8::/32\"]")),
        1 => drop(writeln!(text, "pool = \"{}\"", pick(rng, &POOLS))),
        _ => {}
    }
    match name {
        "sni" => drop(writeln!(text, "peek = \"tls\"")),
        "https" => {
            let _ = writeln!(text, "tls = {{ certificates = [\"{certificates}\"] }}");
            let _ = writeln!(text, "http = {{ passthrough = [\"{}\"] }}", pick(rng, &PATTERNS));
        }
        _ => drop(writeln!(text, "http = true")),
    }
    for _ in 0..if http { rng.usize(..4) } else { 0 } {
        let when = condition(rng, true, tls, 2);
        let act = match rng.u8(..6) {
            0 => "deny = true".to_owned(),
            1 => "answer = { status = 204 }".to_owned(),
            2 => "redirect = { path = \"/elsewhere\" }".to_owned(),
            3 => "set_header = { X-B = \"2\" }".to_owned(),
            4 => "rewrite_path = { prefix = \"/a\", with = \"/z\" }".to_owned(),
            _ => format!("basic_auth = {{ realm = \"r\", users = [\"{USER}\"] }}"),
        };
        let _ = writeln!(text, "[[listener.{name}.rule]]\nwhen = {when}\n{act}");
    }
    for _ in 0..rng.usize(1..7) {
        let when = condition(rng, http, tls, 2);
        let to = match rng.u8(..4) {
            0 => "split = { one = 9, two = 1, three = 0 }".to_owned(),
            _ => format!("pool = \"{}\"", pick(rng, &POOLS)),
        };
        let _ = writeln!(text, "[[listener.{name}.route]]\nwhen = {when}\n{to}");
    }
}

/// What a client asks.
#[derive(Clone, Debug)]
pub struct Asks {
    /// Which of [`LISTENERS`].
    pub listener: &'static str,
    /// The client.
    pub from: IpAddr,
    /// The server name that it is said to send; over TLS that is terminated the host, where this says
    /// nothing.
    pub server_name: Option<String>,
    /// The head of its request; empty where it is a session.
    pub wire: String,
    /// What stands in that.
    pub host: Option<String>,
    /// The path, with its query.
    pub path: Option<String>,
    /// The method.
    pub method: Option<String>,
    /// Header fields beside host and cookies.
    pub headers: Vec<(String, String)>,
    /// Cookies.
    pub cookies: Vec<(String, String)>,
}

impl Asks {
    /// Something that a client asks at this listener.
    #[must_use]
    pub fn random(rng: &mut Rng, listener: &'static str) -> Self {
        let from = match rng.u8(..8) {
            0 => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7]),
            1 => IpAddr::from([0, 0, 0, 0, 0, 0xffff, 0x0a01, 9]),
            _ => IpAddr::from([10 + rng.u8(..2), rng.u8(..3), 0, 1]),
        };
        let server_name = rng.bool().then(|| pick(rng, &HOSTS).to_owned());
        let mut asks = Self {
            listener,
            from,
            server_name,
            wire: String::new(),
            host: None,
            path: None,
            method: None,
            headers: Vec::new(),
            cookies: Vec::new(),
        };
        if listener != "sni" {
            asks.request(rng);
        }
        asks
    }

    fn request(&mut self, rng: &mut Rng) {
        let host = pick(rng, &HOSTS);
        let sent = match rng.u8(..4) {
            0 => host.to_ascii_uppercase(),
            1 => format!("{host}:8080"),
            2 => format!("{host}."),
            _ => host.to_owned(),
        };
        let (method, path) = (pick(rng, &METHODS), pick(rng, &SENT));
        let connects = method == "CONNECT";
        let target = if connects { "a.test:80" } else { path };
        let sent = if connects { "a.test:80".to_owned() } else { sent };
        let _ = write!(self.wire, "{method} {target} HTTP/1.1\r\nHost: {sent}\r\n");
        (self.host, self.path) = (Some(sent), Some(path.to_owned()));
        self.method = Some(method.to_owned());
        for (name, value) in [("X-A", "1"), ("x-a", "0"), ("Authorization", PASSWORD)] {
            if rng.u8(..3) == 0 {
                let _ = write!(self.wire, "{name}: {value}\r\n");
                self.headers.push((name.to_owned(), value.to_owned()));
            }
        }
        if rng.bool() {
            let value = pick(rng, &["v", "w"]);
            let _ = write!(self.wire, "Cookie: j=1; k={value}\r\n");
            self.cookies = vec![("j".into(), "1".into()), ("k".into(), value.into())];
        }
        self.wire.push_str("\r\n");
    }

    /// The server name of its ClientHello, if it says one.
    #[must_use]
    pub fn sent_name(&self) -> Option<String> {
        let host = || {
            let host = self.host.as_deref()?.to_ascii_lowercase();
            let host = host.trim_end_matches(":8080").trim_end_matches(":80");
            Some(host.trim_end_matches('.').to_owned())
        };
        match self.listener {
            "http" => None,
            "sni" => self.server_name.clone(),
            _ => self.server_name.clone().or_else(host),
        }
    }
}
