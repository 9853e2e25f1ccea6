//! `[dashboard]`: the page that shows how everything is.

use super::host;
use super::overlap::Taken;
use crate::plan::Dashboard;
use crate::reader::{Got, Reader};
use crate::reference::table as keys;
use crate::values;
use std::net::SocketAddr;

pub(super) fn read(top: &Reader<'_>, taken: &mut Taken) -> Dashboard {
    let default = Dashboard::default();
    if !top.has(&keys::DASHBOARD) {
        return default;
    }
    let reader = top.table(&keys::DASHBOARD, &keys::DASHBOARD_SECTION);
    let token = reader.path_of(&keys::DASHBOARD_TOKEN_FILE);
    let listen = reader.texts(&keys::DASHBOARD_LISTEN, values::listen);
    let listen = listen.map(|got| got.value).unwrap_or_default();
    for address in &listen {
        taken.take(top.report, address.value, address.span);
        reachable(top, address, token.is_some());
    }
    let socket = reader.text(&keys::DASHBOARD_SOCKET, values::socket_path);
    if let Some(socket) = &socket {
        host::socket(top.report, socket, "the dashboard's socket");
    }
    if listen.is_empty() && !reader.has(&keys::DASHBOARD_LISTEN) && socket.is_none() {
        top.report.absent(
            top.key_span(&keys::DASHBOARD).unwrap_or(top.span),
            "a dashboard without `listen` and without `socket`: nobody can reach it",
            "an address, or the path of a socket",
            "add `listen = \"127.0.0.1:9901\"`, or remove `dashboard`",
        );
    }
    if let Some(token) = &token {
        host::dashboard_token(top.report, token);
    }
    let hosts = reader.texts(&keys::DASHBOARD_HOSTS, values::host_name);
    let hosts = hosts.map(|got| got.value).unwrap_or_default();
    let viewers = reader.integer(&keys::DASHBOARD_VIEWERS_MAX);
    Dashboard {
        listen: listen.into_iter().map(|got| got.value).collect(),
        socket: socket.map(|got| got.value),
        hosts: hosts.into_iter().map(|got| got.value.to_ascii_lowercase().into()).collect(),
        token_file: token.map(|got| got.value),
        viewers_max: viewers.map_or(default.viewers_max, |got| got.value as usize),
    }
}

/// Warns of an address that others than this host reach.
fn reachable(top: &Reader<'_>, address: &Got<SocketAddr>, takes_orders: bool) {
    if address.value.ip().is_loopback() {
        return;
    }
    let message = if takes_orders {
        "the token of orders crosses the network in the clear, and all who reach this address read \
         the names and states of all pools"
    } else {
        "all who reach this address read the names and states of all pools"
    };
    top.report.warning(
        address.span,
        message,
        "an address of this host alone",
        &format!(
            "write \"127.0.0.1:{}\", and reach it by `ssh -L`; or let a listener of the edge with \
             `tls` and passwords lead there",
            address.value.port()
        ),
    );
}
