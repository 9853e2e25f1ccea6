//! The brakes: correlation, witness, hold, void, panic.

use super::*;
use Verdict::{Dead, Draining, Suspect, Up};

#[test]
fn etcd_that_stands_still_for_all_takes_nobody_out() {
    let mut court = Court::masters();
    for key in [A, B, C] {
        court.answer(key, Check::Ready, 500);
        court.answer(key, Check::Live, 500);
        court.pass(300);
    }
    for key in [A, B, C] {
        assert_eq!(court.report(key).tier, Tier::Up, "{:?}", court.report(key));
        assert!(court.report(key).correlated);
        assert_ne!(court.verdict(key).0, Dead);
    }
    assert!(court.judge.is_correlated());
    assert_eq!(court.judge.availability(), Availability::Panic);
    court.pass(60_000);
    assert_eq!(court.resets(), []);
    court.round(&[A, B, C]);
    assert_eq!([A, B, C].map(|key| court.verdict(key).0), [Up, Up, Up]);
    assert!(!court.judge.is_correlated());
}

#[test]
fn sick_one_after_the_other_is_still_half_the_pool() {
    let mut court = Court::masters();
    court.answer(A, Check::Live, 500);
    assert_eq!(court.report(A).tier, Tier::Draining);
    court.pass(8_000);
    court.answer(B, Check::Live, 500);
    assert_eq!([A, B].map(|key| court.report(key).tier), [Tier::Up, Tier::Up]);
    court.pass(60_000);
    assert_eq!(court.resets(), []);
}

#[test]
fn our_own_network_down_kills_nobody() {
    let mut court = Court::masters();
    for _ in 0..3 {
        court.all_silent(&[A, B, C]);
    }
    for key in [A, B, C] {
        let report = court.report(key);
        assert_eq!((report.verdict, report.tier), (Suspect, Tier::LastResort));
        assert!(report.correlated);
    }
    // It comes back for one after the other: the others' silence is not believed at once.
    court.good(A);
    assert_eq!(court.verdict(A).0, Up);
    court.pass(100);
    court.good(B);
    court.all_silent(&[C]);
    assert_eq!(court.verdict(C).0, Suspect);
    court.good(C);
    assert_eq!(court.verdict(C).0, Up);
    assert_eq!(court.resets(), []);
}

#[test]
fn one_that_stays_silent_after_the_others_came_back_is_dead() {
    let mut court = Court::masters();
    court.freeze_all(&[A, B, C]);
    court.good(A);
    court.good(B);
    court.silent(C);
    court.silent(C);
    assert_eq!(court.verdict(C).0, Suspect);
    court.silent(C);
    assert_eq!(court.verdict(C).0, Dead);
    assert_eq!(court.resets(), [C]);
}

#[test]
fn silence_without_a_witness_is_not_believed() {
    let mut court = Court::masters();
    court.freeze_all(&[A]);
    assert_eq!(court.report(A).tier, Tier::LastResort, "B and C were not heard meanwhile");
    assert!(court.report(A).correlated);
    assert_eq!(court.resets(), []);
    court.judge.heard(B, court.now, court.now);
    court.freeze(A);
    assert_eq!(court.verdict(A).0, Dead);
    assert_eq!(court.resets(), [A]);
}

#[test]
fn all_silent_for_longer_than_the_hold_are_dead_but_never_reset() {
    let mut court = Court::masters();
    court.freeze_all(&[A, B, C]);
    let deadline = court.judge.next_deadline().unwrap();
    court.pass(10_000);
    assert!(court.now >= deadline);
    assert_eq!(court.verdict(A), (Dead, "silent"));
    assert_eq!(court.judge.availability(), Availability::Nobody);
    court.pass(60_000);
    assert_eq!(court.resets(), []);
}

#[test]
fn the_last_one_left_is_kept_in_use() {
    let mut court = Court::masters();
    court.see(A, Evidence::Refused);
    court.see(A, Evidence::Refused);
    court.pass(60_000);
    court.answer(B, Check::Ready, 500);
    court.pass(60_000);
    court.answer(C, Check::Ready, 500);
    assert_eq!(court.report(C).tier, Tier::Up);
    assert!(court.report(C).correlated);
    assert_eq!(court.verdict(A).0, Dead);
    court.round(&[B, B, B]);
    assert_eq!(court.verdict(B).0, Up);
    assert_eq!(court.verdict(C), (Suspect, "recheck"));
    court.answer(C, Check::Ready, 500);
    assert_eq!(court.verdict(C), (Draining, "not ready"));
}

#[test]
fn void_results_hold_the_state() {
    let mut court = Court::masters();
    let late = Duration::from_millis(101);
    for _ in 0..5 {
        let since = court.now;
        court.pass(700);
        court.see(A, Evidence::Silent { since, timer_late: late });
        court.see(A, Evidence::Late { check: Check::Live, since, timer_late: late });
        court.see(A, Evidence::Void(VoidCause::Exhausted));
        court.see(A, Evidence::Void(VoidCause::NoRoute));
    }
    assert_eq!(court.verdict(A).0, Up);
    let voids = court.judge.history(A).unwrap().iter().rev().take(20);
    assert!(voids.into_iter().all(|entry| matches!(entry.outcome, Outcome::Void(_))));
}

#[test]
fn a_standstill_of_ours_starts_the_row_of_silence_anew() {
    let mut court = Court::masters();
    court.silent(A);
    court.see(A, Evidence::Void(VoidCause::Stalled));
    court.silent(A);
    court.silent(A);
    assert_eq!(court.verdict(A).0, Suspect);
    court.silent(A);
    assert_eq!(court.verdict(A).0, Dead);
}

#[test]
fn all_slow_keeps_all_in_use() {
    let mut court = Court::masters();
    for key in [A, B, C] {
        let since = court.now;
        court.hello(key);
        court.pass(700);
        court.see(key, Evidence::Late { check: Check::Ready, since, timer_late: Duration::ZERO });
    }
    assert_eq!([A, B, C].map(|key| court.report(key).tier), [Tier::Up; 3]);
    assert_eq!(court.judge.availability(), Availability::Panic);
}

#[test]
fn a_master_ending_gracefully_goes_from_draining_to_refused_untouched() {
    let mut court = Court::masters();
    court.answer(A, Check::Ready, 500);
    court.pass(8_000);
    court.see(A, Evidence::Refused);
    court.see(A, Evidence::Refused);
    assert_eq!(court.verdict(A), (Dead, "refused"));
    court.pass(20_000);
    court.good(A);
    court.answer(A, Check::Ready, 500);
    assert_eq!(court.verdict(A), (Draining, "not ready"), "starting again");
    court.round(&[A, A, A]);
    assert_eq!(court.verdict(A).0, Up);
    assert_eq!(court.resets(), []);
}

#[test]
fn a_machine_that_refuses_first_and_is_silent_then_loses_its_sessions() {
    let mut court = Court::masters();
    court.see(A, Evidence::Refused);
    court.see(A, Evidence::Refused);
    assert_eq!(court.resets(), []);
    court.pass(5_000);
    court.freeze(A);
    assert_eq!(court.verdict(A), (Dead, "silent"));
    assert_eq!(court.resets(), [A]);
}

#[test]
fn a_pool_of_one_is_never_emptied_nor_reset() {
    let mut judge = Judge::new(Settings::apiserver(), 1);
    judge.add(A, Time::START);
    let mut court = Court { judge, now: Time::START };
    court.good(A);
    court.answer(A, Check::Live, 500);
    assert_eq!(court.report(A).tier, Tier::Up);
    court.freeze_all(&[A]);
    court.pass(30_000);
    assert_eq!(court.resets(), []);
}

#[test]
fn panic_is_told_once() {
    let mut court = Court::masters();
    court.answer(A, Check::Ready, 500);
    court.answer(B, Check::Ready, 500);
    court.answer(C, Check::Ready, 500);
    let events = court.judge.take_events();
    let panics = events.iter().filter(|event| **event == Event::Panic(true)).count();
    let correlated = events.iter().filter(|event| **event == Event::Correlated(true)).count();
    assert_eq!((panics, correlated), (1, 1));
}
