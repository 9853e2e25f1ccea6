//! What two say of one endpoint, step by step.

use super::*;

/// The pair, driven by moments in milliseconds.
struct Bed(Pair);

impl Bed {
    /// Both say `In`, read for the first time at 1,000.
    fn agreed() -> Self {
        let mut bed = Self(Pair::new(At(0)));
        bed.we(200, Said::In, "up");
        assert_eq!(bed.they(1_000, Said::In, 3_600, 0), []);
        bed
    }

    fn we(&mut self, at: i64, said: Said, why: &str) {
        self.0.we_say(At(at), said, why);
    }

    /// A read that takes 10 ms; `since`: `lastchg`, in seconds.
    fn they(&mut self, asked: i64, said: Said, since: u64, falls: u64) -> Vec<Change> {
        self.0.haproxy_says(&Reading {
            asked: At(asked),
            answered: At(asked + 10),
            said,
            words: if said == Said::In { "UP" } else { "DOWN" }.to_owned(),
            since: Some(Duration::from_secs(since)),
            falls,
        })
    }
}

fn one(mut told: Vec<Change>) -> Change {
    assert_eq!(told.len(), 1, "{told:?}");
    told.remove(0)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[test]
fn we_notice_first_and_haproxy_follows() {
    let mut bed = Bed::agreed();
    bed.we(2_500, Said::Out, "dead: refused");
    let begun = one(bed.they(3_000, Said::In, 3_602, 0));
    assert_eq!((begun.by, begun.said, begun.end), (Who::We, Said::Out, End::Open));
    assert_eq!(begun.differed, Some((At(2_500), None)));
    assert_eq!((&*begun.our_words, &*begun.their_words), ("dead: refused", "UP"));
    assert_eq!(bed.they(3_500, Said::In, 3_603, 0), [], "told once");
    let over = one(bed.they(5_000, Said::Out, 0, 1));
    assert_eq!(over.end, End::Followed);
    // `lastchg` 0: within the last second.
    assert_eq!(over.theirs, Some(Window { from: At(4_000), to: At(5_010) }));
    assert_eq!(over.differed, Some((At(2_500), Some(At(4_505)))));
    assert_eq!(over.first(), Some((Who::We, ms(2_005))));
    let tally = bed.0.tally(At(10_000), false);
    assert_eq!((tally.disagreements, tally.differed, tally.longest), (1, ms(2_005), ms(2_005)));
    assert_eq!((tally.we_first.times, tally.we_first.mean()), (1, ms(2_005)));
    assert_eq!((tally.ours.in_for, tally.ours.out_for), (ms(2_300), ms(7_500)));
    assert_eq!((tally.theirs.out_for, tally.theirs.outs), (ms(10_000 - 4_505), 1));
    assert_eq!(bed.0.last().count(), 1);
}

#[test]
fn haproxy_notices_first_and_we_follow() {
    let mut bed = Bed::agreed();
    let begun = one(bed.they(3_000, Said::Out, 1, 1));
    assert_eq!((begun.by, begun.ours), (Who::Haproxy, None));
    // Neither before the last read, nor later than a second after `lastchg`.
    assert_eq!(begun.theirs, Some(Window { from: At(1_000), to: At(3_010) }));
    bed.we(3_700, Said::Out, "dead: no ServerHello");
    let over = one(bed.they(5_000, Said::Out, 3, 1));
    assert_eq!((over.end, over.ours), (End::Followed, Some(Window::exact(At(3_700)))));
    assert_eq!(over.first(), Some((Who::Haproxy, ms(1_695))));
    assert_eq!(bed.0.tally(At(6_000), true).haproxy_first.times, 1);
}

#[test]
fn what_one_alone_takes_for_a_death_is_counted_as_that() {
    let mut bed = Bed::agreed();
    bed.we(1_500, Said::Out, "draining: readiness answers 500");
    assert_eq!(one(bed.they(3_000, Said::In, 9, 0)).by, Who::We);
    bed.we(63_000, Said::In, "up");
    let over = one(bed.they(65_000, Said::In, 70, 0));
    assert_eq!((over.end, over.theirs), (End::GaveIn, None));
    assert_eq!(over.differed, Some((At(1_500), Some(At(63_000)))));
    let tally = bed.0.tally(At(65_000), false);
    assert_eq!((tally.only_we, tally.only_haproxy, tally.we_first.times), (1, 0, 0));
    assert_eq!(tally.longest, ms(61_500));
}

#[test]
fn deaths_and_returns_between_two_reads_are_no_disagreement() {
    let mut bed = Bed::agreed();
    bed.we(1_200, Said::Out, "dead: refused");
    let both = one(bed.they(3_000, Said::Out, 0, 1));
    assert_eq!((both.end, both.differed), (End::AtOnce, None));
    // HAProxy: from 2,000 on.
    assert_eq!(both.first(), Some((Who::We, ms(1_305))));
    bed.we(4_500, Said::In, "up");
    let back = one(bed.they(5_000, Said::In, 0, 1));
    assert_eq!((back.said, back.end, back.first()), (Said::In, End::AtOnce, None));
    let tally = bed.0.tally(At(5_000), false);
    assert_eq!((tally.disagreements, tally.we_first.times, tally.together), (0, 1, 0));
}

#[test]
fn moments_are_seen_on_either_side() {
    let mut bed = Bed::agreed();
    bed.we(1_200, Said::Out, "draining: slow");
    bed.we(1_900, Said::In, "up");
    let ours = one(bed.they(3_000, Said::In, 3_602, 0));
    assert_eq!((ours.by, ours.end), (Who::We, End::Brief));
    assert_eq!(ours.differed, Some((At(1_200), Some(At(1_900)))));
    assert_eq!(ours.our_words, "draining: slow");
    // Its count of falls grew, and it is up since less than a second.
    let theirs = one(bed.they(5_000, Said::In, 0, 1));
    assert_eq!((theirs.by, theirs.end), (Who::Haproxy, End::Brief));
    assert_eq!(theirs.their_words, "UP; it has fallen 1 times");
    // Both at once.
    bed.we(5_500, Said::Out, "dead: reset");
    bed.we(6_500, Said::In, "up");
    let both = one(bed.they(7_000, Said::In, 0, 2));
    assert_eq!((both.end, both.first()), (End::AtOnce, None));
    let tally = bed.0.tally(At(7_000), false);
    assert_eq!((tally.only_we, tally.only_haproxy, tally.together), (1, 1, 1));
    assert_eq!((tally.ours.outs, tally.theirs.outs, tally.disagreements), (2, 2, 2));
}

#[test]
fn those_who_differ_from_the_start_noticed_nothing() {
    let mut bed = Bed(Pair::new(At(0)));
    bed.we(300, Said::Out, "dead: refused");
    let begun = one(bed.they(1_000, Said::In, 3_600, 5));
    assert!(begun.from_the_start, "{begun:?}");
    assert_eq!((begun.by, begun.differed), (Who::We, Some((At(300), None))));
    let over = one(bed.they(3_000, Said::Out, 0, 6));
    assert_eq!(over.end, End::Followed);
    let tally = bed.0.tally(At(3_000), false);
    assert_eq!((tally.disagreements, tally.we_first.times, tally.only_we), (1, 0, 0));
}

#[test]
fn a_word_that_came_after_the_question_is_for_the_next_read() {
    let mut bed = Bed::agreed();
    bed.we(3_005, Said::Out, "dead: refused");
    assert_eq!(bed.they(3_000, Said::In, 3_602, 0), []);
    assert_eq!(one(bed.they(3_500, Said::In, 3_602, 0)).by, Who::We);
}

#[test]
fn what_is_not_known_is_compared_with_nothing() {
    let mut bed = Bed::agreed();
    bed.we(1_500, Said::Out, "dead: refused");
    assert_eq!(one(bed.they(3_000, Said::In, 9, 0)).end, End::Open);
    let lost = one(bed.0.haproxy_is_silent(At(12_000)));
    assert_eq!((lost.end, lost.differed), (End::Lost, Some((At(1_500), Some(At(12_000))))));
    assert!(!bed.0.is_compared() && bed.0.open().is_none());
    assert_eq!(bed.0.haproxy_is_silent(At(13_000)), []);
    // HAProxy's operator takes it out: no verdict.
    assert_eq!(bed.they(14_000, Said::Nothing, 0, 0), []);
    let again = one(bed.they(16_000, Said::In, 1, 0));
    assert!(again.from_the_start);
}

#[test]
fn minds_that_change_on_both_sides_make_another_disagreement() {
    let mut bed = Bed::agreed();
    bed.we(1_500, Said::Out, "draining");
    assert_eq!(one(bed.they(3_000, Said::In, 9, 0)).by, Who::We);
    bed.we(3_500, Said::In, "up");
    let told = bed.they(5_000, Said::Out, 0, 1);
    let ends: Vec<_> = told.iter().map(|change| (change.by, change.end)).collect();
    assert_eq!(ends, [(Who::We, End::GaveIn), (Who::Haproxy, End::Open)]);
}

#[test]
fn what_is_kept_is_bounded() {
    let mut bed = Bed::agreed();
    for n in 1..=1_000 {
        let at = n * 10_000;
        bed.we(at, Said::Out, &"dead ".repeat(1_000));
        assert_eq!(bed.they(at + 1_000, Said::In, 9, 0).len(), 1);
        bed.we(at + 2_000, Said::In, "up");
        assert_eq!(bed.they(at + 3_000, Said::In, 9, 0).len(), 1);
    }
    assert_eq!(bed.0.last().count(), KEPT);
    assert!(bed.0.last().all(|change| change.our_words.len() <= WORDS_MAX));
    assert_eq!(bed.0.tally(At(20_000_000), false).only_we, 1_000);
    bed.0.begin_day();
    assert_eq!(bed.0.tally(At(20_000_000), true), Tally::default());
    assert_eq!(bed.0.tally(At(20_000_000), false).only_we, 1_000);
}

#[test]
fn a_verdict_says_whether_new_sessions_come() {
    use eclusa_policy::time::Time;
    use eclusa_policy::verdict::{Onward, Reason};
    let said = |verdict, tier| {
        let (reason, since, onward) = (Reason::Answers, Time::START, Onward::GoOn);
        let (blind, correlated, risen) = (false, false, None);
        Said::of(&Report { verdict, reason, since, blind, correlated, tier, onward, risen })
    };
    assert_eq!(said(Verdict::Up, Tier::Up), Some(Said::In));
    assert_eq!(said(Verdict::Dead, Tier::Closed), Some(Said::Out));
    assert_eq!(said(Verdict::Draining, Tier::Draining), Some(Said::Out));
    assert_eq!(said(Verdict::Draining, Tier::Up), Some(Said::In), "held by a brake");
    assert_eq!(said(Verdict::Suspect, Tier::Suspect), None);
    assert_eq!(said(Verdict::Unknown, Tier::Unprobed), Some(Said::Nothing));
    assert_eq!(said(Verdict::Unresolved, Tier::Up), Some(Said::In));
}
