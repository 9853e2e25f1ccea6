//! TLS to the endpoints of a pool, with what is remembered of each to resume its sessions.

use crate::tls::originate::{EndpointTls, Originator};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Endpoints and names that are remembered; clients must not be able to name more.
const REMEMBERED: usize = 1024;

/// By the address and the name that requests give.
type Known = HashMap<(SocketAddr, Option<Arc<str>>), EndpointTls>;

/// The TLS of a pool.
#[derive(Debug)]
pub(crate) struct Origin {
    originator: Originator,
    /// It names no server: each request does.
    by_request: bool,
    known: Mutex<Known>,
}

impl Origin {
    /// `named`: the configuration names the server.
    pub(crate) fn new(originator: Originator, named: bool) -> Self {
        Self { originator, by_request: !named, known: Mutex::default() }
    }

    /// The server name for a request to `host`; `None` where the configuration names one, or where the
    /// host is an address.
    pub(crate) fn name(&self, host: &str) -> Option<Arc<str>> {
        let is_address = host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok();
        (self.by_request && !is_address && !host.is_empty()).then(|| host.into())
    }

    /// The TLS of the endpoint at `address` with this server name.
    pub(crate) fn endpoint(&self, address: SocketAddr, name: Option<&Arc<str>>) -> EndpointTls {
        let key = (address, name.cloned());
        // Held for a look-up, and for that alone; nothing is waited for under it.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tls) = known.get(&key) {
            return tls.clone();
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let tls = self.originator.endpoint(name.map(|name| &**name), address.ip());
        known.insert(key, tls.clone());
        tls
    }
}
