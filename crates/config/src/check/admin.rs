//! `[admin]`: the socket that orders come in by.

use super::host;
use crate::document::Data;
use crate::plan::Admin;
use crate::reader::Reader;
use crate::reference::{Key, table as keys};
use crate::values;

/// Any user of the host may write.
const OTHERS: u32 = 0o002;

/// `None`: switched off.
pub(crate) fn read(top: &Reader<'_>) -> Option<Admin> {
    if top.raw(&keys::ADMIN).is_some_and(|value| matches!(value.data, Data::Boolean(false))) {
        return None;
    }
    let reader = top.table(&keys::ADMIN, &keys::ADMIN_SECTION);
    let of = File {
        path: &keys::ADMIN_SOCKET,
        mode: &keys::ADMIN_MODE,
        group: &keys::ADMIN_GROUP,
        what: "the admin socket",
        others: "every user of this host may reload, close sessions and take endpoints out",
    };
    let drills = reader.boolean(&keys::ADMIN_DRILLS).is_some_and(|got| got.value);
    Some(Admin { drills, ..file(&reader, &of) })
}

/// The keys that say how the file of a socket is made, and words about it.
pub(super) struct File {
    pub(super) path: &'static Key,
    pub(super) mode: &'static Key,
    pub(super) group: &'static Key,
    /// The socket.
    pub(super) what: &'static str,
    /// What it means that others may write to it.
    pub(super) others: &'static str,
}

/// The file of a socket.
pub(super) fn file(reader: &Reader<'_>, keys: &File) -> Admin {
    let socket = reader.text(keys.path, values::socket_path);
    if let Some(socket) = &socket {
        host::socket(reader.report, socket, keys.what);
    }
    let mode = reader.text(keys.mode, values::file_mode);
    if let Some(mode) = mode.as_ref().filter(|mode| mode.value & OTHERS != 0) {
        reader.report.warning(
            mode.span,
            keys.others,
            "a mode that leaves others out, such as \"0660\"",
            "write \"0660\", and name a `group` for those who shall order",
        );
    }
    let group = reader.text(keys.group, values::group);
    if let Some(group) = &group {
        host::group(reader.report, group);
    }
    let default = Admin::default();
    Admin {
        socket: socket.map(|got| got.value),
        mode: mode.map_or(default.mode, |got| got.value),
        group: group.map(|got| got.value.into()),
        drills: default.drills,
    }
}
