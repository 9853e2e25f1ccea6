//! The log writer: a bounded queue and a thread of its own. A worker never waits for it: when the
//! queue is full the line is dropped and counted.

use super::{Event, Record};
use crossbeam_queue::ArrayQueue;
use eclusa_config::plan::{Log, LogTarget};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant, SystemTime};

/// Lines that may wait for the writer; at some 500 bytes each, 4 MiB at worst.
const QUEUE: usize = 8192;
/// The writer gathers lines for this long before it writes them together.
const GATHER: Duration = Duration::from_millis(5);
/// How long a stop waits for the last lines to be written.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Bytes handed to one write(2) at most.
const BATCH: usize = 64 * 1024;

/// A line for the log.
#[derive(Debug)]
pub(crate) enum Line {
    Session(Box<Record>),
    Event(Event),
}

/// The sending side; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Logger {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: ArrayQueue<(SystemTime, Line)>,
    dropped: AtomicU64,
    /// The writer sleeps: whoever brings a line wakes it. Saves a system call for each further one.
    sleeping: AtomicBool,
    closing: AtomicBool,
    writer: std::sync::OnceLock<Thread>,
    sessions: bool,
}

/// The writer's thread; joined by [`Writer::close`].
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

impl Logger {
    /// Opens the log's target and starts the writer.
    ///
    /// # Errors
    /// When the file cannot be opened or the thread not started.
    pub(crate) fn start(log: &Log) -> io::Result<(Self, Writer)> {
        let target = match &log.target {
            LogTarget::Stderr => Target::Stderr(io::stderr()),
            LogTarget::File(path) => {
                Target::File(OpenOptions::new().append(true).create(true).open(path)?)
            }
        };
        let shared = Arc::new(Shared {
            queue: ArrayQueue::new(QUEUE),
            dropped: AtomicU64::new(0),
            sleeping: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            writer: std::sync::OnceLock::new(),
            sessions: log.sessions,
        });
        let writing = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("log".into())
            .spawn(move || write_lines(&writing, target))?;
        // Set before the first line can come: `Logger` exists only after this.
        let _ = shared.writer.set(thread.thread().clone());
        Ok((Self { shared: Arc::clone(&shared) }, Writer { shared, thread }))
    }

    /// Whether sessions leave a record.
    pub(crate) fn wants_sessions(&self) -> bool {
        self.shared.sessions
    }

    pub(crate) fn event(&self, event: Event) {
        self.line(Line::Event(event));
    }

    pub(crate) fn line(&self, line: Line) {
        if self.shared.queue.push((SystemTime::now(), line)).is_err() {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // SeqCst here and where the writer falls asleep: either it sees the line, or we see it asleep.
        if self.shared.sleeping.swap(false, Ordering::SeqCst)
            && let Some(writer) = self.shared.writer.get()
        {
            writer.unpark();
        }
    }
}

impl Writer {
    /// Writes what is left and ends. A target that takes nothing (a full disk's pipe, a journal that
    /// stands still) does not hold up the stop for longer than [`LAST_WORDS`].
    #[allow(clippy::disallowed_methods, reason = "the stop waits; nothing else runs here")]
    pub(crate) fn close(self) {
        self.shared.closing.store(true, Ordering::Release);
        self.thread.thread().unpark();
        let until = Instant::now() + LAST_WORDS;
        while !self.thread.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

enum Target {
    Stderr(io::Stderr),
    File(File),
}

impl Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stderr(stderr) => stderr.write_all(bytes),
            Self::File(file) => file.write_all(bytes),
        }
    }
}

/// Lines on their way to the target.
struct Batch {
    bytes: Vec<u8>,
    lines: u64,
    target: Target,
    /// A write broke off, perhaps inside a line.
    broken: bool,
}

impl Batch {
    fn add(&mut self, at: SystemTime, line: &Line) {
        if self.broken && self.bytes.is_empty() {
            self.bytes.push(b'\n');
        }
        format_line(&mut self.bytes, at, line);
        self.lines += 1;
    }

    /// Hands the lines to the target; returns how many were lost. A log that cannot be written must
    /// never end the program that carries the traffic.
    fn flush(&mut self) -> u64 {
        let lines = std::mem::take(&mut self.lines);
        if self.bytes.is_empty() {
            return 0;
        }
        self.broken = self.target.write(&self.bytes).is_err();
        self.bytes.clear();
        if self.broken { lines } else { 0 }
    }
}

fn write_lines(shared: &Shared, target: Target) {
    let mut batch = Batch { bytes: Vec::with_capacity(BATCH), lines: 0, target, broken: false };
    loop {
        let closing = shared.closing.load(Ordering::Acquire);
        while let Some((at, line)) = shared.queue.pop() {
            batch.add(at, &line);
            if batch.bytes.len() >= BATCH {
                shared.dropped.fetch_add(batch.flush(), Ordering::Relaxed);
            }
        }
        let dropped = shared.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let message = format!("{dropped} lines dropped: the log's target did not keep up");
            let event = Event::new("log_dropped", message).about("lines", dropped);
            batch.add(SystemTime::now(), &Line::Event(event));
        }
        let lost = batch.flush();
        if lost > 0 {
            // What was dropped, and could not be told either, is told the next time.
            let untold = dropped + lost - u64::from(dropped > 0);
            shared.dropped.fetch_add(untold, Ordering::Relaxed);
        }
        if closing {
            return;
        }
        wait_for_lines(shared);
    }
}

fn wait_for_lines(shared: &Shared) {
    shared.sleeping.store(true, Ordering::SeqCst);
    if shared.queue.is_empty() && !shared.closing.load(Ordering::Acquire) {
        std::thread::park_timeout(Duration::from_secs(1));
    }
    shared.sleeping.store(false, Ordering::Release);
    if !shared.closing.load(Ordering::Acquire) {
        std::thread::park_timeout(GATHER);
    }
}

fn format_line(out: &mut Vec<u8>, at: SystemTime, line: &Line) {
    let start = out.len();
    out.extend_from_slice(br#"{"ts":""#);
    out.extend_from_slice(humantime::format_rfc3339_millis(at).to_string().as_bytes());
    out.extend_from_slice(br#"","#);
    let brace = out.len();
    let written = match line {
        Line::Session(record) => serde_json::to_writer(&mut *out, &record.to_json()),
        Line::Event(event) => serde_json::to_writer(&mut *out, event),
    };
    if written.is_ok() && out.get(brace) == Some(&b'{') {
        // One object: the time stamp's fields go on where the line's begin.
        out.remove(brace);
        out.push(b'\n');
    } else {
        out.truncate(start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_drops_counts_and_says_so() {
        let directory = std::env::temp_dir().join(format!("eclusa-log-{}", std::process::id()));
        let target = LogTarget::File(directory.clone());
        let (logger, writer) = Logger::start(&Log { target, sessions: true }).unwrap();
        for n in 0..10 {
            logger.event(Event::new("ready", "a \"quoted\" message").about("n", n));
        }
        logger.shared.dropped.store(3, Ordering::Relaxed);
        writer.close();
        let text = std::fs::read_to_string(&directory).unwrap();
        std::fs::remove_file(&directory).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 11);
        assert_eq!(lines[9]["n"], 9);
        assert_eq!(lines[9]["message"], "a \"quoted\" message");
        assert!(lines[9]["ts"].as_str().unwrap().ends_with('Z'));
        assert_eq!(lines[10]["event"], "log_dropped");
        assert_eq!(lines[10]["lines"], 3);
    }
}
