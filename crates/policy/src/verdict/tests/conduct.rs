//! Endpoints that fail exchanges: out for a while, whatever probes say, and never dead by that.

use super::*;

const CUT: Evidence = Evidence::Exchange(ExchangeFault::Cut);

fn edge() -> Court {
    let mut court = Court::new(Settings::edge_tcp());
    for key in [A, B, C] {
        court.see(key, Evidence::Connected { took: Duration::ZERO });
    }
    court
}

/// A probe that sees nothing wrong.
fn connects(court: &mut Court, key: Key) {
    court.see(key, Evidence::Connected { took: Duration::ZERO });
}

#[test]
fn one_failure_is_cleared_by_a_good_probe_and_two_in_a_row_are_not() {
    let mut court = edge();
    court.see(A, CUT);
    assert_eq!(court.verdict(A), (Verdict::Suspect, "answer cut"));
    assert!(court.judge.next_probe(A).unwrap().at <= court.now, "a probe is hurried");
    connects(&mut court, A);
    assert_eq!(court.verdict(A).0, Verdict::Up);
    court.see(A, CUT);
    for passed in [0, 2000, 2900] {
        court.pass(passed);
        connects(&mut court, A);
        assert_eq!(court.verdict(A).0, Verdict::Suspect, "after {passed} ms");
    }
    court.pass(200);
    connects(&mut court, A);
    assert_eq!(court.verdict(A).0, Verdict::Up);
    assert_eq!(court.report(A).risen, Some(court.now), "it gets its share back slowly");
}

#[test]
fn it_is_out_for_longer_each_time_it_fails_when_it_is_tried() {
    let mut court = edge();
    court.see(A, CUT);
    for seconds in [5, 10, 20, 40, 80, 80] {
        court.see(A, CUT);
        court.pass(seconds * 1000 - 1);
        connects(&mut court, A);
        assert_eq!(court.verdict(A).0, Verdict::Suspect, "{seconds} s");
        court.pass(1);
        connects(&mut court, A);
        assert_eq!(court.verdict(A).0, Verdict::Up, "{seconds} s");
    }
    court.see(A, Evidence::Served);
    court.see(A, CUT);
    connects(&mut court, A);
    assert_eq!(court.verdict(A).0, Verdict::Up, "all is forgotten once it has served");
}

#[test]
fn an_exchange_that_is_served_between_keeps_it_in() {
    let mut court = edge();
    for _ in 0..100 {
        court.see(A, CUT);
        court.see(A, Evidence::Served);
        connects(&mut court, A);
        assert_eq!(court.verdict(A).0, Verdict::Up);
    }
}

#[test]
fn traffic_takes_out_one_of_three_at_most() {
    let mut court = edge();
    for key in [A, B, C] {
        (0..5).for_each(|_| court.see(key, CUT));
    }
    let out = [A, B, C].into_iter().filter(|key| court.verdict(*key).0 == Verdict::Suspect);
    assert_eq!(out.count(), 1);
}

#[test]
fn what_exchanges_met_does_not_keep_a_dead_endpoint_dead() {
    let mut court = edge();
    (0..3).for_each(|_| court.see(A, CUT));
    (0..2).for_each(|_| court.see(A, Evidence::Refused));
    assert_eq!(court.verdict(A), (Verdict::Dead, "refused"));
    (0..3).for_each(|_| connects(&mut court, A));
    assert_eq!(court.verdict(A).0, Verdict::Up);
}
