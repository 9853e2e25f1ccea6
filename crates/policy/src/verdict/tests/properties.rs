//! What must hold whatever is seen.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Act {
    See(Key, Evidence),
    /// A silent dial of 700 ms.
    Silent(Key),
    Pass(u64),
}

fn key() -> impl Strategy<Value = Key> {
    prop::sample::select(vec![A, B, C])
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let check = prop::sample::select(vec![Check::Ready, Check::Live]);
    let status = prop::sample::select(vec![200_u16, 200, 200, 401, 429, 500]);
    let took = prop::sample::select(vec![5_u64, 5, 5, 900, 3500]).prop_map(Duration::from_millis);
    prop_oneof![
        3 => took.clone().prop_map(|took| Evidence::Hello { took }),
        3 => Just(Evidence::Handshake(HandshakeFacts::default())),
        6 => (check, status, took, any::<bool>()).prop_map(|(check, status, took, status_object)| {
            Evidence::Answer { check, status, took, status_object }
        }),
        1 => Just(Evidence::Refused),
        1 => Just(Evidence::Reset),
        1 => Just(Evidence::TlsFailed(TlsFault::Protocol)),
        1 => Just(Evidence::KeptEnded),
        1 => void(),
        1 => Just(Evidence::DialFailed(DialFault::Refused)),
        1 => Just(Evidence::EndedEarly { answered: false }),
        2 => Just(Evidence::Exchange(ExchangeFault::Cut)),
        1 => Just(Evidence::Served),
        1 => Just(Evidence::Byte),
        1 => Just(Evidence::Unresolved),
        1 => Just(Evidence::Resolved),
    ]
}

fn void() -> impl Strategy<Value = Evidence> {
    let late = Duration::from_millis(150);
    prop_oneof![
        Just(Evidence::Void(VoidCause::Exhausted)),
        Just(Evidence::Void(VoidCause::NoRoute)),
        Just(Evidence::Void(VoidCause::Stalled)),
        Just(Evidence::Overdue { since: Time::START, timer_late: late }),
        Just(Evidence::Silent { since: Time::START, timer_late: late }),
        Just(Evidence::Late { check: Check::Ready, since: Time::START, timer_late: late }),
    ]
}

/// The n-th kind of evidence that is nothing but bad.
fn bad(n: usize, now: Time) -> Evidence {
    let earlier =
        |by: u64| Time::after_start(now.since_start().saturating_sub(Duration::from_millis(by)));
    let zero = Duration::ZERO;
    match n {
        0 => Evidence::Refused,
        1 => Evidence::Reset,
        2 => Evidence::TlsFailed(TlsFault::Certificate),
        3 => Evidence::Silent { since: earlier(700), timer_late: zero },
        4 => Evidence::Late { check: Check::Ready, since: earlier(3000), timer_late: zero },
        5 => Evidence::DialFailed(DialFault::TimedOut),
        6 => Evidence::Unanswered { since: earlier(500) },
        7 => Evidence::EndedEarly { answered: false },
        8 => Evidence::Exchange(ExchangeFault::Late),
        9 => Evidence::Slow { since: earlier(200) },
        _ => Evidence::Unresolved,
    }
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        8 => (key(), evidence()).prop_map(|(key, evidence)| Act::See(key, evidence)),
        3 => key().prop_map(Act::Silent),
        2 => (1_u64..4000).prop_map(Act::Pass),
    ];
    prop::collection::vec(act, 0..60)
}

fn play(acts: &[Act], mut look: impl FnMut(&mut Court, &Act, [Report; 3])) -> Court {
    let mut court = Court::new(Settings::apiserver());
    for act in acts {
        let before = [A, B, C].map(|key| court.report(key));
        match act {
            Act::See(key, evidence) => court.see(*key, evidence.clone()),
            Act::Silent(key) => court.all_silent(&[*key]),
            Act::Pass(milliseconds) => court.pass(*milliseconds),
        }
        look(&mut court, act, before);
    }
    court
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn more_bad_evidence_never_yields_a_better_verdict(
        acts in acts(), key in key(), more in prop::collection::vec(0_usize..11, 1..4),
    ) {
        let mut court = play(&acts, |_, _, _| {});
        for n in more {
            let before = court.report(key);
            let bad_now = bad(n, court.now);
            court.see(key, bad_now.clone());
            let after = court.report(key);
            prop_assert!(
                after.verdict.badness() >= before.verdict.badness(),
                "{before:?} {bad_now:?} {after:?}"
            );
        }
    }

    #[test]
    fn a_void_result_changes_nothing_but_the_history(acts in acts(), key in key(), void in void()) {
        let mut court = play(&acts, |_, _, _| {});
        let before = [A, B, C].map(|key| court.report(key));
        court.judge.take_events();
        court.see(key, void);
        prop_assert_eq!(before, [A, B, C].map(|key| court.report(key)));
        prop_assert_eq!(court.judge.take_events(), vec![]);
    }

    #[test]
    fn a_byte_since_the_first_silence_forbids_dead(acts in acts(), key in key()) {
        let mut court = play(&acts, |_, _, _| {});
        court.all_silent(&[key]);
        court.judge.heard(key, court.now, court.now);
        let before = court.verdict(key);
        court.all_silent(&[key]);
        prop_assert_ne!(court.verdict(key), (Verdict::Dead, "silent"), "{:?}", before);
    }

    #[test]
    fn resets_come_only_from_silence_or_sickness_that_no_brake_holds(acts in acts()) {
        let mut heard: std::collections::HashMap<Key, Time> = Default::default();
        play(&acts, |court, act, _| {
            if let Act::See(key, Evidence::Byte | Evidence::Hello { .. } | Evidence::Answer { .. }) =
                act
            {
                heard.insert(*key, court.now);
            }
            for event in court.judge.take_events() {
                if let Event::Reset { key, reason } = event {
                    let report = court.report(key);
                    assert!(!report.correlated);
                    assert!(matches!(reason, Reason::Silent | Reason::Sick(_)));
                    if reason == Reason::Silent {
                        let last = heard.get(&key).copied().unwrap_or_default();
                        assert!(court.now.since(last) >= Duration::from_millis(1400));
                    }
                }
            }
        });
    }

    #[test]
    fn the_pool_never_stops_while_somebody_answers(acts in acts(), key in key()) {
        let mut court = play(&acts, |_, _, _| {});
        for _ in 0..3 {
            court.good(key);
        }
        prop_assert_ne!(court.judge.availability(), Availability::Nobody);
        let met = |act: &Act| matches!(act, Act::See(of, Evidence::Exchange(_)) if *of == key);
        if acts.iter().any(met) && court.report(key).reason.is_passive() {
            // Out for what exchanges met: used while nobody better can be, and back in time.
            prop_assert_eq!(court.report(key).tier, Tier::Suspect);
            court.pass(80_000);
            court.good(key);
        }
        prop_assert!(matches!(court.verdict(key).0, Verdict::Up | Verdict::Unresolved));
    }

    #[test]
    fn events_tell_every_change(acts in acts()) {
        let mut told: std::collections::HashMap<Key, Report> = Default::default();
        let mut flags = (false, false);
        let court = play(&acts, |court, _, _| {
            for event in court.judge.take_events() {
                match event {
                    Event::Changed { key, report, .. } => drop(told.insert(key, report)),
                    Event::Correlated(on) => flags.0 = on,
                    Event::Panic(on) => flags.1 = on,
                    Event::Reset { .. } | Event::StopReset { .. } => {}
                }
            }
        });
        for key in [A, B, C] {
            if let Some(report) = told.get(&key) {
                prop_assert_eq!(*report, court.report(key));
            }
        }
        prop_assert_eq!(flags.0, court.judge.is_correlated());
        prop_assert_eq!(flags.1, court.judge.availability() == Availability::Panic);
    }
}
