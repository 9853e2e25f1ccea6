//! Listeners: access lists, timeouts, dead peers; the same for both programs.

use crate::diagnostic::{Diagnostic, quoted};
use crate::plan::DeadPeer;
use crate::reader::{Got, Reader, Report};
use crate::reference::Key;
use crate::reference::table as keys;
use crate::values;
use eclusa_policy::access::Access;
use ipnet::IpNet;
use std::collections::HashMap;
use std::time::Duration;

/// What a listener has besides its addresses and routes.
#[derive(Clone)]
pub(super) struct Manner {
    pub(super) preamble_timeout: Duration,
    pub(super) proxy_from: Option<Vec<IpNet>>,
    pub(super) access: Access,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) half_closed_timeout: Duration,
    pub(super) dead_peer: DeadPeer,
    pub(super) backlog: u32,
}

pub(super) fn manner(reader: &Reader<'_>) -> Manner {
    let idle = reader.duration_or_never(&keys::IDLE_TIMEOUT);
    let half_closed = reader.duration(&keys::HALF_CLOSED_TIMEOUT);
    if let Some(Got { value: Some(idle), .. }) = &idle
        && half_closed.written
        && half_closed.value > *idle
    {
        reader.report.warning(
            half_closed.span,
            "`half_closed_timeout` is longer than `idle_timeout`, which ends the session first",
            "at most the `idle_timeout`",
            "shorten it, or lengthen `idle_timeout`",
        );
    }
    Manner {
        preamble_timeout: reader.duration(&keys::PREAMBLE_TIMEOUT).value,
        proxy_from: proxy_from(reader),
        access: access(reader),
        idle_timeout: idle.and_then(|got| got.value),
        half_closed_timeout: half_closed.value,
        dead_peer: dead_peer(&reader.table(&keys::DEAD_PEER, &keys::DEAD_PEER_SECTION)),
        backlog: reader.integer(&keys::BACKLOG).map_or(1, |got| got.value),
    }
}

/// The networks below `key`; one that is there twice is told.
pub(super) fn networks(reader: &Reader<'_>, key: &Key) -> Option<Vec<Got<IpNet>>> {
    let networks = reader.texts(key, values::network)?.value;
    twice(reader.report, &networks);
    Some(networks)
}

/// Tells of networks that are there twice.
pub(super) fn twice(report: &Report, networks: &[Got<IpNet>]) {
    let mut seen = HashMap::new();
    for network in networks {
        if let Some(first) = seen.insert(network.value, network.span) {
            report.push(
                Diagnostic::warning(
                    network.span,
                    &format!("`{}` is there twice", network.value),
                    "each network once",
                    "remove one of the two",
                )
                .with_related(first, "the first"),
            );
        }
    }
}

/// Their values alone.
pub(super) fn plain<T>(items: Vec<Got<T>>) -> Vec<T> {
    items.into_iter().map(|got| got.value).collect()
}

fn proxy_from(reader: &Reader<'_>) -> Option<Vec<IpNet>> {
    let networks = networks(reader, &keys::PROXY_FROM)?;
    for network in networks.iter().filter(|network| network.value.prefix_len() == 0) {
        reader.report.warning(
            network.span,
            "whoever connects can claim any address as its own, and must send a PROXY header",
            "the networks of the proxies in front",
            "name those networks, as narrow as possible",
        );
    }
    Some(plain(networks))
}

fn access(reader: &Reader<'_>) -> Access {
    let allow = networks(reader, &keys::ALLOW).unwrap_or_default();
    let deny = networks(reader, &keys::DENY).unwrap_or_default();
    let allowed: HashMap<IpNet, _> = allow.iter().map(|got| (got.value, got.span)).collect();
    for network in &deny {
        if let Some(span) = allowed.get(&network.value) {
            let message =
                format!("{} is in `allow` and in `deny`", quoted(&network.value.to_string()));
            reader.report.push(
                Diagnostic::warning(
                    network.span,
                    &message,
                    "each network in one of the two; `deny` wins",
                    "remove it from one of them",
                )
                .with_related(*span, "in `allow`"),
            );
        }
    }
    Access::new(&plain(allow), &plain(deny))
}

fn dead_peer(reader: &Reader<'_>) -> DeadPeer {
    DeadPeer {
        keepalive_idle: reader.duration(&keys::KEEPALIVE_IDLE).value,
        keepalive_interval: reader.duration(&keys::KEEPALIVE_INTERVAL).value,
        keepalive_count: reader.integer(&keys::KEEPALIVE_COUNT).map_or(1, |got| got.value),
        no_ack: reader.duration(&keys::NO_ACK).value,
    }
}
