//! When and how probes go out.

use super::*;

#[test]
fn steady_probes_use_the_kept_connection_and_every_fifth_a_fresh_one() {
    let mut court = Court::masters();
    let mut ways = Vec::new();
    for _ in 0..10 {
        let next = court.judge.next_probe(A).unwrap();
        court.now = court.now.max(next.at);
        court.judge.started(A, next.way, court.now);
        let after = court.judge.next_probe(A).unwrap().at.since(court.now);
        assert!((900..=1100).contains(&after.as_millis()), "{after:?}");
        ways.push(next.way == Way::Fresh);
        court.good(A);
    }
    let fresh: Vec<_> = (0..10).filter(|i| ways[*i]).collect();
    assert_eq!(fresh.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>(), [5]);
}

#[test]
fn a_failure_is_followed_by_a_fresh_probe_soon() {
    let mut court = Court::masters();
    court.judge.started(A, Way::Kept, court.now);
    let began = court.now;
    court.pass(10);
    court.see(A, Evidence::KeptEnded);
    let next = court.judge.next_probe(A).unwrap();
    assert_eq!(next, Next { at: court.now, way: Way::Fresh });
    court.judge.started(A, Way::Fresh, court.now);
    court.good(A);
    // Rising: every 300 ms.
    court.answer(A, Check::Ready, 500);
    court.judge.started(A, Way::Fresh, court.now);
    court.good(A);
    let next = court.judge.next_probe(A).unwrap();
    assert!(next.at.since(court.now) <= Duration::from_millis(330), "{next:?}");
    assert_eq!(next.way, Way::Fresh);
    assert!(court.now.since(began) < Duration::from_secs(1));
}

#[test]
fn an_overdue_answer_starts_one_fresh_dial_beside_it() {
    let mut court = Court::masters();
    court.judge.started(A, Way::Kept, court.now);
    court.pass(700);
    court.see(A, Evidence::Overdue { since: court.now, timer_late: Duration::ZERO });
    assert_eq!(court.judge.next_probe(A), Some(Next { at: court.now, way: Way::Fresh }));
    court.judge.started(A, Way::Fresh, court.now);
    court.see(A, Evidence::Overdue { since: court.now, timer_late: Duration::ZERO });
    assert!(court.judge.next_probe(A).unwrap().at > court.now, "one dial at a time");
}

/// The worst case of the specification: the endpoint freezes right after a steady probe.
#[test]
fn silence_is_dead_within_three_seconds_and_a_tenth() {
    let mut court = Court::masters();
    let settings = Settings { jitter_percent: 0, ..Settings::apiserver() };
    court.judge.set_settings(settings);
    let frozen = court.now;
    court.judge.started(A, Way::Kept, court.now);
    let next = court.judge.next_probe(A).unwrap();
    court.pass(next.at.since(court.now).as_millis() as u64);
    court.judge.started(A, next.way, court.now);
    let since = court.now;
    court.pass(court.judge.settings().overdue_after.as_millis() as u64 + 1);
    court.see(A, Evidence::Overdue { since, timer_late: Duration::ZERO });
    for _ in 0..2 {
        let next = court.judge.next_probe(A).unwrap();
        assert!(next.at <= court.now && next.way == Way::Fresh, "{next:?}");
        court.judge.started(A, Way::Fresh, court.now);
        court.silent(A);
    }
    let deadline = court.judge.next_deadline().unwrap();
    court.pass(deadline.since(court.now).as_millis() as u64 + 1);
    assert_eq!(court.verdict(A), (Verdict::Dead, "silent"));
    assert!(court.now.since(frozen) <= Duration::from_millis(3100), "{:?}", court.now);
}

#[test]
fn the_history_keeps_the_last_twenty() {
    let mut court = Court::masters();
    for _ in 0..30 {
        court.good(A);
    }
    court.answer(A, Check::Ready, 500);
    let history: Vec<_> = court.judge.history(A).unwrap().iter().collect();
    assert_eq!(history.len(), History::LENGTH);
    assert_eq!(history[19].outcome, Outcome::Bad(Reason::NotReady(500)));
    assert_eq!(history[0].outcome, Outcome::Good);
}
