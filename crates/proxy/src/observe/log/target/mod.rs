//! Where lines go: a file for each kind of target.

mod connection;
mod datagrams;
mod file;
mod local;

use super::batch::{Batch, Framing, StreamEnd};
use super::format::Head;
use connection::Connection;
use datagrams::Datagrams;
use eclusa_config::plan::{LogOutput, LogTarget, Syslog};
use file::{File, Stderr};
use local::Local;
use std::fmt;
use std::io;
use std::time::Duration;

/// How long a write waits for a target that takes nothing, before the writer looks whether it shall
/// end.
const STALL: Duration = Duration::from_secs(1);

/// A place that takes messages. Its calls may block for a second or two, never a worker.
pub(super) trait Target: Send + fmt::Debug {
    /// Hands the messages over.
    ///
    /// # Errors
    /// What the system said; `WouldBlock` or `TimedOut` where the target stands still. What it has
    /// not taken stays in the batch.
    fn write(&mut self, batch: &mut Batch) -> io::Result<()>;

    /// Opens a file anew; says whether that was done.
    ///
    /// # Errors
    /// It cannot be opened; then the old one stays.
    fn reopen(&mut self) -> io::Result<bool> {
        Ok(false)
    }
}

/// A target, and what it expects of its messages.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) target: Box<dyn Target>,
    pub(super) framing: Framing,
    pub(super) head: Head,
}

/// Makes ready the target of an output. Only files are opened at once: whatever else is not there
/// may come later.
///
/// # Errors
/// When a file cannot be opened.
pub(super) fn open(output: &LogOutput) -> io::Result<Opened> {
    let syslog = match output.syslog {
        Syslog::Rfc5424 => Head::Rfc5424,
        Syslog::Rfc3164 => Head::Rfc3164,
    };
    let (target, framing, head): (Box<dyn Target>, _, _) = match &output.target {
        LogTarget::Stderr => {
            let head = if file::journal_reads_stderr() { Head::Level } else { Head::Plain };
            (Box::new(Stderr), Framing::Lines, head)
        }
        LogTarget::File(path) => (Box::new(File::open(path)?), Framing::Lines, Head::Plain),
        LogTarget::Journal(path) => (Box::new(Datagrams::unix(path)), Framing::None, Head::Journal),
        LogTarget::Unix(path) => {
            let head = if syslog == Head::Rfc3164 { Head::Rfc3164Local } else { syslog };
            (Box::new(Local::new(path)), Framing::Lines, head)
        }
        LogTarget::Udp(address) => (Box::new(Datagrams::udp(*address)), Framing::None, syslog),
        LogTarget::Tcp(address) => (Box::new(Connection::tcp(*address)), Framing::Counted, syslog),
    };
    Ok(Opened { target, framing, head })
}
