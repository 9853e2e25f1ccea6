//! The one expression type over what is known of a connection: routes use it, rules will.

use crate::name::NamePattern;
use crate::network::NetworkSet;
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// What is known of a connection when it is routed.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The client's address; with a trusted PROXY header the one that it names.
    pub source: IpAddr,
    /// The address and port that the client connected to.
    pub destination: SocketAddr,
    /// Server name of the ClientHello, in lower case; absent without TLS or without the extension.
    pub server_name: Option<&'a str>,
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

impl Condition {
    /// Whether the condition holds for `facts`.
    #[must_use]
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::Always => true,
            Self::All(parts) => parts.iter().all(|part| part.holds(facts)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(facts)),
            Self::Not(inner) => !inner.holds(facts),
            Self::Named(named) => named.condition.holds(facts),
            Self::Source(networks) => networks.contains(facts.source),
            Self::ServerName(patterns) => facts
                .server_name
                .is_some_and(|name| patterns.iter().any(|pattern| pattern.matches(name))),
            Self::Port(ports) => ports.contains(&facts.destination.port()),
        }
    }

    /// Whether the condition looks at the ClientHello anywhere: a listener that never waits for
    /// one (`peek = "none"`) cannot answer it.
    #[must_use]
    pub fn needs_hello(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::needs_hello),
            Self::Not(inner) => inner.needs_hello(),
            Self::Named(named) => named.condition.needs_hello(),
            Self::ServerName(_) => true,
            Self::Always | Self::Source(_) | Self::Port(_) => false,
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
        }
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
mod tests {
    use super::*;

    fn facts(source: &str, port: u16, server_name: Option<&'static str>) -> Facts<'static> {
        Facts {
            source: source.parse().unwrap(),
            destination: SocketAddr::new("192.168.1.2".parse().unwrap(), port),
            server_name,
        }
    }

    #[test]
    fn expressions_combine() {
        let inside = Arc::new(Named {
            name: "inside".into(),
            condition: Condition::Source(Networks::new(vec!["10.0.0.0/22".parse().unwrap()])),
        });
        let shop = Condition::ServerName(vec![NamePattern::parse("*.shop.test").unwrap()]);
        let condition = Condition::All(vec![
            Condition::Not(Box::new(Condition::Named(inside))),
            Condition::Any(vec![shop, Condition::Port(vec![8443])]),
        ]);
        assert!(condition.holds(&facts("1.2.3.4", 443, Some("a.shop.test"))));
        assert!(condition.holds(&facts("1.2.3.4", 8443, None)));
        assert!(!condition.holds(&facts("1.2.3.4", 443, None)));
        assert!(!condition.holds(&facts("10.0.3.255", 8443, None)));
        assert!(condition.needs_hello());
        assert_eq!(
            condition.to_string(),
            "(not `inside` and (sni in [*.shop.test] or port in [8443]))"
        );
    }

    #[test]
    fn empty_lists_have_the_usual_meaning() {
        let any = facts("::1", 1, None);
        assert!(Condition::All(vec![]).holds(&any));
        assert!(!Condition::Any(vec![]).holds(&any));
    }

    #[test]
    fn a_mapped_address_is_its_v4_self() {
        let condition = Condition::Source(Networks::new(vec!["10.0.0.0/22".parse().unwrap()]));
        assert!(condition.holds(&facts("::ffff:10.0.1.1", 1, None)));
        assert!(!condition.holds(&facts("::ffff:10.0.4.1", 1, None)));
    }
}
