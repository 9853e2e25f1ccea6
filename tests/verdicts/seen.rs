//! What the clients of one run have seen, and what the worst of several runs was.

use crate::bed::Bed;
use crate::candidate::Change;
use e2e::load::Timed;
use eclusa_testkit::client::{Client, Outcome, Record, WatchReport};
use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

/// A new session that takes longer is slow.
pub const SLOW: Duration = Duration::from_millis(1500);
/// Before the fault and at the end of the run: for the distributions.
const GLANCE: Duration = Duration::from_secs(3);
/// Around the fault, for the longest silences.
const MARGIN: Duration = Duration::from_secs(1);

/// Times of one run.
#[derive(Clone, Copy, Debug)]
pub struct Marks {
    /// The fault was about to be injected.
    pub begun: Instant,
    /// It was there. What began between the two may be in flight on the victim.
    pub injected: Instant,
    /// From here on new sessions are judged; mostly `injected`.
    pub judged: Instant,
    /// The end of the distribution after the fault; mostly the end of the run.
    pub after: Option<Instant>,
}

impl Marks {
    pub fn new((begun, injected): (Instant, Instant)) -> Self {
        Self { begun, injected, judged: injected, after: None }
    }
}

/// Answers, or sessions, of each master.
pub type Shares = BTreeMap<String, u64>;

/// One run.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub new: u64,
    /// New sessions without an answer that began after the fault.
    pub new_failed: u64,
    /// The same, in flight on the victim when it came.
    pub new_in_flight: u64,
    /// New sessions that a master itself answered with an error status.
    pub new_status: u64,
    /// New sessions slower than [`SLOW`].
    pub new_slow: u64,
    pub new_slowest: Duration,
    pub lasting: u64,
    /// Failed where they were in flight: on a session to a victim.
    pub lasting_on_victim: u64,
    pub lasting_elsewhere: u64,
    /// Lasting requests that a master itself answered with an error status.
    pub lasting_status: u64,
    pub lasting_outage: Duration,
    /// Lasting sessions that did not end in good order.
    pub lasting_cut: u64,
    /// Watches on the victims when the fault came.
    pub watches_on_victim: u64,
    /// Watches that did not end in good order, on a victim and elsewhere.
    pub watches_cut: u64,
    pub watches_cut_elsewhere: u64,
    /// After the fault, until the first and the last cut of a watch on a victim.
    pub watch_cuts: Option<(Duration, Duration)>,
    pub watch_gap: Duration,
    /// After the fault, until a victim had the wanted verdict.
    pub verdict: Option<Duration>,
    /// `dead` or `DOWN` that befell somebody who is no victim.
    pub falls: Vec<String>,
    pub changes: Vec<String>,
    /// What else our log had to say.
    pub words: Vec<String>,
    pub before: Shares,
    pub after: Shares,
    pub lasting_after: Shares,
    /// How requests failed, new and lasting.
    pub failures: Shares,
    /// From a master that serves until an answer, in rows where there was none before; in seconds.
    pub first_answer: Option<f64>,
    /// The run itself failed, in words.
    pub broken: Option<String>,
}

/// Whom the fault befalls, and which verdict (words, ours and HAProxy's) it shall bring.
#[derive(Clone, Copy, Debug)]
pub struct Victims {
    pub names: &'static [&'static str],
    pub verdict: &'static [&'static str],
}

impl Victims {
    fn has(&self, master: Option<&str>) -> bool {
        master.is_some_and(|master| self.names.contains(&master))
    }
}

impl Seen {
    /// Reads all clients' records.
    pub fn of(bed: &Bed, marks: Marks, victims: &Victims) -> Self {
        let mut seen = Self::default();
        let end = marks.after.unwrap_or_else(Instant::now);
        for client in &bed.load.singles {
            seen.add_singles(client, marks, end);
        }
        for client in &bed.load.lasting {
            seen.add_lasting(client, marks, victims);
        }
        for watcher in &bed.load.watchers {
            seen.add_watch(&watcher.client.report(), watcher.zero, marks, victims);
        }
        seen.add_changes(&bed.candidate.changes(), marks, victims);
        seen
    }

    fn add_singles(&mut self, client: &Timed<Client>, marks: Marks, end: Instant) {
        for record in client.client.records() {
            let (at, failed) = (client.zero + record.at, failed(&record));
            let done = at + record.took;
            let glance = |shares: &mut Shares, until: Instant| {
                if (until - GLANCE..until).contains(&at)
                    && let Some(master) = &record.master
                {
                    *shares.entry(master.clone()).or_default() += 1;
                }
            };
            glance(&mut self.before, marks.begun);
            glance(&mut self.after, end);
            if at < marks.judged {
                // A failure of before the fault is none of the fault, but nobody may have one.
                self.new_in_flight += u64::from(failed && done >= marks.begun);
                self.new_failed += u64::from(failed && done < marks.begun && !is_cold(marks));
                continue;
            }
            self.new += 1;
            self.new_failed += u64::from(failed);
            self.add_failure("new", &record);
            self.new_status += u64::from(matches!(record.outcome, Outcome::Status(_)));
            self.new_slow += u64::from(record.took > SLOW);
            self.new_slowest = self.new_slowest.max(record.took);
        }
    }

    fn add_lasting(&mut self, client: &Timed<Client>, marks: Marks, victims: &Victims) {
        let sessions = client.client.sessions();
        let mut ends = Vec::new();
        for record in client.client.records() {
            let done = client.zero + record.at + record.took;
            if record.outcome == Outcome::Ok && done >= marks.begun - MARGIN {
                ends.push(done);
            }
            if done < marks.begun {
                continue;
            }
            self.lasting += 1;
            self.lasting_status += u64::from(matches!(record.outcome, Outcome::Status(_)));
            self.add_failure("lasting", &record);
            if failed(&record) {
                let session = record.session.and_then(|index| sessions.get(index));
                if victims.has(session.and_then(|session| session.master.as_deref())) {
                    self.lasting_on_victim += 1;
                } else {
                    self.lasting_elsewhere += 1;
                }
            }
        }
        ends.push(Instant::now());
        ends.sort_unstable();
        let gaps = ends.windows(2).map(|two| two[1] - two[0]);
        self.lasting_outage = self.lasting_outage.max(gaps.max().unwrap_or_default());
        for session in &sessions {
            match &session.end {
                None => {
                    if let Some(master) = &session.master {
                        *self.lasting_after.entry(master.clone()).or_default() += 1;
                    }
                }
                Some((at, how)) => {
                    let cut = client.zero + *at >= marks.begun && *how != Outcome::Ok;
                    self.lasting_cut += u64::from(cut);
                }
            }
        }
    }

    fn add_failure(&mut self, of: &str, record: &Record) {
        if failed(record) {
            let words = format!("{of} {} at {:?}", record.outcome, record.step);
            *self.failures.entry(words).or_default() += 1;
        }
    }

    fn add_watch(&mut self, report: &WatchReport, zero: Instant, marks: Marks, victims: &Victims) {
        let mut last = None;
        for session in &report.sessions {
            let on_victim = victims.has(session.master.as_deref());
            let end = session.end.as_ref().map(|(at, how)| (zero + *at, how));
            if let (Some(first), Some(from)) = (session.first_event, last)
                && zero + first >= marks.begun
            {
                self.watch_gap = self.watch_gap.max((zero + first).saturating_duration_since(from));
            }
            last = session.last_event.map(|at| zero + at).or(last);
            let stood = zero + session.at < marks.begun && session.events > 0;
            let stood = stood && end.is_none_or(|(at, _)| at >= marks.begun);
            self.watches_on_victim += u64::from(stood && on_victim);
            let Some((at, how)) = end else { continue };
            if session.events == 0 || at < marks.begun || *how == Outcome::Ok {
                continue;
            }
            if !on_victim {
                self.watches_cut_elsewhere += 1;
                continue;
            }
            self.watches_cut += 1;
            let after = at.saturating_duration_since(marks.begun);
            let (first, last) = self.watch_cuts.unwrap_or((after, after));
            self.watch_cuts = Some((first.min(after), last.max(after)));
        }
        if let Some(last) = last {
            self.watch_gap = self.watch_gap.max(last.elapsed());
        }
        // Silences within a session, such as of a master that went on after a pause.
        self.watch_gap = self.watch_gap.max(report.longest_silence);
    }

    fn add_changes(&mut self, changes: &[Change], marks: Marks, victims: &Victims) {
        // Our log has milliseconds.
        let from = marks.begun - Duration::from_millis(2);
        for change in changes.iter().filter(|change| change.at >= from) {
            let after = change.at.saturating_duration_since(marks.begun);
            self.changes.push(format!("{:.2} s {change}", after.as_secs_f64()));
            let is_victim = victims.has(Some(&change.master));
            if is_victim && victims.verdict.contains(&change.verdict.as_str()) {
                self.verdict.get_or_insert(after);
            }
            if !is_victim && ["dead", "DOWN"].contains(&change.verdict.as_str()) {
                self.falls.push(change.to_string());
            }
        }
    }

    /// Sessions cut and requests failed: what a false alarm is scored by.
    pub fn score(&self) -> u64 {
        self.new_failed
            + self.new_in_flight
            + self.lasting_on_victim
            + self.lasting_elsewhere
            + self.watches_cut
            + self.watches_cut_elsewhere
            + self.lasting_cut
    }

    /// What does not stand in each run.
    pub fn details(&self) -> Option<String> {
        let mut all = Vec::new();
        if self.new_status + self.lasting_status > 0 {
            let (new, lasting) = (self.new_status, self.lasting_status);
            all.push(format!("error statuses of masters: {new} new, {lasting} lasting"));
        }
        all.extend(self.first_answer.map(|after| format!("{after:.2} s until the first answer")));
        if !self.failures.is_empty() {
            let failures = self.failures.iter().map(|(how, count)| format!("{count} {how}"));
            all.push(format!("failures: {}", failures.collect::<Vec<_>>().join(", ")));
        }
        if !self.falls.is_empty() {
            all.push(format!("fell: {}", self.falls.join(", ")));
        }
        all.extend(self.broken.clone());
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// The smallest and the largest share of new sessions at the end, of an equal one.
    pub fn share_after(&self, master: &str, of: u64) -> f64 {
        let all: u64 = self.after.values().sum();
        let own = self.after.get(master).copied().unwrap_or_default();
        if all == 0 { 0.0 } else { own as f64 * of as f64 / all as f64 }
    }

    /// The worst of both in each respect.
    pub fn worst(mut self, other: &Self) -> Self {
        for (mine, others) in [
            (&mut self.new_failed, other.new_failed),
            (&mut self.new_in_flight, other.new_in_flight),
            (&mut self.new_status, other.new_status),
            (&mut self.new_slow, other.new_slow),
            (&mut self.lasting_on_victim, other.lasting_on_victim),
            (&mut self.lasting_elsewhere, other.lasting_elsewhere),
            (&mut self.lasting_status, other.lasting_status),
            (&mut self.lasting_cut, other.lasting_cut),
            (&mut self.watches_on_victim, other.watches_on_victim),
            (&mut self.watches_cut, other.watches_cut),
            (&mut self.watches_cut_elsewhere, other.watches_cut_elsewhere),
            (&mut self.new, other.new),
            (&mut self.lasting, other.lasting),
        ] {
            *mine = (*mine).max(others);
        }
        self.new_slowest = self.new_slowest.max(other.new_slowest);
        self.lasting_outage = self.lasting_outage.max(other.lasting_outage);
        self.watch_gap = self.watch_gap.max(other.watch_gap);
        // Without a verdict is worse than the latest.
        self.verdict = self.verdict.zip(other.verdict).map(|(a, b)| a.max(b));
        self.watch_cuts = match (self.watch_cuts, other.watch_cuts) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        if let (Some(a), Some(b)) = (self.first_answer, other.first_answer) {
            self.first_answer = Some(a.max(b));
        }
        self.falls.extend(other.falls.iter().cloned());
        for (words, count) in &other.failures {
            let most = self.failures.entry(words.clone()).or_default();
            *most = (*most).max(*count);
        }
        self.broken = self.broken.or_else(|| other.broken.clone());
        self
    }
}

/// No master was there before: failures are as they must be.
fn is_cold(marks: Marks) -> bool {
    marks.judged > marks.injected
}

/// Without an answer; an error status is an answer.
fn failed(record: &Record) -> bool {
    !matches!(record.outcome, Outcome::Ok | Outcome::Status(_))
}

/// `1:50 2:49 3:51`
pub fn shares(shares: &Shares) -> String {
    let counts: Vec<_> = shares
        .iter()
        .map(|(master, count)| format!("{}:{count}", master.trim_start_matches("master")))
        .collect();
    counts.join(" ")
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = &self.broken {
            return write!(f, "broken: {why}");
        }
        write!(
            f,
            "new: {} failed ({} in flight), {} slow, slowest {}; lasting: {} failed on the \
             victim, {} elsewhere, longest outage {}; verdict {}; watches: {} of {} cut, {} \
             elsewhere, longest gap {}; new by master {} -> {}, lasting after {}",
            self.new_failed,
            self.new_in_flight,
            self.new_slow,
            seconds(self.new_slowest),
            self.lasting_on_victim,
            self.lasting_elsewhere,
            seconds(self.lasting_outage),
            self.verdict.map_or("none".to_owned(), seconds),
            self.watches_cut,
            self.watches_on_victim,
            self.watches_cut_elsewhere,
            seconds(self.watch_gap),
            shares(&self.before),
            shares(&self.after),
            shares(&self.lasting_after),
        )?;
        if let Some(details) = self.details() {
            write!(f, "; {details}")?;
        }
        Ok(())
    }
}
