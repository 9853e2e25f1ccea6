//! One test per row of the table of evidence and consequence.

use super::*;
use Verdict::{Dead, Draining, Suspect, Unknown, Unresolved, Up};

#[test]
fn the_first_verdict_takes_one_round_and_later_ones_three() {
    let mut court = Court::new(Settings::apiserver());
    assert_eq!(court.verdict(A), (Unknown, "not probed"));
    assert_eq!(court.report(A).tier, Tier::Unprobed);
    court.hello(A);
    court.answer(A, Check::Ready, 200);
    assert_eq!(court.verdict(A).0, Unknown, "livez is still to come");
    court.answer(A, Check::Live, 200);
    assert_eq!(court.verdict(A), (Up, "answers"));
    court.round(&[B, C]);
    court.answer(A, Check::Ready, 503);
    assert_eq!(court.verdict(A), (Draining, "not ready"));
    court.good(A);
    court.good(A);
    assert_eq!(court.verdict(A).0, Draining);
    court.good(A);
    assert_eq!(court.verdict(A), (Up, "answers"));
    assert_eq!(court.report(A).risen, Some(court.now));
}

#[test]
fn up_needs_a_fresh_connection() {
    let mut court = Court::masters();
    court.answer(A, Check::Ready, 500);
    for _ in 0..5 {
        court.answer(A, Check::Ready, 200);
        court.answer(A, Check::Live, 200);
    }
    assert_eq!(court.verdict(A).0, Draining, "only the kept connection was asked");
    court.good(A);
    assert_eq!(court.verdict(A).0, Up);
}

#[test]
fn not_ready_drains_at_the_first_5xx_and_touches_no_session() {
    let mut court = Court::masters();
    court.answer(A, Check::Ready, 500);
    assert_eq!(court.verdict(A), (Draining, "not ready"));
    assert_eq!(court.report(A).onward, Onward::GoOn);
    assert_eq!(court.report(A).tier, Tier::Draining);
    court.pass(60_000);
    assert_eq!(court.resets(), []);
}

#[test]
fn sick_drains_at_once_and_resets_after_ten_seconds() {
    let mut court = Court::masters();
    court.answer(A, Check::Live, 500);
    assert_eq!(court.verdict(A), (Draining, "sick"));
    let due = court.now + Duration::from_secs(10);
    assert_eq!(court.report(A).onward, Onward::ResetFrom(due));
    assert_eq!(court.judge.next_deadline(), Some(due));
    court.pass(9_900);
    assert_eq!(court.resets(), []);
    court.pass(100);
    assert_eq!(court.resets(), [A]);
    court.pass(60_000);
    assert_eq!(court.resets(), [], "once");
}

#[test]
fn sick_that_recovers_within_ten_seconds_resets_nobody() {
    let mut court = Court::masters();
    court.answer(A, Check::Live, 500);
    court.pass(5_000);
    court.answer(A, Check::Ready, 500);
    court.answer(A, Check::Live, 200);
    assert_eq!(court.verdict(A), (Draining, "not ready"));
    court.pass(60_000);
    assert_eq!(court.resets(), []);
}

#[test]
fn slow_is_a_late_answer_beside_a_prompt_hello() {
    let mut court = Court::masters();
    let since = court.now;
    court.pass(700);
    court.see(A, Evidence::Overdue { since: court.now, timer_late: Duration::ZERO });
    assert_eq!(court.verdict(A).0, Up, "overdue alone is no verdict");
    court.hello(A);
    court.pass(2300);
    let late = Evidence::Late { check: Check::Ready, since, timer_late: Duration::ZERO };
    court.see(A, late);
    assert_eq!(court.verdict(A), (Draining, "slow"));
    assert_eq!(court.report(A).tier, Tier::Draining);
    assert_eq!(court.report(A).onward, Onward::GoOn);
}

#[test]
fn a_late_answer_that_comes_is_slow_too() {
    let mut court = Court::masters();
    court.pass(3500);
    let took = Duration::from_millis(3400);
    court.see(A, Evidence::Answer { check: Check::Ready, status: 200, took, status_object: false });
    assert_eq!(court.verdict(A).0, Up, "no fresh hello since it was asked");
    court.pass(100);
    court.hello(A);
    court.pass(3300);
    court.see(A, Evidence::Answer { check: Check::Ready, status: 200, took, status_object: false });
    assert_eq!(court.verdict(A), (Draining, "slow"));
}

#[test]
fn refused_twice_at_once_is_dead_and_touches_no_session() {
    let mut court = Court::masters();
    court.judge.started(A, Way::Fresh, court.now);
    court.see(A, Evidence::Refused);
    assert_eq!(court.verdict(A), (Suspect, "refused"));
    assert_eq!(court.judge.next_probe(A), Some(Next { at: court.now, way: Way::Fresh }));
    court.see(A, Evidence::Refused);
    assert_eq!(court.verdict(A), (Dead, "refused"));
    assert_eq!(court.report(A).tier, Tier::Closed);
    assert_eq!(court.report(A).onward, Onward::GoOn);
    court.pass(60_000);
    assert_eq!(court.resets(), []);
}

#[test]
fn reset_on_fresh_connections_is_like_refused() {
    let mut court = Court::masters();
    court.see(A, Evidence::Reset);
    court.see(A, Evidence::Reset);
    assert_eq!(court.verdict(A), (Dead, "reset"));
    assert_eq!(court.report(A).onward, Onward::GoOn);
}

#[test]
fn silence_twice_is_dead_and_resets() {
    let mut court = Court::masters();
    let since = court.now;
    court.pass(234);
    court.see(A, Evidence::Overdue { since, timer_late: Duration::ZERO });
    court.silent(A);
    assert_eq!(court.verdict(A), (Suspect, "silent"));
    assert_eq!(court.report(A).tier, Tier::Suspect);
    court.silent(A);
    court.pass(450);
    assert_eq!(court.verdict(A), (Dead, "silent"));
    assert_eq!(court.resets(), [A]);
}

#[test]
fn silence_that_began_with_a_dial_takes_three() {
    let mut court = Court::masters();
    court.silent(A);
    court.silent(A);
    assert_eq!(court.verdict(A).0, Suspect, "a hello that takes 1.5 s would not be here yet");
    court.silent(A);
    assert_eq!(court.verdict(A), (Dead, "silent"));
}

#[test]
fn silence_of_a_busy_endpoint_takes_two_dials() {
    let mut court = Court::masters();
    for _ in 0..60 {
        court.pass(250);
        court.judge.heard_lasting(A, court.now, court.now);
    }
    court.pass(800);
    court.see(A, Evidence::Unanswered { since: court.now });
    court.silent(A);
    assert_eq!(court.verdict(A).0, Suspect);
    court.silent(A);
    assert_eq!(court.verdict(A), (Dead, "silent"));
}

#[test]
fn silence_with_a_byte_in_between_is_slow_and_never_dead() {
    let mut court = Court::masters();
    for _ in 0..10 {
        court.silent(A);
        court.judge.heard(A, court.now, court.now);
    }
    assert_ne!(court.verdict(A).0, Dead);
    for _ in 0..10 {
        let since = court.now;
        court.pass(700);
        // The hello itself comes after 1.5 s.
        court.judge.heard(A, court.now, court.now);
        court.see(A, Evidence::Silent { since, timer_late: Duration::ZERO });
    }
    assert_eq!(court.verdict(A), (Draining, "slow"));
    assert_eq!(court.resets(), []);
}

#[test]
fn a_late_hello_vetoes_silence() {
    let mut court = Court::masters();
    court.silent(A);
    court.see(A, Evidence::Hello { took: Duration::from_millis(800) });
    court.pass(1);
    court.silent(A);
    assert_eq!(court.verdict(A).0, Suspect);
    court.see(A, Evidence::Hello { took: Duration::from_millis(800) });
    assert_eq!(court.verdict(A), (Draining, "slow"));
    assert_eq!(court.resets(), []);
}

#[test]
fn a_byte_from_a_dead_endpoint_stops_its_resets() {
    let mut court = Court::masters();
    court.freeze(A);
    assert_eq!(court.resets(), [A]);
    court.pass(50);
    court.judge.heard(A, court.now, court.now);
    assert_eq!(court.verdict(A), (Draining, "slow"));
    assert!(court.judge.take_events().contains(&Event::StopReset { key: A }));
}

#[test]
fn a_tls_failure_twice_is_dead_and_touches_no_session() {
    let mut court = Court::masters();
    court.see(A, Evidence::TlsFailed(TlsFault::Certificate));
    assert_eq!(court.verdict(A), (Suspect, "tls"));
    court.see(A, Evidence::TlsFailed(TlsFault::Certificate));
    assert_eq!(court.verdict(A), (Dead, "tls"));
    court.pass(60_000);
    assert_eq!(court.resets(), []);
}

#[test]
fn closed_checks_are_blind_and_only_where_they_never_were_open() {
    let mut court = Court::new(Settings::apiserver());
    court.hello(A);
    court.answer(A, Check::Ready, 401);
    court.answer(A, Check::Live, 401);
    assert_eq!(court.verdict(A), (Up, "blind"));
    assert!(court.report(A).blind);
    court.good(A);
    assert_eq!(court.verdict(A), (Up, "answers"));
    court.round(&[B, C]);
    court.answer(A, Check::Ready, 403);
    assert_eq!(court.verdict(A).0, Up, "fall 2");
    court.answer(A, Check::Ready, 403);
    assert_eq!(court.verdict(A), (Draining, "not ready"));
}

#[test]
fn a_closed_check_that_is_no_kubernetes_status_is_not_ready() {
    let mut court = Court::new(Settings::apiserver());
    court.hello(A);
    let took = Duration::from_millis(5);
    court.see(A, Evidence::Answer { check: Check::Ready, status: 401, took, status_object: false });
    assert_eq!(court.verdict(A), (Draining, "not ready"));
}

#[test]
fn too_many_requests_take_two_in_a_row() {
    let mut court = Court::masters();
    court.answer(A, Check::Ready, 429);
    assert_eq!(court.verdict(A).0, Up);
    court.answer(A, Check::Ready, 200);
    court.answer(A, Check::Ready, 429);
    assert_eq!(court.verdict(A).0, Up);
    court.answer(A, Check::Ready, 429);
    assert_eq!(court.verdict(A), (Draining, "not ready"));
}

#[test]
fn a_name_that_does_not_resolve_keeps_its_addresses() {
    let mut court = Court::masters();
    court.see(A, Evidence::Unresolved);
    assert_eq!(court.verdict(A), (Unresolved, "unresolved"));
    assert_eq!(court.report(A).tier, Tier::Up);
    court.freeze(A);
    assert_eq!(court.verdict(A).0, Dead, "it goes on being probed");
    court.see(A, Evidence::Resolved);
    assert_eq!(court.verdict(A).0, Dead);
}

#[test]
fn a_removed_endpoint_goes_on_being_judged() {
    let mut court = Court::masters();
    court.judge.retire(A, court.now);
    assert_eq!(court.report(A).tier, Tier::Closed);
    assert_eq!(court.verdict(A).0, Up);
    assert!(court.judge.next_probe(A).is_some());
    court.freeze(A);
    assert_eq!(court.resets(), [A]);
    court.judge.forget(A, court.now);
    assert_eq!(court.judge.report(A), None);
}

#[test]
fn traffic_makes_suspect_and_hurries_a_probe_but_never_kills() {
    for evidence in [
        Evidence::DialFailed(DialFault::Refused),
        Evidence::Unanswered { since: Time::from_millis(1000) },
        Evidence::EndedEarly { answered: false },
    ] {
        let mut court = Court::masters();
        court.pass(200);
        for _ in 0..50 {
            court.see(A, evidence.clone());
        }
        assert_eq!(court.verdict(A).0, Suspect, "{evidence:?}");
        assert!(court.judge.next_probe(A).unwrap().at <= court.now);
        court.good(A);
        assert_eq!(court.verdict(A).0, Up, "one good round clears a suspicion");
    }
}

#[test]
fn a_slow_flight_brings_a_probe_forward_and_says_nothing() {
    let mut court = Court::masters();
    let since = court.now;
    court.pass(200);
    for _ in 0..50 {
        court.see(A, Evidence::Slow { since });
    }
    assert_eq!(court.verdict(A).0, Up);
    let next = court.judge.next_probe(A).unwrap();
    assert!(next.at <= court.now && next.way == Way::Fresh, "{next:?}");
    // A good one puts an end to it: what was slow before it is history.
    court.judge.started(A, Way::Fresh, court.now);
    court.good(A);
    court.see(A, Evidence::Slow { since });
    assert!(court.judge.next_probe(A).unwrap().at > court.now);
}

#[test]
fn a_dial_that_was_answered_keeps_no_other_back() {
    let mut court = Court::masters();
    court.judge.started(A, Way::Fresh, court.now);
    court.see(A, Evidence::DialFailed(DialFault::TimedOut));
    let next = court.judge.next_probe(A).unwrap();
    assert!(next.at > court.now, "its SYN may be lost to the same burst");
    court.see(A, Evidence::Hello { took: Duration::from_millis(5) });
    court.pass(300);
    // The rest of the handshake does not come.
    court.see(A, Evidence::DialFailed(DialFault::TimedOut));
    let next = court.judge.next_probe(A).unwrap();
    assert!(next.at <= court.now && next.way == Way::Fresh, "{next:?}");
}

#[test]
fn slow_flights_make_no_storm_of_probes() {
    let mut court = Court::masters();
    court.judge.started(A, Way::Fresh, court.now);
    court.good(A);
    let (begun, fast) = (court.now, court.judge.settings().fast_interval);
    for _ in 0..20 {
        court.pass(5);
        court.see(A, Evidence::Slow { since: court.now });
        assert!(court.judge.next_probe(A).unwrap().at >= begun + fast);
    }
}

#[test]
fn a_flight_whose_endpoint_was_heard_since_only_hurries_a_probe() {
    let mut court = Court::masters();
    let since = court.now;
    court.pass(500);
    court.judge.heard(A, court.now, court.now);
    court.pass(100);
    court.see(A, Evidence::Unanswered { since });
    assert_eq!(court.verdict(A).0, Up);
    assert!(court.judge.next_probe(A).unwrap().at <= court.now);
}

#[test]
fn the_edge_ejects_one_endpoint_by_traffic_alone() {
    let mut court = Court::new(Settings::edge());
    for key in [A, B, C] {
        court.hello(key);
        court.answer(key, Check::Ready, 200);
        assert_eq!(court.verdict(key).0, Up);
        court.see(key, Evidence::DialFailed(DialFault::Reset));
    }
    assert_eq!([A, B, C].map(|key| court.verdict(key).0), [Suspect, Up, Up]);
}

#[test]
fn the_edge_drains_after_two_5xx_and_does_not_fail_open() {
    let mut court = Court::new(Settings::edge());
    for key in [A, B, C] {
        court.hello(key);
        court.answer(key, Check::Ready, 200);
    }
    court.answer(A, Check::Ready, 500);
    assert_eq!(court.verdict(A).0, Up);
    court.answer(A, Check::Ready, 500);
    assert_eq!(court.verdict(A).0, Draining);
    assert_eq!(court.report(A).tier, Tier::Closed);
    // To take connections is no answer: it is on its way back with the first that is good.
    court.hello(A);
    court.see(A, Evidence::Connected { took: Duration::from_millis(1) });
    assert_eq!(court.report(A).tier, Tier::Closed);
    court.answer(A, Check::Ready, 200);
    assert_eq!(court.report(A).tier, Tier::Draining);
}

#[test]
fn a_dead_endpoint_that_answers_again_is_the_best_of_the_dead() {
    let mut court = Court::new(Settings::apiserver());
    for key in [A, B, C] {
        court.see(key, Evidence::Refused);
    }
    assert_eq!(court.judge.availability(), Availability::Nobody);
    court.good(A);
    assert_eq!((court.verdict(A).0, court.report(A).tier), (Dead, Tier::Draining));
    court.round(&[A, A]);
    assert_eq!(court.verdict(A).0, Up);
}

#[test]
fn answers_that_were_held_up_together_are_no_row_of_good_ones() {
    let mut court = Court::masters();
    court.see(A, Evidence::Refused);
    court.see(A, Evidence::Refused);
    assert_eq!(court.verdict(A).0, Dead);
    court.pass(100);
    court.hello(A);
    for took in [2000, 1500, 1200] {
        let took = Duration::from_millis(took);
        for check in [Check::Ready, Check::Live] {
            court.see(A, Evidence::Answer { check, status: 200, took, status_object: false });
        }
    }
    assert_ne!(
        court.judge.report(A).unwrap().verdict,
        Verdict::Up,
        "asked before it was found dead"
    );
}

#[test]
fn an_answer_to_an_older_question_is_history() {
    let mut court = Court::masters();
    court.pass(2000);
    court.answer(A, Check::Ready, 200);
    let took = Duration::from_millis(1900);
    court.see(A, Evidence::Answer { check: Check::Ready, status: 500, took, status_object: false });
    assert_eq!(court.verdict(A).0, Up);
    court.answer(A, Check::Ready, 500);
    assert_eq!(court.verdict(A).0, Draining);
}
