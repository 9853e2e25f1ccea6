//! `[admin]`: the socket that orders come in by.

use super::host;
use crate::document::Data;
use crate::plan::Admin;
use crate::reader::Reader;
use crate::reference::table as keys;
use crate::values;

/// Any user of the host may write.
const OTHERS: u32 = 0o002;

/// `None`: switched off.
pub(crate) fn read(top: &Reader<'_>) -> Option<Admin> {
    if top.raw(&keys::ADMIN).is_some_and(|value| matches!(value.data, Data::Boolean(false))) {
        return None;
    }
    let reader = top.table(&keys::ADMIN, &keys::ADMIN_SECTION);
    let socket = reader.text(&keys::ADMIN_SOCKET, values::socket_path);
    if let Some(socket) = &socket {
        host::admin_socket(top.report, socket);
    }
    let mode = reader.text(&keys::ADMIN_MODE, values::file_mode);
    if let Some(mode) = mode.as_ref().filter(|mode| mode.value & OTHERS != 0) {
        top.report.warning(
            mode.span,
            "every user of this host may reload, close sessions and take endpoints out",
            "a mode that leaves others out, such as \"0660\"",
            "write \"0660\", and name a `group` for those who shall order",
        );
    }
    let group = reader.text(&keys::ADMIN_GROUP, values::group);
    if let Some(group) = &group {
        host::group(top.report, group);
    }
    let default = Admin::default();
    Some(Admin {
        socket: socket.map(|got| got.value),
        mode: mode.map_or(default.mode, |got| got.value),
        group: group.map(|got| got.value.into()),
    })
}
