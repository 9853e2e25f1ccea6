//! Endpoints: addresses or tables; no two alike in a pool, none outside `upstreams_within`.

use crate::diagnostic::{Diagnostic, quoted};
use crate::document::{Data, Span};
use crate::plan::{Endpoint, EndpointAddress};
use crate::reader::{Got, Reader, Report};
use crate::reference::Key;
use crate::reference::table as keys;
use crate::values::{self, EndpointHost, Host, Mistake};
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// An endpoint as written; the port may be missing.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) at: EndpointHost,
    /// Where the address stands.
    pub(super) span: Span,
    name: Arc<str>,
    weight: u16,
    backup: bool,
    /// Its own limit.
    pub(super) sessions_max: Option<u32>,
}

impl Written {
    /// The endpoint, with `port` where none was written.
    pub(super) fn with_port(&self, port: u16) -> Endpoint {
        let port = self.at.port.unwrap_or(port);
        let address = match &self.at.host {
            Host::Address(address) => EndpointAddress::Socket(SocketAddr::new(*address, port)),
            Host::Name(name) => EndpointAddress::Name { host: name.clone().into(), port },
        };
        Endpoint {
            name: self.name.clone(),
            address,
            weight: self.weight,
            backup: self.backup,
            sessions_max: self.sessions_max,
        }
    }
}

/// The endpoints below `key`, by whose kind a port may be missing or not.
pub(super) fn read(reader: &Reader<'_>, key: &'static Key, port_needed: bool) -> Vec<Written> {
    let found = reader.list(key, |kind, item| {
        if let Data::Table(table) = &item.data {
            return from_table(&reader.open(key, &keys::ENDPOINT, table), port_needed);
        }
        let (at, name) = reader.text_of(key, kind, item, |text| named(text, port_needed))?;
        Some(Written { at, span: item.span, name, weight: 1, backup: false, sessions_max: None })
    });
    let Some(found) = found else { return Vec::new() };
    let list = found.span;
    let found = super::listener::plain(found.value);
    for Written { at, span, .. } in &found {
        if let Host::Name(name) = &at.host {
            let name = Got { value: name.clone(), span: *span, written: true };
            reader.report.names.borrow_mut().push(name);
        }
    }
    if !found.is_empty() && found.iter().all(|written| written.backup) {
        reader.report.warning(
            list,
            "every endpoint is a backup",
            "at least one endpoint that is none",
            "remove `backup = true` from those that shall take traffic",
        );
    }
    found
}

/// The address, and what the endpoint is called unless it has a name.
fn named(text: &str, port_needed: bool) -> Result<(EndpointHost, Arc<str>), Mistake> {
    address(text, port_needed).map(|at| (at, text.into()))
}

fn from_table(table: &Reader<'_>, port_needed: bool) -> Option<Written> {
    let written = table.text(&keys::ADDRESS, |text| named(text, port_needed));
    let name = table.text(&keys::NAME, values::label);
    let weight = table.integer(&keys::WEIGHT).map_or(1, |got| got.value);
    let backup = table.boolean(&keys::BACKUP).is_some_and(|got| got.value);
    let sessions_max = table.integer(&keys::ENDPOINT_SESSIONS).map(|got| got.value);
    let Got { value: (at, text), span, .. } = written?;
    Some(Written {
        at,
        span,
        name: name.map_or(text, |got| got.value.into()),
        weight: u16::try_from(weight).unwrap_or(1),
        backup,
        sessions_max,
    })
}

fn address(text: &str, port_needed: bool) -> Result<EndpointHost, Mistake> {
    let at = values::endpoint(text)?;
    if port_needed && at.port.is_none() {
        let whole = match &at.host {
            Host::Address(address) => SocketAddr::new(*address, 443).to_string(),
            Host::Name(name) => format!("{name}:443"),
        };
        return Err(Mistake {
            message: format!("{} has no port", quoted(text)),
            remedy: format!("write the port, such as \"{whole}\""),
        });
    }
    Ok(at)
}

/// The endpoints of a pool; `port` is for those that have none of their own.
pub(super) fn of_pool(report: &Report, written: &[Written], port: u16) -> Vec<Endpoint> {
    let mut addresses: HashMap<EndpointKey, Span> = HashMap::new();
    let mut names: HashMap<Arc<str>, Span> = HashMap::new();
    let mut endpoints = Vec::new();
    for one in written {
        let endpoint = one.with_port(port);
        let key = (one.at.host.clone(), one.at.port.unwrap_or(port));
        let twice = addresses.insert(key, one.span).map(|first| (first, "address"));
        let twice = twice
            .or_else(|| names.insert(endpoint.name.clone(), one.span).map(|first| (first, "name")));
        if let Some((first, what)) = twice {
            report.push(
                Diagnostic::error(
                    one.span,
                    &format!("two endpoints of the pool have the same {what}"),
                    &format!("each {what} once in a pool"),
                    match what {
                        "name" => "give one of the two another `name`",
                        _ => "remove one of the two; `weight` gives an endpoint a larger share",
                    },
                )
                .with_related(first, "the first"),
            );
        }
        endpoints.push(endpoint);
    }
    endpoints
}

type EndpointKey = (Host, u16);

/// Tells of each literal address that lies outside the networks.
pub(super) fn check_within(report: &Report, written: &[Written], networks: &[Got<IpNet>]) {
    if networks.is_empty() {
        // Nothing of the list could be read, which is told already.
        return;
    }
    for one in written {
        let Host::Address(address) = &one.at.host else { continue };
        if networks.iter().any(|network| network.value.contains(address)) {
            continue;
        }
        let listed: Vec<_> =
            networks.iter().take(5).map(|network| network.value.to_string()).collect();
        let error = Diagnostic::error(
            one.span,
            &format!("`{address}` lies outside `upstreams_within`"),
            &format!("an address in {}", listed.join(", ")),
            "correct the address, or widen `upstreams_within` if it is meant",
        );
        let error = match networks.first() {
            Some(first) => error.with_related(first.span, "`upstreams_within`"),
            None => error,
        };
        report.push(error);
    }
}
