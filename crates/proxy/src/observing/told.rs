//! Changes in words: who came to say what, when, and what the other said.

use super::at::{At, Clock, Window, span};
use super::compare::{Change, End, Who};
use crate::observe::{Event, Severity};
use serde_json::{Map, Value};

/// Who was first, as metrics and logs name it.
pub(super) fn first(change: &Change) -> &'static str {
    match (change.end, change.first()) {
        (End::Followed | End::AtOnce, None) => "together",
        (_, Some((who, _))) => word(who),
        (_, None) => word(change.by),
    }
}

/// As metrics and logs name who says something.
pub(super) fn word(who: Who) -> &'static str {
    match who {
        Who::We => "we",
        Who::Haproxy => "haproxy",
    }
}

fn name(who: Who) -> &'static str {
    match who {
        Who::We => "we",
        Who::Haproxy => "HAProxy",
    }
}

fn words(change: &Change, who: Who) -> &str {
    match who {
        Who::We => &change.our_words,
        Who::Haproxy => &change.their_words,
    }
}

fn window(change: &Change, who: Who) -> Option<Window> {
    match who {
        Who::We => change.ours,
        Who::Haproxy => change.theirs,
    }
}

/// `we at 2026-11-30T03:12:00.512Z (dead: fresh connections are refused)`
fn said(change: &Change, who: Who, clock: Clock) -> String {
    let words = words(change, who);
    match window(change, who) {
        Some(window) => {
            // HAProxy's moments are as exact as its seconds and our reads are.
            let about = if window.from == window.to { "at" } else { "at about" };
            format!("{} {about} {} ({words})", name(who), clock.tell(window.middle()))
        }
        None => format!("{} not ({words})", name(who)),
    }
}

/// A change in one sentence, without whom it is about. `now`: for one that goes on.
pub(super) fn sentence(change: &Change, clock: Clock, now: At) -> String {
    let (what, said) = (change.said.word(), |who| said(change, who, clock));
    let (by, other) = (change.by, change.by.other());
    let (from, until) = change.differed.unwrap_or((now, None));
    let differed = span(until.unwrap_or(now).since(from));
    let start = if change.from_the_start { ", from the start" } else { "" };
    match (change.end, change.first()) {
        (End::Open, _) => {
            format!("{what}: {}, {}{start}; they differ for {differed}", said(by), said(other))
        }
        (End::Followed | End::AtOnce, Some((who, lead))) => {
            format!("{what}: {}, {}, {} later", said(who), said(who.other()), span(lead))
        }
        (End::Followed | End::AtOnce, None) => {
            let together = "together, as far as HAProxy's seconds tell";
            format!("{what}: {}, {}; {together}", said(by), said(other))
        }
        (End::GaveIn | End::Brief, _) => {
            let (who, other_words) = (name(other), words(change, other));
            format!("{what}: {}{start}, for {differed}; {who} never ({other_words})", said(by))
        }
        (End::Lost, _) => {
            let then = "then one of them said nothing any more";
            format!("{what}: {}, {}{start}, for {differed}; {then}", said(by), said(other))
        }
    }
}

fn outcome(end: End) -> &'static str {
    match end {
        End::Open => "open",
        End::Followed => "followed",
        End::GaveIn => "gave_in",
        End::Brief => "brief",
        End::Lost => "lost",
        End::AtOnce => "at_once",
    }
}

/// The fields of a change, for machines.
pub(super) fn fields(change: &Change, clock: Clock, now: At) -> Map<String, Value> {
    let mut fields = Map::new();
    let mut add = |key: &str, value: Value| drop(fields.insert(key.to_owned(), value));
    add("said", change.said.word().into());
    add("outcome", outcome(change.end).into());
    add("first", first(change).into());
    for (key, who) in [("we", Who::We), ("haproxy", Who::Haproxy)] {
        if let Some(window) = window(change, who) {
            add(&format!("{key}_at"), clock.tell(window.middle()).into());
        }
        add(&format!("{key}_because"), words(change, who).into());
    }
    if let Some((_, lead)) = change.first() {
        add("lead_ms", milliseconds(lead));
    }
    if let Some((from, until)) = change.differed {
        add("differed_ms", milliseconds(until.unwrap_or(now).since(from)));
    }
    if change.from_the_start {
        add("from_the_start", true.into());
    }
    fields
}

pub(super) fn milliseconds(duration: std::time::Duration) -> Value {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).into()
}

/// A change as an event; `whom`: the endpoint and its pool.
pub(super) fn event(change: &Change, whom: &str, clock: Clock, now: At) -> Event {
    let sentence = sentence(change, clock, now);
    let (kind, severity) = match change.end {
        End::Open => ("disagreement", Severity::Warning),
        _ => ("compared", Severity::Notice),
    };
    let event = Event::new(kind, format!("{whom}: {sentence}")).severity(severity);
    let fields = fields(change, clock, now);
    fields.into_iter().fold(event, |event, (key, value)| event.about(&key, value))
}

#[cfg(test)]
mod tests {
    use super::super::compare::Said;
    use super::*;

    fn change(end: End) -> Change {
        Change {
            said: Said::Out,
            by: Who::We,
            ours: Some(Window::exact(At(1_000))),
            theirs: None,
            our_words: "dead: refused".to_owned(),
            their_words: "UP, L4OK".to_owned(),
            differed: Some((At(1_000), None)),
            from_the_start: false,
            end,
        }
    }

    /// The times apart, which depend on when the test runs.
    fn told(change: &Change) -> String {
        let clock = Clock::at(At(5_000));
        let told = sentence(change, clock, At(5_000));
        let told = told.replace(&clock.tell(At(1_000)), "T1");
        told.replace(&clock.tell(At(2_800)), "T2")
    }

    #[test]
    fn a_change_is_told_in_one_sentence() {
        let open = "out: we at T1 (dead: refused), HAProxy not (UP, L4OK); they differ for 4.0 s";
        assert_eq!(told(&change(End::Open)), open);
        let theirs = Some(Window { from: At(2_600), to: At(3_000) });
        let down = "DOWN, L4CON".to_owned();
        let followed = Change { theirs, their_words: down, ..change(End::Followed) };
        assert_eq!(
            told(&followed),
            "out: we at T1 (dead: refused), HAProxy at about T2 (DOWN, L4CON), 1.8 s later"
        );
        let theirs = Some(Window { from: At(900), to: At(1_000) });
        let together = told(&Change { theirs, ..followed });
        assert!(together.ends_with("; together, as far as HAProxy's seconds tell"), "{together}");
        let alone = Change { differed: Some((At(1_000), Some(At(1_700)))), ..change(End::GaveIn) };
        let gave_in = "out: we at T1 (dead: refused), for 700 ms; HAProxy never (UP, L4OK)";
        assert_eq!(told(&alone), gave_in);
        let start = told(&Change { from_the_start: true, ..change(End::Open) });
        assert!(start.contains("(UP, L4OK), from the start; they differ"), "{start}");
    }

    #[test]
    fn machines_get_the_same() {
        let clock = Clock::at(At(5_000));
        let fields = fields(&change(End::Open), clock, At(5_000));
        assert_eq!(fields["outcome"], "open");
        assert_eq!(fields["first"], "we");
        assert_eq!(fields["differed_ms"], 4_000);
        assert_eq!(fields["we_at"], clock.tell(At(1_000)));
        assert!(!fields.contains_key("haproxy_at") && !fields.contains_key("lead_ms"));
    }
}
