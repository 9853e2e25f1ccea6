//! One endpoint, of which two say something: our judge, and HAProxy. Pure: who said what since when, when
//! they differ, who noticed first.
//!
//! Our word changes at a moment. HAProxy's is read now and then: of a change one knows between which two
//! reads it lies, and by `lastchg` its second. A disagreement is told when a read shows it, for a word that
//! is seconds old is none.

use super::at::{At, Window};
use super::tally::{Order, Tally};
use eclusa_policy::verdict::{Report, Tier, Verdict};
use std::collections::VecDeque;
use std::time::Duration;

/// Changes of an endpoint that are kept for the summary.
const KEPT: usize = 8;
/// Bytes of a word's reason.
const WORDS_MAX: usize = 160;

/// Whether an endpoint gets new sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Said {
    /// Nobody knows, or the operator has taken it out.
    #[default]
    Nothing,
    In,
    Out,
}

impl Said {
    /// As it is told.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Nothing => "unknown",
            Self::In => "in",
            Self::Out => "out",
        }
    }

    /// What our report says; `None`: it is suspect, which a probe decides within a second, and until then
    /// what was said before holds.
    pub(super) fn of(report: &Report) -> Option<Self> {
        match (report.verdict, report.tier) {
            (Verdict::Suspect, _) => None,
            (Verdict::Unknown, _) => Some(Self::Nothing),
            (Verdict::Unresolved, Tier::Up) | (Verdict::Up, _) => Some(Self::In),
            (Verdict::Unresolved, _) => Some(Self::Nothing),
            // Held by a brake: it goes on being used.
            (Verdict::Draining, Tier::Up) => Some(Self::In),
            (Verdict::Draining, _) if report.correlated => Some(Self::In),
            (Verdict::Draining | Verdict::Dead, _) => Some(Self::Out),
        }
    }
}

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    We,
    Haproxy,
}

impl Who {
    pub(super) fn other(self) -> Self {
        match self {
            Self::We => Self::Haproxy,
            Self::Haproxy => Self::We,
        }
    }
}

/// What one side says, since when, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) said: Said,
    pub(super) since: Window,
    pub(super) why: String,
    /// Until when it is counted.
    counted: At,
}

impl Word {
    fn nothing(at: At) -> Self {
        let (said, why) = (Said::Nothing, String::new());
        Self { said, since: Window::exact(at), why, counted: at }
    }
}

/// How a change of mind went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// They differ.
    Open,
    /// The other said the same later.
    Followed,
    /// Who had changed went back, and the other never said it.
    GaveIn,
    /// The same within two reads: none showed them differ.
    Brief,
    /// One of them says nothing any more.
    Lost,
    /// One read showed both: no read showed them differ.
    AtOnce,
}

/// Somebody came to say something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// What.
    pub(super) said: Said,
    /// Who said it, first as far as reads show.
    pub(super) by: Who,
    /// When, and why; `None`: that side did not.
    pub(super) ours: Option<Window>,
    pub(super) theirs: Option<Window>,
    pub(super) our_words: String,
    pub(super) their_words: String,
    /// They differed from when to when.
    pub(super) differed: Option<(At, Option<At>)>,
    /// They differed when both were first heard: nobody noticed anything.
    pub(super) from_the_start: bool,
    pub(super) end: End,
}

impl Change {
    /// Who noticed first, and by how much; `None`: one did not, or which of them it was cannot be told.
    pub(super) fn first(&self) -> Option<(Who, Duration)> {
        let (ours, theirs) = (self.ours?, self.theirs?);
        match () {
            () if ours.to < theirs.from => Some((Who::We, theirs.middle().since(ours.middle()))),
            () if theirs.to < ours.from => {
                Some((Who::Haproxy, ours.middle().since(theirs.middle())))
            }
            () => None,
        }
    }
}

/// What a read of HAProxy's table said of the endpoint.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// The question, and the end of the answer.
    pub(super) asked: At,
    pub(super) answered: At,
    pub(super) said: Said,
    pub(super) words: String,
    /// For how long, by `lastchg`.
    pub(super) since: Option<Duration>,
    /// How often it fell, as a count that only grows.
    pub(super) falls: u64,
}

impl Reading {
    /// When it came to say so: HAProxy counts whole seconds between moments that it cuts to the second.
    fn since(&self) -> Option<Window> {
        const SECOND: Duration = Duration::from_secs(1);
        let since = self.since?;
        let from = self.asked.before(since + SECOND);
        let to = self.answered.before(since).after(SECOND).min(self.answered);
        Some(Window { from, to })
    }
}

/// Both words on one endpoint, and what came of them.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    ours: Word,
    theirs: Word,
    /// What both said when they last said the same.
    agreed: Option<Said>,
    open: Option<Change>,
    /// We said `Out` since the last read, and why; and until when, if that is over.
    brief: Option<(At, Option<At>, String)>,
    /// The last read, and how often it had fallen by then.
    read: Option<(At, u64)>,
    /// Of this day, and of all days.
    day: Tally,
    all: Tally,
    last: VecDeque<Change>,
}

impl Pair {
    pub(super) fn new(now: At) -> Self {
        Self {
            ours: Word::nothing(now),
            theirs: Word::nothing(now),
            agreed: None,
            open: None,
            brief: None,
            read: None,
            day: Tally::default(),
            all: Tally::default(),
            last: VecDeque::new(),
        }
    }

    pub(super) fn word(&self, who: Who) -> &Word {
        match who {
            Who::We => &self.ours,
            Who::Haproxy => &self.theirs,
        }
    }

    /// The disagreement that goes on.
    pub(super) fn open(&self) -> Option<&Change> {
        self.open.as_ref()
    }

    /// Whether both say something.
    pub(super) fn is_compared(&self) -> bool {
        self.ours.said != Said::Nothing && self.theirs.said != Said::Nothing
    }

    /// The last changes, the oldest first; the one that goes on is not among them.
    pub(super) fn last(&self) -> impl Iterator<Item = &Change> {
        self.last.iter()
    }

    /// What was counted until `now`: of this day, or of all.
    pub(super) fn tally(&mut self, now: At, day: bool) -> Tally {
        self.count(Who::We, now);
        self.count(Who::Haproxy, now);
        if day { self.day } else { self.all }
    }

    /// Another day begins.
    pub(super) fn begin_day(&mut self) {
        self.day = Tally::default();
    }

    /// An order that was not carried out.
    pub(super) fn order(&mut self, order: Order, sessions: u64) {
        self.both(|tally| tally.order(order, sessions));
    }

    /// Our judge says something else, or the same for another reason.
    pub(super) fn we_say(&mut self, at: At, said: Said, why: &str) {
        if said == self.ours.said {
            cut(why).clone_into(&mut self.ours.why);
            return;
        }
        self.turn(Who::We, Window::exact(at), said, why);
        if self.agreed.is_none() && said != Said::Nothing && said == self.theirs.said {
            // What the last read said is soon enough for a beginning.
            self.agreed = Some(said);
        }
        if self.agreed != Some(Said::In) || self.open.is_some() {
            return;
        }
        match (said, &mut self.brief) {
            (Said::Out, None) => self.brief = Some((at, None, cut(why).to_owned())),
            (Said::Out, Some((_, until, _))) => *until = None,
            (_, Some((_, until, _))) => *until = Some(at),
            (_, None) => {}
        }
    }

    /// HAProxy was read. Returns the changes that are to be told: those that began or ended.
    pub(super) fn haproxy_says(&mut self, reading: &Reading) -> Vec<Change> {
        let before = self.read.replace((reading.asked, reading.falls));
        let mut told = Vec::new();
        if reading.said == self.theirs.said {
            cut(&reading.words).clone_into(&mut self.theirs.why);
        } else {
            let known = self.theirs.said != Said::Nothing;
            let from = before.filter(|_| known).map_or(At(i64::MIN), |(at, _)| at);
            let since = reading.since().unwrap_or(Window { from, to: reading.answered });
            let since = since.within(from, reading.answered);
            self.turn(Who::Haproxy, since, reading.said, &reading.words);
        }
        if let Some((at, falls)) = before
            && falls < reading.falls
            && self.agreed == Some(Said::In)
            && (self.ours.said, reading.said) == (Said::In, Said::In)
        {
            self.they_fell_briefly(at, reading, &mut told);
        }
        // A change of ours that came after the question is for the next read.
        if self.ours.since.from <= reading.asked {
            self.settle(reading.answered, &mut told);
        }
        told
    }

    /// HAProxy says nothing of it any more: it cannot be read, or has no such row.
    pub(super) fn haproxy_is_silent(&mut self, now: At) -> Vec<Change> {
        let mut told = Vec::new();
        self.read = None;
        if self.theirs.said != Said::Nothing {
            self.turn(Who::Haproxy, Window::exact(now), Said::Nothing, "not known");
            self.settle(now, &mut told);
        }
        told
    }

    fn turn(&mut self, who: Who, since: Window, said: Said, why: &str) {
        self.count(who, since.middle());
        let before = self.word(who).said;
        if (before, said) == (Said::In, Said::Out) {
            self.both(|tally| tally.times(who).outs += 1);
        }
        let word = match who {
            Who::We => &mut self.ours,
            Who::Haproxy => &mut self.theirs,
        };
        word.said = said;
        word.since = since;
        cut(why).clone_into(&mut word.why);
    }

    /// Counts how long a side has said what it says.
    fn count(&mut self, who: Who, until: At) {
        let word = match who {
            Who::We => &mut self.ours,
            Who::Haproxy => &mut self.theirs,
        };
        let (said, took) = (word.said, until.since(word.counted));
        word.counted = word.counted.max(until);
        self.both(|tally| {
            let times = tally.times(who);
            match said {
                Said::In => times.in_for += took,
                Said::Out => times.out_for += took,
                Said::Nothing => {}
            }
        });
    }

    fn both(&mut self, change: impl Fn(&mut Tally)) {
        change(&mut self.day);
        change(&mut self.all);
    }

    /// Compares what both say now.
    fn settle(&mut self, now: At, told: &mut Vec<Change>) {
        let (ours, theirs) = (self.ours.said, self.theirs.said);
        let brief = self.brief.take();
        if ours == Said::Nothing || theirs == Said::Nothing {
            self.agreed = None;
            return self.close(now, End::Lost, told);
        }
        if ours == theirs {
            self.agree(ours, brief, told);
            self.agreed = Some(ours);
            return;
        }
        // Both changed their minds: it is another disagreement.
        if let Some(open) = &self.open
            && self.word(open.by).said != open.said
        {
            let (by, said) = (open.by, open.said);
            let since = |who| self.word(who).since.middle();
            let (first, other) = (since(by), since(by.other()));
            if other < first {
                self.agreed = Some(said);
                self.close(other, End::Followed, told);
            } else {
                self.close(first, End::GaveIn, told);
            }
        }
        if self.open.is_none() {
            let change = self.disagree();
            self.both(|tally| tally.disagreements += 1);
            told.push(change.clone());
            self.open = Some(change);
        }
    }

    fn disagree(&self) -> Change {
        let is_new = |who: Who| match self.agreed {
            Some(agreed) => self.word(who).said != agreed,
            None => self.word(who).said == Said::Out,
        };
        let by = if is_new(Who::We) { Who::We } else { Who::Haproxy };
        let began = match self.agreed {
            Some(_) => self.word(by).since.middle(),
            None => self.ours.since.middle().max(self.theirs.since.middle()).max(At::default()),
        };
        let since = |who| (who == by).then_some(self.word(who).since);
        Change {
            said: self.word(by).said,
            by,
            ours: since(Who::We),
            theirs: since(Who::Haproxy),
            our_words: self.ours.why.clone(),
            their_words: self.theirs.why.clone(),
            differed: Some((began, None)),
            from_the_start: self.agreed.is_none(),
            end: End::Open,
        }
    }

    /// Both say `said` now.
    fn agree(
        &mut self,
        said: Said,
        brief: Option<(At, Option<At>, String)>,
        told: &mut Vec<Change>,
    ) {
        if let Some(open) = &self.open {
            let (end, who) = match said == open.said {
                true => (End::Followed, open.by.other()),
                false => (End::GaveIn, open.by),
            };
            let until = self.word(who).since.middle();
            self.close(until, end, told);
        } else if self.agreed.is_some_and(|agreed| agreed != said) {
            let change = self.at_once(said, Some(self.ours.since), Some(self.theirs.since));
            self.keep(change, told);
        } else if let Some((from, Some(to), why)) = brief
            && said == Said::In
        {
            self.alone(Who::We, (from, to), &why, told);
        }
    }

    /// Its count of falls has grown, and it is up as before.
    fn they_fell_briefly(&mut self, before: At, reading: &Reading, told: &mut Vec<Change>) {
        let back = reading.since().unwrap_or(Window { from: before, to: reading.answered });
        let back = back.within(before, reading.answered).middle();
        let why = format!("{}; it has fallen {} times", cut(&reading.words), reading.falls);
        self.both(|tally| tally.theirs.outs += 1);
        match self.brief.take() {
            Some((from, Some(_), our_words)) => {
                let theirs = Some(Window { from: before, to: back });
                let ours = Some(Window::exact(from));
                let change = self.at_once(Said::Out, ours, theirs);
                self.keep(Change { our_words, their_words: why, ..change }, told);
            }
            brief => {
                self.brief = brief;
                self.alone(Who::Haproxy, (before, back), &why, told);
            }
        }
    }

    /// Both came to say `said` between two reads.
    fn at_once(&self, said: Said, ours: Option<Window>, theirs: Option<Window>) -> Change {
        let change = Change {
            said,
            by: Who::We,
            ours,
            theirs,
            our_words: self.ours.why.clone(),
            their_words: self.theirs.why.clone(),
            differed: None,
            from_the_start: false,
            end: End::AtOnce,
        };
        let by = change.first().map_or(Who::We, |(who, _)| who);
        Change { by, ..change }
    }

    /// One side was out for a moment, between two reads or in one, and the other never said so.
    fn alone(&mut self, by: Who, (from, to): (At, At), why: &str, told: &mut Vec<Change>) {
        self.both(|tally| tally.disagreements += 1);
        let since = |who: Who| (who == by).then_some(Window::exact(from));
        let words = |who: Who| match who == by {
            true => why.to_owned(),
            false => self.word(who).why.clone(),
        };
        let change = Change {
            said: Said::Out,
            by,
            ours: since(Who::We),
            theirs: since(Who::Haproxy),
            our_words: words(Who::We),
            their_words: words(Who::Haproxy),
            differed: Some((from, Some(to))),
            from_the_start: false,
            end: End::Brief,
        };
        self.keep(change, told);
    }

    /// The disagreement, if there is one, is over.
    fn close(&mut self, until: At, end: End, told: &mut Vec<Change>) {
        let Some(mut change) = self.open.take() else { return };
        let (from, _) = change.differed.unwrap_or((until, None));
        change.differed = Some((from, Some(until.max(from))));
        change.end = end;
        if end == End::Followed {
            let other = self.word(change.by.other());
            let (since, why) = (Some(other.since), other.why.clone());
            match change.by {
                Who::We => (change.theirs, change.their_words) = (since, why),
                Who::Haproxy => (change.ours, change.our_words) = (since, why),
            }
        }
        self.keep(change, told);
    }

    fn keep(&mut self, change: Change, told: &mut Vec<Change>) {
        self.both(|tally| tally.add(&change));
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(change.clone());
        told.push(change);
    }
}

fn cut(why: &str) -> &str {
    super::stat::cut(why, WORDS_MAX)
}

#[cfg(test)]
mod tests;
