//! The thread that empties a sink's lanes into its target.

use super::batch::{Batch, StreamEnd};
use super::lane::{Chunk, LINES};
use super::live::Moment;
use super::sink::Sink;
use super::target::{Opened, Target};
use super::{Event, Line, Severity, Shared};
use std::io;
use std::time::{Duration, Instant, SystemTime};

/// Bytes handed over together.
const BATCH: usize = 64 * 1024;
/// Pauses before the next try at a target in trouble: doubled from the first to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(8));
/// Trouble that comes and goes is told so often at most.
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// Lost lines are told so often at most while more are lost.
const NOTICE_EVERY: Duration = Duration::from_secs(1);

/// Writes until the sink closes.
pub(super) fn run(shared: &Shared, index: usize, opened: Opened) {
    let batch = Batch::new(opened.framing, BATCH);
    let sink = &shared.sinks[index];
    let (chunks, noticed, told) = (Vec::new(), None, Told::default());
    let mut writing = Writing { shared, index, sink, batch, chunks, noticed, told };
    let mut trouble = Trouble { pause: PAUSES.0, told: None };
    let mut target = opened.target;
    loop {
        let closing = sink.is_closing();
        if sink.take_reopen() {
            writing.reopen(&mut *target);
        }
        if writing.batch.is_done() {
            writing.fill(closing);
        }
        if writing.batch.is_done() {
            if closing {
                return;
            }
            sink.wait_for_lines();
            continue;
        }
        match writing.flush(&mut *target) {
            Ok(()) => trouble.pause = PAUSES.0,
            Err(_) if closing => return writing.give_up(),
            Err(error) => {
                trouble.tell(&writing, &error);
                // A target that stands still has waited already.
                if !is_stall(&error) {
                    sink.wait(trouble.pause);
                    trouble.pause = (trouble.pause * 2).min(PAUSES.1);
                }
            }
        }
    }
}

/// Whether the target takes nothing at the moment, but is there.
fn is_stall(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// What goes wrong with a target.
struct Trouble {
    pause: Duration,
    told: Option<Instant>,
}

impl Trouble {
    /// Tells the other targets.
    fn tell(&mut self, writing: &Writing<'_>, error: &io::Error) {
        if self.told.is_some_and(|told| told.elapsed() < TOLD_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        let name = writing.sink.name();
        let problem = if is_stall(error) { "it takes nothing".into() } else { error.to_string() };
        let message = format!(
            "log target {name}: {problem}; {LINES} lines of each worker wait there, more are dropped"
        );
        let event = Event::new("log_trouble", message).severity(Severity::Error);
        writing.shared.line(Line::Event(&event.about("target", name)), Some(writing.index));
    }
}

struct Writing<'a> {
    shared: &'a Shared,
    index: usize,
    sink: &'a Sink,
    batch: Batch,
    /// What was taken from each lane and not put into a batch yet.
    chunks: Vec<Chunk>,
    /// When lost lines were last told.
    noticed: Option<Instant>,
    told: Told,
}

/// Lost lines that were told to the target itself.
#[derive(Default)]
struct Told {
    /// In the batch; its last message tells them.
    in_batch: u64,
    /// In batches that this stream has taken before.
    before: u64,
}

impl Writing<'_> {
    /// Takes lines out of the lanes, as many as go together, in the order in which they came.
    fn fill(&mut self, closing: bool) {
        self.batch.clear();
        self.told.before += std::mem::take(&mut self.told.in_batch);
        let (mut drained, mut read_one) = (false, true);
        while self.batch.len() < BATCH && !drained {
            if read_one {
                self.sink.take(&mut self.chunks);
            }
            let waiting =
                self.chunks.iter_mut().filter_map(|chunk| Some((chunk.next_at()?, chunk)));
            match waiting.min_by_key(|(at, _)| *at) {
                Some((_, chunk)) => {
                    self.batch.push(chunk.read());
                    read_one = chunk.left() == 0;
                }
                None => drained = true,
            }
        }
        if drained || closing || self.noticed.is_none_or(|at| at.elapsed() >= NOTICE_EVERY) {
            self.tell_dropped();
        }
    }

    /// Counts what will not be written any more.
    fn give_up(&mut self) {
        let mut lost = self.batch.left();
        loop {
            lost += self.chunks.iter().map(|chunk| chunk.left() as u64).sum::<u64>();
            self.chunks.clear();
            self.sink.take(&mut self.chunks);
            if self.chunks.iter().all(|chunk| chunk.left() == 0) {
                return self.sink.count_dropped(lost);
            }
        }
    }

    /// Tells how many lines were lost: here, or where events go.
    fn tell_dropped(&mut self) {
        let dropped = self.sink.take_untold();
        if dropped == 0 {
            return;
        }
        self.noticed = Some(Instant::now());
        let (name, total) = (self.sink.name(), self.sink.dropped_total());
        let message = format!("{dropped} lines dropped: log target {name} did not keep up");
        let event = Event::new("log_dropped", message).severity(Severity::Warning);
        let event = event.about("lines", dropped).about("total", total).about("target", name);
        let line = Line::Event(&event);
        if self.sink.wants_events() {
            self.told.in_batch = dropped;
            let mut message = Vec::new();
            let mut moment = Moment::now(&self.shared.live);
            self.sink.layout().write(&mut message, SystemTime::now(), line, &mut moment);
            self.batch.push(&message);
        } else {
            self.shared.line(line, Some(self.index));
        }
    }

    fn flush(&mut self, target: &mut dyn Target) -> io::Result<()> {
        let written = target.write(&mut self.batch);
        let lost = self.batch.take_lost();
        if lost > 0 {
            self.sink.count_dropped(lost);
        }
        // What this batch tells was not taken whole by then: it goes to the next stream by itself.
        if let Some(end) = self.batch.take_ended() {
            let told = std::mem::take(&mut self.told.before);
            if end == StreamEnd::Broken {
                self.sink.tell_again(told);
            }
        }
        written
    }

    fn reopen(&mut self, target: &mut dyn Target) {
        match target.reopen() {
            Ok(true) => self.batch.rewind(),
            Ok(false) => {}
            Err(error) => {
                let name = self.sink.name();
                let message = format!(
                    "log target {name} cannot be opened anew: {error}; the old file is written on"
                );
                let event = Event::new("log_trouble", message).severity(Severity::Error);
                // To every target of events, this one as well.
                self.shared.line(Line::Event(&event.about("target", name)), None);
            }
        }
    }
}
