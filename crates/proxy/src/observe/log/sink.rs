//! One target's queue, and what is counted of it.

use super::Line;
use super::format::Layout;
use super::lane::{Chunk, LINES, Lane};
use super::live;
use eclusa_config::plan::LogOutput;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime};

/// Lanes of a target: more than there are workers on most hosts. Threads that share one do not wait for
/// each other, as long as another is free.
const LANES: usize = 16;
/// A writer gathers lines for this long before it writes them together.
const GATHER: Duration = Duration::from_millis(5);

/// The next thread that has something to tell.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Where this thread looks for a lane first.
    static OWN: usize = THREADS.fetch_add(1, Ordering::Relaxed) % LANES;
}

/// One target's queue.
#[derive(Debug)]
pub(super) struct Sink {
    /// The target as the configuration has it.
    name: String,
    sessions: bool,
    events: bool,
    layout: Layout,
    lanes: [Mutex<Lane>; LANES],
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
    pub(super) fn new(output: &LogOutput, layout: Layout) -> Self {
        Self {
            name: output.target.to_string(),
            sessions: output.sessions.is_some(),
            events: output.events.is_some(),
            layout,
            lanes: Default::default(),
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

    pub(super) fn wants(&self, line: Line<'_>) -> bool {
        match line {
            Line::Session(_) | Line::Exchange(_) => self.sessions,
            Line::Event(_) => self.events,
        }
    }

    pub(super) fn wants_events(&self) -> bool {
        self.events
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Takes a line; if there is no room for it, counts that.
    pub(super) fn push(&self, at: SystemTime, line: Line<'_>, live: &live::Source) {
        let mut lane = self.free_lane();
        if lane.is_full() {
            drop(lane);
            return self.count_dropped(1);
        }
        let first = lane.lines() == 0;
        lane.add(at, live, |out, moment| self.layout.write(out, at, line, moment));
        drop(lane);
        // SeqCst here and where the writer falls asleep: either it sees the line, or we see it asleep.
        // Behind others there is no need to look: who brought the first has.
        if first
            && self.sleeping.load(Ordering::SeqCst)
            && self.sleeping.swap(false, Ordering::SeqCst)
        {
            self.wake();
        }
    }

    /// The lane of this thread, or another one that nobody has at this moment.
    fn free_lane(&self) -> MutexGuard<'_, Lane> {
        let own = OWN.with(|own| *own);
        let lanes = self.lanes.iter().cycle().skip(own).take(LANES);
        let free = lanes.map(Mutex::try_lock).find_map(|lane| match lane {
            Ok(lane) => Some(lane),
            Err(TryLockError::Poisoned(lane)) => Some(lane.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        free.unwrap_or_else(|| self.lane(own))
    }

    /// Held for as long as it takes to write a line, or to hand over a chunk.
    fn lane(&self, index: usize) -> MutexGuard<'_, Lane> {
        self.lanes[index % LANES].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first chunk of each lane; `chunks` are those taken before, of which those that were read go
    /// back.
    pub(super) fn take(&self, chunks: &mut Vec<Chunk>) {
        chunks.resize_with(LANES, Chunk::default);
        for (index, chunk) in chunks.iter_mut().enumerate().filter(|(_, chunk)| chunk.left() == 0) {
            let mut lane = self.lane(index);
            if let Some(next) = lane.take() {
                lane.give_back(std::mem::replace(chunk, next));
            }
        }
    }

    pub(super) fn count_dropped(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
        self.untold.fetch_add(lines, Ordering::Relaxed);
    }

    /// Lines that wait in the fullest lane, and how many may.
    pub(super) fn queue(&self) -> (usize, usize) {
        ((0..LANES).map(|index| self.lane(index).lines()).max().unwrap_or(0), LINES)
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
        if self.queue().0 == 0 && !self.is_urgent() {
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
