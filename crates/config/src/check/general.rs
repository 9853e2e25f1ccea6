//! What both programs have at the top level: workers, directories, the log.

use super::host;
use crate::plan::{Log, LogTarget};
use crate::reader::{Got, Reader};
use crate::reference::table as keys;
use crate::values;
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
    pub(super) log: Log,
}

pub(super) fn read(top: &Reader<'_>) -> General {
    let count = |key| Some(top.integer(key)?.value as usize);
    let run_directory = top.path_of(&keys::RUN_DIRECTORY);
    if let Some(directory) = &run_directory {
        host::run_directory(top.report, directory);
    }
    General {
        workers: count(&keys::WORKERS),
        sessions_max: count(&keys::SESSIONS_MAX),
        run_directory: run_directory.map(|got| got.value),
        stop_deadline: top.duration(&keys::STOP_DEADLINE).value,
        lame_duck: top.duration(&keys::LAME_DUCK).value,
        allow_shrink: top.boolean(&keys::ALLOW_SHRINK).is_some_and(|got| got.value),
        log: log(&top.table(&keys::LOG, &keys::LOG_SECTION)),
    }
}

fn log(reader: &Reader<'_>) -> Log {
    let target = reader.text(&keys::TARGET, |text| match text {
        "stderr" => Ok(None),
        path => values::path(path).map(Some),
    });
    let target = match target {
        Some(Got { value: Some(path), span, written }) => {
            let path = Got { value: path, span, written };
            host::log_file(reader.report, &path);
            LogTarget::File(path.value)
        }
        _ => LogTarget::Stderr,
    };
    let sessions = reader.boolean(&keys::SESSIONS).is_none_or(|got| got.value);
    Log { target, sessions }
}
