//! `[haproxy_socket]`: the socket that answers as HAProxy's does.

use super::admin::{self, File};
use crate::plan::{Admin, HaproxyLevel, HaproxySocket};
use crate::reader::Reader;
use crate::reference::table as keys;

/// `None`: not asked for, or without a path.
pub(super) fn read(top: &Reader<'_>, admin: Option<&Admin>) -> Option<HaproxySocket> {
    if !top.has(&keys::HAPROXY_SOCKET) {
        return None;
    }
    let reader = top.table(&keys::HAPROXY_SOCKET, &keys::HAPROXY_SOCKET_SECTION);
    let level = match reader.choice(&keys::HAPROXY_SOCKET_LEVEL).map(|got| got.value) {
        Some("operator") => HaproxyLevel::Operator,
        _ => HaproxyLevel::Read,
    };
    let others = match level {
        HaproxyLevel::Read => "every user of this host may see pools, endpoints and clients",
        HaproxyLevel::Operator => {
            "every user of this host may take endpoints out and close sessions"
        }
    };
    let of = File {
        path: &keys::HAPROXY_SOCKET_PATH,
        mode: &keys::HAPROXY_SOCKET_MODE,
        group: &keys::HAPROXY_SOCKET_GROUP,
        what: "the socket",
        others,
    };
    let file = admin::file(&reader, &of);
    let clients = reader.integer(&keys::HAPROXY_SOCKET_CLIENTS_MAX);
    let same = admin.and_then(|admin| admin.socket.as_ref()).zip(file.socket.as_ref());
    if same.is_some_and(|(admin, own)| admin == own) {
        top.report.error(
            reader.span,
            "the admin socket and this one have the same path",
            "a path for each",
            "change `path`: they speak different languages",
        );
    }
    file.socket.as_ref()?;
    Some(HaproxySocket { file, level, clients_max: clients?.value as usize })
}
