//! The log: for each target bounded lanes of lines and a thread that writes. A worker never waits: when
//! a lane is full the line is dropped there and counted, and no target waits for another.
//!
//! | file | what |
//! |---|---|
//! | `sink` | one target's lanes, and what is counted of them |
//! | `lane` | what one thread has to tell |
//! | `writer` | the thread that empties the lanes |
//! | `batch` | messages on their way to the target |
//! | `target/` | where they go, one file each |
//! | `format/` | how they look, one file each |
//! | `live` | numbers of the moment that some formats tell |

mod batch;
mod format;
mod lane;
mod live;
mod sink;
mod target;
mod writer;

pub(crate) use format::write_accept_date;
pub(super) use format::{Key, Object, key, quoted};
pub(crate) use live::Live;

use super::{Event, Exchange, Recent, Record, Severity};
use eclusa_config::plan::{ALL_SESSIONS, Log};
use eclusa_sys::local_time::LocalTime;
use format::{Layout, Who};
use sink::Sink;
use std::io;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use target::Opened;

/// How long a stop waits for the last lines to be written.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A line for the log.
#[derive(Clone, Copy, Debug)]
enum Line<'a> {
    Session(&'a Record),
    Exchange(&'a Exchange),
    Event(&'a Event),
}

/// The sending side; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Logger {
    shared: Arc<Shared>,
}

/// What loggers and writers share.
#[derive(Debug)]
struct Shared {
    sinks: Vec<Arc<Sink>>,
    /// Whether any sink takes sessions.
    sessions: bool,
    /// Of a million sessions that ended well, how many are told.
    sample: u32,
    live: live::Source,
    /// The last events, whatever the targets are.
    recent: Arc<Recent>,
}

/// The writers' threads; joined by [`Writer::close`].
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Logger {
    /// Opens the files of the log and starts its writers. A syslog or a journal that is not there
    /// may come later.
    ///
    /// # Errors
    /// When a file cannot be opened or a thread not started.
    pub(crate) fn start(log: &Log) -> io::Result<(Self, Writer)> {
        // Reads the zone of this host while every file may be read.
        let _ = LocalTime::of(SystemTime::now());
        let who = Who::here(&log.tag);
        let opened: Vec<_> = log.outputs.iter().map(target::open).collect::<io::Result<_>>()?;
        let sinks = log.outputs.iter().zip(&opened).map(|(output, opened)| {
            Arc::new(Sink::new(output, Layout::new(output, opened.head, who.clone())))
        });
        let shared = Arc::new(Shared {
            sinks: sinks.collect(),
            sessions: log.sessions(),
            sample: log.sample,
            live: live::Source::new(),
            recent: Arc::default(),
        });
        let mut writer = Writer { shared: shared.clone(), threads: Vec::new() };
        for (index, opened) in opened.into_iter().enumerate() {
            match start(&shared, index, opened) {
                Ok(thread) => writer.threads.push(thread),
                Err(error) => {
                    writer.close();
                    return Err(error);
                }
            }
        }
        Ok((Self { shared }, writer))
    }

    /// Whether sessions leave a record.
    pub(crate) fn wants_sessions(&self) -> bool {
        self.shared.sessions
    }

    /// Tells the log who knows the live numbers; the first one counts.
    pub(crate) fn set_live(&self, live: Weak<dyn Live>) {
        let _ = self.shared.live.set(live);
    }

    /// Opens the files of the log anew: they have been moved away. Lines on their way go to the old
    /// one or the new one, and none is lost.
    pub(crate) fn reopen(&self) {
        for sink in &self.shared.sinks {
            sink.reopen();
        }
    }

    /// Lines that were lost since the start, over all targets.
    pub(crate) fn dropped_total(&self) -> u64 {
        self.shared.sinks.iter().map(|sink| sink.dropped_total()).sum()
    }

    /// Lines that wait in the fullest lane of all targets, and how many may.
    pub(crate) fn queue(&self) -> (usize, usize) {
        self.shared.sinks.iter().map(|sink| sink.queue()).max().unwrap_or_default()
    }

    pub(crate) fn event(&self, event: Event) {
        self.shared.recent.keep(&event);
        self.shared.line(Line::Event(&event), None);
    }

    /// The last events.
    pub(crate) fn recent(&self) -> &Arc<Recent> {
        &self.shared.recent
    }

    /// Tells of a session that is over; of those that ended well, a sample is enough.
    pub(crate) fn session(&self, record: &Record) {
        let ended_well = record.end.as_ref().is_none_or(|end| end.letters() == *b"--");
        self.sampled(Line::Session(record), ended_well);
    }

    /// Tells of an exchange that is over; of those that ended well, a sample is enough.
    pub(crate) fn exchange(&self, exchange: &Exchange) {
        self.sampled(Line::Exchange(exchange), exchange.ended_well());
    }

    fn sampled(&self, line: Line<'_>, ended_well: bool) {
        let sample = self.shared.sample;
        if sample == ALL_SESSIONS || !ended_well || fastrand::u32(..ALL_SESSIONS) < sample {
            self.shared.line(line, None);
        }
    }
}

impl Shared {
    /// Hands a line to every sink that wants it, but to the one at `but`.
    fn line(&self, line: Line<'_>, but: Option<usize>) {
        let at = SystemTime::now();
        for (index, sink) in self.sinks.iter().enumerate() {
            if Some(index) != but && sink.wants(line) {
                sink.push(at, line, &self.live);
            }
        }
    }
}

fn start(shared: &Arc<Shared>, index: usize, opened: Opened) -> io::Result<JoinHandle<()>> {
    let sink = &shared.sinks[index];
    let shared = shared.clone();
    let thread = std::thread::Builder::new()
        .name("log".into())
        .spawn(move || writer::run(&shared, index, opened))?;
    // Set before the first line can come: `Logger` exists only after this.
    sink.set_writer(thread.thread().clone());
    Ok(thread)
}

impl Writer {
    /// Writes what is left and ends. A target that takes nothing (a full disk's pipe, a journal that
    /// stands still) does not hold up the stop for longer than [`LAST_WORDS`].
    #[allow(clippy::disallowed_methods, reason = "the stop waits; nothing else runs here")]
    pub(crate) fn close(self) {
        for sink in &self.shared.sinks {
            sink.close();
        }
        let until = Instant::now() + LAST_WORDS;
        while self.threads.iter().any(|thread| !thread.is_finished()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[cfg(test)]
mod tests;
