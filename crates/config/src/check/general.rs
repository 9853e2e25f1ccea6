//! What both programs have at the top level: workers, directories, the log.

use super::{admin, haproxy, host, log};
use crate::plan::{Admin, Confine, HaproxySocket, Log};
use crate::reader::Reader;
use crate::reference::table as keys;
use std::path::PathBuf;
use std::time::Duration;

/// The general part of a plan.
pub(super) struct General {
    pub(super) workers: Option<usize>,
    pub(super) sessions_max: Option<usize>,
    pub(super) run_directory: Option<PathBuf>,
    pub(super) stop_deadline: Duration,
    pub(super) lame_duck: Duration,
    pub(super) allow_shrink: bool,
    pub(super) confine: Confine,
    pub(super) admin: Option<Admin>,
    pub(super) haproxy_socket: Option<HaproxySocket>,
    pub(super) log: Log,
}

pub(super) fn read(top: &Reader<'_>) -> General {
    let count = |key| Some(top.integer(key)?.value as usize);
    let run_directory = top.path_of(&keys::RUN_DIRECTORY);
    if let Some(directory) = &run_directory {
        host::run_directory(top.report, directory);
    }
    let confine = top.choice(&keys::CONFINE).and_then(|got| Confine::from_name(got.value));
    let admin = admin::read(top);
    General {
        workers: count(&keys::WORKERS),
        sessions_max: count(&keys::SESSIONS_MAX),
        run_directory: run_directory.map(|got| got.value),
        stop_deadline: top.duration(&keys::STOP_DEADLINE).value,
        lame_duck: top.duration(&keys::LAME_DUCK).value,
        allow_shrink: top.boolean(&keys::ALLOW_SHRINK).is_some_and(|got| got.value),
        confine: confine.unwrap_or_default(),
        haproxy_socket: haproxy::read(top, admin.as_ref()),
        admin,
        log: log::read(&top.table(&keys::LOG, &keys::LOG_SECTION)),
    }
}
