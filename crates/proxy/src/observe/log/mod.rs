//! The log: for each target a bounded queue and a thread that writes. A worker never waits: when a
//! queue is full the line is dropped there and counted, and no target waits for another.
//!
//! | file | what |
//! |---|---|
//! | `sink` | one target's queue, and what is counted of it |
//! | `writer` | the thread that empties it |
//! | `batch` | messages on their way |
//! | `target/` | where they go, one file each |
//! | `format/` | how they look, one file each |
//! | `live` | numbers of the moment that some formats tell |

mod batch;
mod format;
mod live;
mod sink;
mod target;
mod writer;

pub(super) use format::{Key, Object, key};
pub(crate) use live::Live;

use super::{Event, Exchange, Record, Severity};
use crossbeam_queue::ArrayQueue;
use eclusa_config::plan::{ALL_SESSIONS, EventFormat, Log, LogOutput, SessionFormat};
use eclusa_sys::local_time::LocalTime;
use format::{Layout, Who};
use sink::{Entry, Sink};
use std::io;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use target::Opened;

/// How long a stop waits for the last lines to be written.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Records kept to be used again, half a KiB each.
const SPARE: usize = 512;

/// A line for the log.
#[derive(Debug)]
pub(crate) enum Line {
    Session(Box<Record>),
    Exchange(Box<Exchange>),
    Event(Event),
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
    /// Records of exchanges that were written, to be used again: what one thread allocates and another
    /// frees is slow for both.
    spare: ArrayQueue<Box<Exchange>>,
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
        let shared = Arc::new(Shared {
            sinks: log.outputs.iter().map(|output| Arc::new(Sink::new(output))).collect(),
            sessions: log.sessions(),
            sample: log.sample,
            live: live::Source::new(),
            spare: ArrayQueue::new(SPARE),
        });
        let mut writer = Writer { shared: shared.clone(), threads: Vec::new() };
        for (index, (output, opened)) in log.outputs.iter().zip(opened).enumerate() {
            match start(&shared, index, (output, opened), &who) {
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

    /// A record to be filled anew, if there is one.
    pub(crate) fn spare_exchange(&self) -> Option<Box<Exchange>> {
        self.shared.spare.pop()
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

    /// Lines that wait at the fullest target, and how many may.
    pub(crate) fn queue(&self) -> (usize, usize) {
        self.shared.sinks.iter().map(|sink| sink.queue()).max().unwrap_or_default()
    }

    pub(crate) fn event(&self, event: Event) {
        self.line(Line::Event(event));
    }

    pub(crate) fn line(&self, line: Line) {
        if self.shared.sample < ALL_SESSIONS
            && ended_well(&line)
            && fastrand::u32(..ALL_SESSIONS) >= self.shared.sample
        {
            return;
        }
        self.shared.line(line, None);
    }
}

/// Whether it is of those of which a sample is enough.
fn ended_well(line: &Line) -> bool {
    match line {
        Line::Session(record) => record.end.as_ref().is_none_or(|end| end.letters() == *b"--"),
        Line::Exchange(exchange) => exchange.ended_well(),
        Line::Event(_) => false,
    }
}

impl Shared {
    /// Keeps what can be used again of a line that was written.
    fn reclaim(&self, entry: Entry) {
        if let Entry::Owned(_, Line::Exchange(mut exchange)) = entry {
            exchange.forget();
            // Full: enough are there.
            let _ = self.spare.push(exchange);
        }
    }

    /// Puts a line into every queue that wants it, but that of the sink at `but`.
    fn line(&self, line: Line, but: Option<usize>) {
        let at = SystemTime::now();
        let sinks = self.sinks.iter().enumerate();
        let mut wanting = sinks
            .filter(|(index, sink)| Some(*index) != but && sink.wants(&line))
            .map(|(_, sink)| sink);
        let Some(first) = wanting.next() else { return };
        let Some(second) = wanting.next() else { return first.push(Entry::Owned(at, line)) };
        let wanting: Vec<_> = [first, second].into_iter().chain(wanting).collect();
        let line = Arc::new(line);
        for sink in wanting {
            sink.push(Entry::Shared(at, line.clone()));
        }
    }
}

fn start(
    shared: &Arc<Shared>,
    index: usize,
    (output, opened): (&LogOutput, Opened),
    who: &Who,
) -> io::Result<JoinHandle<()>> {
    let sink = &shared.sinks[index];
    let layout = Layout {
        head: opened.head,
        // What a sink does not want never comes to its layout.
        sessions: output.sessions.unwrap_or((SessionFormat::Json, <_>::default())),
        events: output.events.unwrap_or((EventFormat::Json, <_>::default())),
        who: who.clone(),
    };
    let shared = shared.clone();
    let thread = std::thread::Builder::new()
        .name("log".into())
        .spawn(move || writer::run(&shared, index, &layout, opened))?;
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
