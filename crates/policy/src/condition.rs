//! The one expression type over what is known of a connection and of a request: routes and rules use
//! it.

mod certificate;
mod fields;
mod listed;
pub mod path;
mod request;
mod text;
mod why;
mod world;

pub use certificate::{CertificatePatterns, ClientCertificate, Fingerprint};
pub use fields::{cookie, query};
pub use listed::{List, Listed, Subject};
pub use path::PathPattern;
pub use request::{Asked, Request, Written};
pub use text::{Expression, TextPattern, Values};
pub use why::{Reasons, Why};
pub use world::{Available, Counted, Counting, Over, Unknown, World};

use crate::name::NamePattern;
use crate::network::NetworkSet;
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What is known of a connection when it is routed, and of a request on it.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The client's address; with a trusted PROXY header the one that it names.
    pub source: IpAddr,
    /// The address and port that the client connected to.
    pub destination: SocketAddr,
    /// Server name of the ClientHello, in lower case; absent without TLS or without the extension.
    pub server_name: Option<&'a str>,
    /// The certificate that the client has shown, verified.
    pub client_certificate: Option<&'a ClientCertificate>,
    /// The request; absent where nobody looks into the connection.
    pub request: Option<&'a Asked<'a>>,
    /// How pools and counters stand.
    pub world: &'a dyn World,
}

impl<'a> Facts<'a> {
    /// What is known of a connection that nobody looks into, in a world of which nothing is known.
    #[must_use]
    pub fn of_connection(
        source: IpAddr,
        destination: SocketAddr,
        server_name: Option<&'a str>,
    ) -> Self {
        let (client_certificate, request) = (None, None);
        Self { source, destination, server_name, client_certificate, request, world: &Unknown }
    }
}

/// A condition over [`Facts`].
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Holds for every connection.
    Always,
    /// Holds when all parts hold; an empty list holds.
    All(Vec<Condition>),
    /// Holds when one part holds; an empty list does not.
    Any(Vec<Condition>),
    /// Holds when the inner one does not.
    Not(Box<Condition>),
    /// A condition with a name, defined once and used in several places.
    Named(Arc<Named>),
    /// The client's address lies in one of the networks.
    Source(Networks),
    /// The TLS server name matches one of the patterns.
    ServerName(Vec<NamePattern>),
    /// The port that the client connected to is one of these.
    Port(Vec<u16>),
    /// The client has shown a certificate like this.
    ClientCertificate(CertificatePatterns),
    /// The host of the request matches one of the patterns.
    Host(Vec<NamePattern>),
    /// The host of the request, as a text, matches one of the patterns.
    HostText(Vec<TextPattern>),
    /// The path of the request, in its normal form, matches one of the patterns.
    Path(Vec<PathPattern>),
    /// The method of the request is one of these.
    Method(Vec<Box<str>>),
    /// A header field of the request, by its name in lower case.
    Header(Box<str>, Values),
    /// A parameter of the request's query.
    Query(Box<str>, Values),
    /// A cookie of the request.
    Cookie(Box<str>, Values),
    /// A list in a file has the client's address, the server name or the host.
    Listed(Listed),
    /// So many endpoints of a pool are well.
    Available(Available),
    /// More than so many requests of the client were counted.
    Over(Over),
}

/// A condition that has a name in the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Its name.
    pub name: Arc<str>,
    /// What it stands for.
    pub condition: Condition,
}

/// Networks as the operator wrote them, with the set that answers look-ups.
#[derive(Clone, Debug, PartialEq)]
pub struct Networks(Arc<(Vec<IpNet>, NetworkSet)>);

impl Networks {
    /// A set that remembers how it was written.
    #[must_use]
    pub fn new(written: Vec<IpNet>) -> Self {
        let set = written.iter().copied().collect();
        Self(Arc::new((written, set)))
    }

    /// Whether one of the networks holds `address`.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.1.contains(address)
    }

    /// The networks, in the order written.
    #[must_use]
    pub fn written(&self) -> &[IpNet] {
        &self.0.0
    }
}

/// Hears how a condition is evaluated, for `explain`; `()` hears nothing and costs nothing.
pub trait Trace {
    /// The condition is about to be evaluated.
    fn begin(&mut self, _condition: &Condition) {}

    /// It was evaluated, after all of its parts that were needed.
    fn end(&mut self, _condition: &Condition, _held: bool) {}
}

impl Trace for () {}

impl Condition {
    /// Whether the condition holds for `facts`.
    #[must_use]
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        self.traced(facts, &mut ())
    }

    /// The same, and `trace` hears what was asked on the way.
    pub fn traced<T: Trace>(&self, facts: &Facts<'_>, trace: &mut T) -> bool {
        trace.begin(self);
        let held = match self {
            Self::Always => true,
            Self::All(parts) => parts.iter().all(|part| part.traced(facts, trace)),
            Self::Any(parts) => parts.iter().any(|part| part.traced(facts, trace)),
            Self::Not(inner) => !inner.traced(facts, trace),
            Self::Named(named) => named.condition.traced(facts, trace),
            leaf => leaf.leaf_holds(facts),
        };
        trace.end(self, held);
        held
    }

    fn leaf_holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::Always => true,
            // `traced` goes into these.
            Self::All(_) | Self::Any(_) | Self::Not(_) | Self::Named(_) => false,
            Self::Source(networks) => networks.contains(facts.source),
            Self::ServerName(patterns) => facts
                .server_name
                .is_some_and(|name| patterns.iter().any(|pattern| pattern.matches(name))),
            Self::Port(ports) => ports.contains(&facts.destination.port()),
            Self::Listed(listed) => listed.holds(facts),
            Self::Available(available) => available.holds(facts.world),
            Self::Over(over) => over.holds(facts.world, facts.source),
            Self::ClientCertificate(patterns) => {
                facts.client_certificate.is_some_and(|certificate| patterns.hold(certificate))
            }
            Self::Host(_)
            | Self::HostText(_)
            | Self::Path(_)
            | Self::Method(_)
            | Self::Header(..)
            | Self::Query(..)
            | Self::Cookie(..) => facts.request.is_some_and(|asked| self.holds_for(asked)),
        }
    }

    fn holds_for(&self, asked: &Asked<'_>) -> bool {
        let request = asked.request();
        match self {
            Self::Host(patterns) => {
                let host = request.host();
                patterns.iter().any(|pattern| pattern.matches(host))
            }
            Self::HostText(patterns) => {
                patterns.iter().any(|pattern| pattern.matches(request.host()))
            }
            Self::Path(patterns) => patterns.iter().any(|pattern| pattern.matches(asked.path())),
            Self::Method(methods) => methods.iter().any(|method| **method == *request.method()),
            Self::Header(name, values) => request.header(name, &mut |value| values.hold(value)),
            Self::Query(name, values) => request
                .query()
                .is_some_and(|query| fields::query(query, name, |value| values.hold(value))),
            Self::Cookie(name, values) => {
                fields::cookie(request, name, &mut |value| values.hold(value))
            }
            _ => false,
        }
    }

    /// Whether the condition looks at the ClientHello anywhere: a listener that never waits for
    /// one (`peek = "none"`) cannot answer it.
    #[must_use]
    pub fn needs_hello(&self) -> bool {
        self.asks(&|part| match part {
            Self::Listed(listed) => listed.0.subject() == Subject::ServerName,
            part => matches!(part, Self::ServerName(_)),
        })
    }

    /// Whether it looks at a request anywhere: only a listener that speaks HTTP can answer it.
    #[must_use]
    pub fn needs_request(&self) -> bool {
        self.asks(&|part| match part {
            Self::Listed(listed) => listed.0.subject() == Subject::Host,
            // Requests are what is counted.
            Self::Over(_)
            | Self::Host(_)
            | Self::HostText(_)
            | Self::Path(_)
            | Self::Method(_)
            | Self::Header(..)
            | Self::Query(..)
            | Self::Cookie(..) => true,
            _ => false,
        })
    }

    /// Whether it looks at the client's certificate anywhere.
    #[must_use]
    pub fn needs_client_certificate(&self) -> bool {
        self.asks(&|part| matches!(part, Self::ClientCertificate(_)))
    }

    /// Whether one of the conditions in it is one that `wanted` says yes to.
    fn asks(&self, wanted: &dyn Fn(&Self) -> bool) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.asks(wanted)),
            Self::Not(inner) => inner.asks(wanted),
            Self::Named(named) => named.condition.asks(wanted),
            leaf => wanted(leaf),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("always"),
            Self::All(parts) => join(f, parts, " and "),
            Self::Any(parts) => join(f, parts, " or "),
            Self::Not(inner) => write!(f, "not {inner}"),
            Self::Named(named) => write!(f, "`{}`", named.name),
            Self::Source(networks) => list(f, "source", networks.written()),
            Self::ServerName(patterns) => list(f, "sni", patterns),
            Self::Port(ports) => list(f, "port", ports),
            Self::ClientCertificate(patterns) => certificate(f, patterns),
            Self::Host(patterns) => list(f, "host", patterns),
            Self::HostText(patterns) => list(f, "host", patterns),
            Self::Path(patterns) => list(f, "path", patterns),
            Self::Method(methods) => list(f, "method", methods),
            Self::Header(name, values) => field(f, "header", name, values),
            Self::Query(name, values) => field(f, "query", name, values),
            Self::Cookie(name, values) => field(f, "cookie", name, values),
            Self::Listed(listed) => listed.fmt(f),
            Self::Available(available) => available.fmt(f),
            Self::Over(over) => over.fmt(f),
        }
    }
}

fn certificate(f: &mut fmt::Formatter<'_>, patterns: &CertificatePatterns) -> fmt::Result {
    f.write_str("a client certificate")?;
    if !patterns.common_name.is_empty() {
        list(f, ", common name", &patterns.common_name)?;
    }
    if !patterns.dns_name.is_empty() {
        list(f, ", DNS name", &patterns.dns_name)?;
    }
    if !patterns.fingerprint.is_empty() {
        list(f, ", SHA-256", &patterns.fingerprint)?;
    }
    Ok(())
}

fn field(f: &mut fmt::Formatter<'_>, what: &str, name: &str, values: &Values) -> fmt::Result {
    match values {
        Values::Present => write!(f, "{what} {name}"),
        Values::OneOf(patterns) => list(f, &format!("{what} {name}"), patterns),
    }
}

fn join(f: &mut fmt::Formatter<'_>, parts: &[Condition], word: &str) -> fmt::Result {
    f.write_str("(")?;
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(word)?;
        }
        write!(f, "{part}")?;
    }
    f.write_str(")")
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, what: &str, items: &[T]) -> fmt::Result {
    write!(f, "{what} in [")?;
    for (index, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if index > 0 { ", " } else { "" })?;
    }
    f.write_str("]")
}

#[cfg(test)]
mod tests;
