//! One target's queue, and what is counted of it.

use super::Line;
use crossbeam_queue::ArrayQueue;
use eclusa_config::plan::LogOutput;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime};

/// Lines that may wait for a writer; at some 500 bytes each, 4 MiB at worst.
pub(super) const QUEUE: usize = 8192;
/// A writer gathers lines for this long before it writes them together.
const GATHER: Duration = Duration::from_millis(5);

/// A line and when it came; shared where several targets get it.
#[derive(Debug)]
pub(super) enum Entry {
    Owned(SystemTime, Line),
    Shared(SystemTime, Arc<Line>),
}

impl Entry {
    pub(super) fn parts(&self) -> (SystemTime, &Line) {
        match self {
            Self::Owned(at, line) => (*at, line),
            Self::Shared(at, line) => (*at, line),
        }
    }
}

/// One target's queue.
#[derive(Debug)]
pub(super) struct Sink {
    /// The target as the configuration has it.
    name: String,
    sessions: bool,
    events: bool,
    queue: ArrayQueue<Entry>,
    /// Lines lost since the start, and those of them that were not told yet.
    dropped: AtomicU64,
    untold: AtomicU64,
    /// The writer sleeps: whoever brings a line wakes it. Saves a system call for each further one.
    sleeping: AtomicBool,
    reopen: AtomicBool,
    closing: AtomicBool,
    writer: OnceLock<Thread>,
}

impl Sink {
    pub(super) fn new(output: &LogOutput) -> Self {
        Self {
            name: output.target.to_string(),
            sessions: output.sessions.is_some(),
            events: output.events.is_some(),
            queue: ArrayQueue::new(QUEUE),
            dropped: AtomicU64::new(0),
            untold: AtomicU64::new(0),
            sleeping: AtomicBool::new(false),
            reopen: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            writer: OnceLock::new(),
        }
    }

    pub(super) fn set_writer(&self, writer: Thread) {
        let _ = self.writer.set(writer);
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn wants(&self, line: &Line) -> bool {
        match line {
            Line::Session(_) | Line::Exchange(_) => self.sessions,
            Line::Event(_) => self.events,
        }
    }

    pub(super) fn wants_events(&self) -> bool {
        self.events
    }

    pub(super) fn push(&self, entry: Entry) {
        if self.queue.push(entry).is_err() {
            return self.count_dropped(1);
        }
        // SeqCst here and where the writer falls asleep: either it sees the line, or we see it asleep.
        if self.sleeping.swap(false, Ordering::SeqCst) {
            self.wake();
        }
    }

    pub(super) fn pop(&self) -> Option<Entry> {
        self.queue.pop()
    }

    pub(super) fn count_dropped(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
        self.untold.fetch_add(lines, Ordering::Relaxed);
    }

    /// Lines that wait, and how many may.
    pub(super) fn queue(&self) -> (usize, usize) {
        (self.queue.len(), self.queue.capacity())
    }

    pub(super) fn dropped_total(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Lines that were lost and not told of yet; they count as told from now on.
    pub(super) fn take_untold(&self) -> u64 {
        self.untold.swap(0, Ordering::Relaxed)
    }

    /// So many lines were told of, but perhaps nobody heard it.
    pub(super) fn tell_again(&self, lines: u64) {
        self.untold.fetch_add(lines, Ordering::Relaxed);
    }

    pub(super) fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether it was asked to open its file anew since the last time this was called.
    pub(super) fn take_reopen(&self) -> bool {
        self.reopen.swap(false, Ordering::AcqRel)
    }

    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    /// The writer waits for lines, and for some more to come.
    pub(super) fn wait_for_lines(&self) {
        self.sleeping.store(true, Ordering::SeqCst);
        if self.queue.is_empty() && !self.is_urgent() {
            std::thread::park_timeout(Duration::from_secs(1));
        }
        self.sleeping.store(false, Ordering::Release);
        if !self.is_urgent() {
            std::thread::park_timeout(GATHER);
        }
    }

    /// The writer waits before it tries again.
    pub(super) fn wait(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while !self.is_urgent() && Instant::now() < until {
            std::thread::park_timeout(until.saturating_duration_since(Instant::now()));
        }
    }

    fn is_urgent(&self) -> bool {
        self.is_closing() || self.reopen.load(Ordering::Acquire)
    }
}
