//! Addresses to listen on: none twice, none within another, none that an endpoint has.

use super::endpoint::Written;
use crate::diagnostic::Diagnostic;
use crate::document::Span;
use crate::reader::Report;
use crate::values::Host;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// The addresses that listeners have taken so far.
#[derive(Default)]
pub(super) struct Taken {
    exact: HashMap<SocketAddr, Span>,
    /// By port and family (v4: true): the first address at all, and that of all addresses.
    ports: HashMap<(u16, bool), Port>,
}

#[derive(Default)]
struct Port {
    first: Option<(IpAddr, Span)>,
    all: Option<(IpAddr, Span)>,
}

impl Taken {
    /// Takes an address, or tells who has it.
    pub(super) fn take(&mut self, report: &Report, address: SocketAddr, span: Span) {
        let port = self.ports.entry((address.port(), address.is_ipv4())).or_default();
        let ip = address.ip();
        let other = match self.exact.get(&address) {
            Some(span) => Some((ip, *span)),
            None if ip.is_unspecified() => port.first,
            None => port.all,
        };
        if let Some((other, first)) = other {
            let other = SocketAddr::new(other, address.port());
            let message = if other == address {
                format!("`{address}` is listened on twice")
            } else {
                format!("`{address}` and `{other}` are in each other's way")
            };
            report.push(
                Diagnostic::error(
                    span,
                    &message,
                    "addresses of which none is there twice and none holds another",
                    "remove one of the two; routes can tell connections of one listener apart",
                )
                .with_related(first, "the first"),
            );
            return;
        }
        self.exact.insert(address, span);
        port.first.get_or_insert((ip, span));
        if ip.is_unspecified() {
            port.all = Some((ip, span));
        }
    }

    /// Tells of endpoints that are a listener of this very file.
    pub(super) fn check_endpoints(&self, report: &Report, written: &[Written], port: u16) {
        for one in written {
            let Host::Address(address) = one.at.host else { continue };
            let address = SocketAddr::new(address, one.at.port.unwrap_or(port));
            let Some(first) = self.exact.get(&address) else { continue };
            report.push(
                Diagnostic::error(
                    one.span,
                    &format!(
                        "`{address}` is one of the listeners: connections would go in circles"
                    ),
                    "the address of an endpoint",
                    "write the endpoint's own address or port, or listen elsewhere",
                )
                .with_related(*first, "the listener"),
            );
        }
    }
}
