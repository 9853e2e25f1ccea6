//! What engine and keeper tell each other: JSON, one value a message. Both are the same program
//! file, so a version that differs is a mistake of whoever started the engine.

use super::sockets::Wanted;
use crate::found::Kind;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The version of these messages.
pub(super) const VERSION: u32 = 4;
/// Bytes of a message at most: a path may have 4096, each written as up to six.
pub(super) const MESSAGE_MAX: usize = 32 * 1024;
/// Bytes of a status at most; systemd shows one line.
pub(super) const STATUS_MAX: usize = 1024;
/// Sockets of one address at most: one for each worker.
pub(super) const SOCKETS_MAX: usize = 256;

/// The engine asks or tells.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Ask {
    /// The first message. Answer: `Hello`.
    Hello { version: u32 },
    /// Takes the lock of an address. Answer: `Done`.
    Claim { address: SocketAddr },
    /// Sockets that listen on a claimed address. Answer: `Sockets`, until none is left.
    Listen(Wanted),
    /// The engine no longer listens there. Answer: `Done`.
    Release { address: SocketAddr },
    /// The engine listens nowhere any more. Answer: `Done`.
    ReleaseAll,
    /// A file of the configuration, for reading. Answer: `File`.
    Open { path: PathBuf },
    /// What is at a path of the configuration. Answer: `Found`.
    Look { path: PathBuf },
    /// What a directory of certificates of the configuration holds. Answer: `File`, with the entries
    /// as JSON.
    List { directory: PathBuf },
    /// The text of the configuration with this digest is in force; the keeper reads it as well before
    /// somebody changes the file again. Answer: `Done`.
    InForce { digest: u64, how: How },
    /// The text that was in force last, because not the file is to be. Answer: `File`.
    LastGood,
    /// The text that was in force before the last reload. Answer: `File`.
    Before,
    /// Connections are taken; sockets that were not asked for are not wanted. No answer.
    Ready,
    /// A reload has begun; `Ready` ends it, done or refused. No answer.
    Reloading,
    /// The engine is stopping, and will have ended within so many milliseconds. No answer.
    Stopping { within: u64 },
    /// One line for people. No answer.
    Status { text: String },
    /// The engine is alive. No answer.
    Heartbeat,
}

/// How a text is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum How {
    /// For good, as what the file says.
    File,
    /// Until somebody confirms it; an engine that starts before goes on with what was in force for good.
    Trial,
    /// In place of the file, which is not to be taken before somebody reloads it.
    Back,
}

/// Why an engine is to begin with what was in force last, and not with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NotTheFile {
    /// The engine before could not start with it.
    StartFailed,
    /// It was on trial when the engine before ended.
    Unconfirmed,
    /// The engine before had gone back from it.
    GoneBack,
}

/// What the keeper answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// The channel stands.
    Hello {
        /// The keeper's version of the messages.
        version: u32,
        /// Sockets outlive the keeper: systemd stores them.
        stored: bool,
        /// The engine is to tell that it is alive at least this often, in milliseconds.
        heartbeat: Option<u64>,
        /// Engines that have crashed before this one.
        crashes: u64,
        /// What was in force last is to be tried, and not the file.
        last_good: Option<NotTheFile>,
    },
    /// It is done.
    Done,
    /// Sockets come with this message, and so many with those that follow.
    Sockets { left: usize },
    /// The file, or a text in memory, comes with this message.
    File,
    /// This is there.
    Found { kind: Kind },
    /// It is not to be had.
    Refused { message: String },
    /// The system refused it: an error number of Linux.
    Failed { errno: i32, message: String },
}
