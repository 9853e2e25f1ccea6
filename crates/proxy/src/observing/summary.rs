//! The summary: of each endpoint how long it was up by each, what they disagreed about, who noticed deaths
//! first, and what we would have done.

use super::at::{At, Clock, span};
use super::compare::{Change, Pair, Said, Who, Word};
use super::tally::{Lead, Tally, Times};
use super::told::{fields, milliseconds, sentence};
use crate::admin::client::{Cell, Page, Style};
use crate::observe::Event;
use eclusa_config::diagnostic::counted;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// An endpoint, with all that is known of it.
pub(super) struct Of<'a> {
    pub(super) pool: &'a str,
    pub(super) name: &'a str,
    pub(super) address: SocketAddr,
    /// What HAProxy calls it.
    pub(super) names: &'a [String],
    /// HAProxy is read.
    pub(super) with_haproxy: bool,
    pub(super) pair: &'a Pair,
    /// Of the time that the summary is about.
    pub(super) tally: Tally,
}

/// Of which time it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: At,
    pub(super) to: At,
    pub(super) clock: Clock,
}

impl Span {
    /// Its first line.
    pub(super) fn head(self, endpoints: usize, differing: usize) -> String {
        let (from, to) = (self.clock.tell(self.from), self.clock.tell(self.to));
        let (long, endpoints) = (span(self.to.since(self.from)), counted(endpoints, "endpoint"));
        format!(
            "summary of {long}, from {from} to {to}: {endpoints}; on {differing} HAProxy and we differ now"
        )
    }
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        _ => format!("{count} times"),
    }
}

/// `now in: up: all checks are good; in for 23 h 59 min, out once for 10.2 s`
fn side(word: &Word, counted: &Times) -> String {
    let now = match word.said {
        Said::Nothing if word.why.is_empty() => "now unknown".to_owned(),
        said => format!("now {}: {}", said.word(), word.why),
    };
    let out = match (counted.outs, counted.out_for) {
        (0, Duration::ZERO) => "never out".to_owned(),
        // It was out when it was first heard of.
        (0, long) => format!("out for {}", span(long)),
        (outs, long) => format!("out {} for {}", times(outs), span(long)),
    };
    format!("{now}; in for {}, {out}", span(counted.in_for))
}

fn deaths(tally: &Tally) -> String {
    let alone = tally.together + tally.only_we + tally.only_haproxy;
    if alone + tally.we_first.times + tally.haproxy_first.times == 0 {
        return "none".to_owned();
    }
    let lead = |lead: &Lead| match lead.times {
        0 => "never".to_owned(),
        1 => format!("once, by {}", span(lead.most)),
        many => {
            let (mean, most) = (span(lead.mean()), span(lead.most));
            format!("{many} times, by {mean} on average, {most} at most")
        }
    };
    format!(
        "first noticed by us {}; by HAProxy {}; together {}; by us alone {}; by HAProxy alone {}",
        lead(&tally.we_first),
        lead(&tally.haproxy_first),
        times(tally.together),
        times(tally.only_we),
        times(tally.only_haproxy)
    )
}

fn differed(tally: &Tally, open: Option<&Change>, now: At) -> String {
    if tally.disagreements == 0 && open.is_none() {
        return "never".to_owned();
    }
    let now = match open.and_then(|open| open.differed) {
        Some((since, _)) => format!("now for {}", span(now.since(since))),
        None => "not now".to_owned(),
    };
    let (count, all, longest) = (times(tally.disagreements), tally.differed, tally.longest);
    format!("{count}; those that are over {} in all, {} at most; {now}", span(all), span(longest))
}

fn would(tally: &Tally) -> String {
    if tally.drained + tally.refused + tally.reset == 0 {
        return "have done nothing".to_owned();
    }
    format!(
        "have drained it {}, refused it new sessions {}, reset its sessions {} ({} by HAProxy's count)",
        times(tally.drained),
        times(tally.refused),
        times(tally.reset),
        tally.reset_sessions
    )
}

impl Of<'_> {
    /// Its part of the page.
    pub(super) fn write(&self, page: &mut Page, span: Span) {
        let Self { pool, name, address, names, pair, tally, .. } = self;
        let known = match (self.with_haproxy, names.is_empty()) {
            (false, _) => String::new(),
            (true, true) => "; HAProxy has no such row".to_owned(),
            (true, false) => format!("; HAProxy: {}", names.join(", ")),
        };
        page.gap();
        page.line(&format!("{name} ({address}) of pool {pool}{known}"), Style::Bold);
        let row = |key: &str, text: String| -> Vec<Cell> { vec![key.into(), text.into()] };
        let mut rows = vec![row("we", side(pair.word(Who::We), &tally.ours))];
        if self.with_haproxy {
            rows.push(row("HAProxy", side(pair.word(Who::Haproxy), &tally.theirs)));
            rows.push(row("deaths", deaths(tally)));
            rows.push(row("differed", differed(tally, pair.open(), span.to)));
        }
        rows.push(row("we would", would(tally)));
        for change in pair.last().chain(pair.open()) {
            rows.push(row("", sentence(change, span.clock, span.to)));
        }
        page.table(&rows);
    }

    /// The same for machines and for the log.
    pub(super) fn event(&self, span: Span, day: bool) -> Event {
        let Self { pool, name, address, names, pair, tally, .. } = self;
        let whom = format!("{name} of pool {pool}");
        let ours = side(pair.word(Who::We), &tally.ours);
        let message = match self.with_haproxy {
            false => format!("summary: {whom}: we: {ours}"),
            true => {
                let theirs = side(pair.word(Who::Haproxy), &tally.theirs);
                let differed = differed(tally, pair.open(), span.to);
                format!("summary: {whom}: we: {ours}; HAProxy: {theirs}; differed {differed}")
            }
        };
        let mut event = Event::new("summary", message)
            .about("pool", *pool)
            .about("endpoint", *name)
            .about("address", address.to_string())
            .about("of", if day { "day" } else { "all" })
            .about("from", span.clock.tell(span.from))
            .about("to", span.clock.tell(span.to))
            .about("we", side_of(pair.word(Who::We), &tally.ours))
            .about(
                "would_have",
                json!({
                    "drain": tally.drained, "refuse": tally.refused,
                    "reset": tally.reset, "reset_sessions": tally.reset_sessions,
                }),
            );
        let changes = pair.last().chain(pair.open());
        let changes = changes.map(|change| Value::Object(fields(change, span.clock, span.to)));
        let changes: Vec<Value> = changes.collect();
        if self.with_haproxy {
            event = event
                .about("haproxy_names", names.to_vec())
                .about("haproxy", side_of(pair.word(Who::Haproxy), &tally.theirs))
                .about("deaths", deaths_of(tally))
                .about("disagreements", differed_of(tally, pair.open(), span.to))
                .about("changes", changes);
        }
        event
    }
}

fn side_of(word: &Word, counted: &Times) -> Value {
    json!({
        "says": word.said.word(), "because": word.why,
        "in_ms": milliseconds(counted.in_for), "out_ms": milliseconds(counted.out_for),
        "outs": counted.outs,
    })
}

fn deaths_of(tally: &Tally) -> Value {
    let lead = |lead: &Lead| {
        json!({
            "times": lead.times, "mean_ms": milliseconds(lead.mean()), "most_ms": milliseconds(lead.most),
        })
    };
    json!({
        "we_first": lead(&tally.we_first), "haproxy_first": lead(&tally.haproxy_first),
        "together": tally.together, "we_alone": tally.only_we, "haproxy_alone": tally.only_haproxy,
    })
}

fn differed_of(tally: &Tally, open: Option<&Change>, now: At) -> Value {
    let since =
        open.and_then(|open| open.differed).map(|(since, _)| milliseconds(now.since(since)));
    json!({
        "count": tally.disagreements, "over_ms": milliseconds(tally.differed),
        "longest_ms": milliseconds(tally.longest), "now_ms": since,
    })
}

#[cfg(test)]
mod tests {
    use super::super::compare::Reading;
    use super::*;

    /// A death that we notice 1.8 s before HAProxy does.
    fn pair() -> Pair {
        let mut pair = Pair::new(At(0));
        let read = |pair: &mut Pair, at, said, words: &str, since, falls| {
            let reading = Reading {
                asked: At(at),
                answered: At(at),
                said,
                words: words.to_owned(),
                since: Some(Duration::from_secs(since)),
                falls,
            };
            drop(pair.haproxy_says(&reading));
        };
        pair.we_say(At(100), Said::In, "up: all checks are good");
        read(&mut pair, 1_000, Said::In, "UP, L4OK", 3_600, 0);
        pair.we_say(At(5_000), Said::Out, "dead: fresh connections are refused");
        read(&mut pair, 6_600, Said::In, "UP, L4OK", 3_606, 0);
        read(&mut pair, 7_000, Said::Out, "DOWN, L4CON", 0, 1);
        pair
    }

    fn of<'a>(pair: &'a mut Pair, names: &'a [String]) -> Of<'a> {
        let tally = pair.tally(At(10_000), false);
        let address = "10.0.0.12:6443".parse().unwrap();
        Of { pool: "apiserver", name: "m2", address, names, with_haproxy: true, pair, tally }
    }

    #[test]
    fn the_page_names_both_moments() {
        let (mut pair, names) = (pair(), vec!["masters/m2".to_owned()]);
        let clock = Clock::at(At(10_000));
        let span = Span { from: At(0), to: At(10_000), clock };
        let mut page = Page::new(false);
        of(&mut pair, &names).write(&mut page, span);
        let words: Vec<_> = page.into_text().split_whitespace().map(str::to_owned).collect();
        let page = words.join(" ");
        let wanted = [
            "m2 (10.0.0.12:6443) of pool apiserver; HAProxy: masters/m2".to_owned(),
            "we now out: dead: fresh connections are refused; in for 4.9 s, out once for 5.0 s"
                .to_owned(),
            "HAProxy now out: DOWN, L4CON; in for 6.8 s, out once for 3.2 s".to_owned(),
            "first noticed by us once, by 1.8 s; by HAProxy never; together 0 times;".to_owned(),
            "differed once; those that are over 1.8 s in all, 1.8 s at most; not now".to_owned(),
            format!(
                "out: we at {} (dead: fresh connections are refused), HAProxy at about {} (DOWN, L4CON), \
                 1.8 s later",
                clock.tell(At(5_000)),
                clock.tell(At(6_800))
            ),
        ];
        for wanted in wanted {
            assert!(page.contains(&wanted), "{wanted}\nis not in\n{page}");
        }
    }

    #[test]
    fn machines_get_the_figures() {
        let (mut pair, names) = (pair(), vec!["masters/m2".to_owned()]);
        pair.order(super::super::tally::Order::Refuse, 7);
        let span = Span { from: At(0), to: At(10_000), clock: Clock::at(At(10_000)) };
        let event = serde_json::to_value(of(&mut pair, &names).event(span, false)).unwrap();
        assert_eq!(event["we"]["out_ms"], 5_000);
        assert_eq!(event["haproxy"]["in_ms"], 6_800);
        assert_eq!(event["deaths"]["we_first"]["most_ms"], 1_800);
        assert_eq!(event["disagreements"]["count"], 1);
        assert_eq!(event["disagreements"]["now_ms"], Value::Null);
        assert_eq!(event["would_have"]["refuse"], 1);
        assert_eq!(event["changes"][0]["outcome"], "followed");
        assert_eq!(event["haproxy_names"][0], "masters/m2");
    }

    #[test]
    fn without_haproxy_it_tells_of_us_alone() {
        let mut pair = Pair::new(At(0));
        pair.we_say(At(0), Said::In, "up: all checks are good");
        let span = Span { from: At(0), to: At(10_000), clock: Clock::at(At(10_000)) };
        let alone = Of { with_haproxy: false, ..of(&mut pair, &[]) };
        let mut page = Page::new(false);
        alone.write(&mut page, span);
        let page = page.into_text();
        assert!(page.contains("in for 10.0 s, never out") && !page.contains("HAProxy:"), "{page}");
        let event = serde_json::to_value(alone.event(span, true)).unwrap();
        assert_eq!((&event["of"], event.get("deaths")), (&Value::from("day"), None));
    }
}
