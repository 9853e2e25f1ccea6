//! What must hold whatever text the configuration reader is given. Shared by the fuzz target and by
//! the replay of its corpus in `cargo test`.

use eclusa_config::plan::{Peek, Plan, Pool, Probe, Program};
use eclusa_config::{Diagnostics, Mode, Severity};
use std::net::SocketAddr;

/// Bytes that one diagnostic may print.
const DIAGNOSTIC_MAX: usize = 8 << 10;

/// Panics if a property does not hold for `data`.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for program in [Program::Apiserver, Program::Edge] {
        let parse = || eclusa_config::parse(program, "fuzz.toml", &text, Mode::Offline);
        match (parse(), parse()) {
            (Ok(one), Ok(other)) => {
                assert_eq!(format!("{:?}", one.plan), format!("{:?}", other.plan));
                diagnostics_are_sane(&one.warnings, &text);
                assert!(!one.warnings.has_errors());
                assert_eq!(one.warnings.to_string(), other.warnings.to_string());
                plan_is_sane(&one.plan);
            }
            (Err(one), Err(other)) => {
                assert!(one.has_errors() && !one.is_empty(), "no plan and no error");
                diagnostics_are_sane(&one, &text);
                assert_eq!(one.to_string(), other.to_string());
            }
            _ => panic!("a plan in one run and none in the other"),
        }
    }
}

fn diagnostics_are_sane(diagnostics: &Diagnostics, text: &str) {
    let lines = text.split('\n').count();
    for item in diagnostics.items() {
        let related = item.related.as_ref().map(|(span, _)| *span);
        for span in item.span.into_iter().chain(related) {
            assert!(span.start <= span.end && span.end <= text.len(), "{item:?}");
            let place = diagnostics.source().place(span.start);
            assert!((1..=lines).contains(&place.line), "{item:?}");
            assert!(place.column <= place.text.chars().count() + 1, "{item:?}");
        }
        assert!(!item.message.is_empty() && !item.expected.is_empty(), "{item:?}");
        assert!(!item.remedy.is_empty(), "{item:?}");
    }
    let starts: Vec<_> =
        diagnostics.items().iter().map(|item| item.span.map(|span| span.start)).collect();
    assert!(starts.is_sorted());
    let printed = diagnostics.to_string();
    assert!(printed.len() <= (diagnostics.items().len() + 1) * DIAGNOSTIC_MAX);
    // Nothing that a terminal would obey.
    assert!(!printed.chars().any(|c| c.is_control() && c != '\n'), "{printed:?}");
    let errors = diagnostics.items().iter().filter(|item| item.severity == Severity::Error);
    assert_eq!(errors.count() > 0, diagnostics.has_errors());
}

/// What the proxy takes for granted.
fn plan_is_sane(plan: &Plan) {
    assert!(!plan.listeners.is_empty() && !plan.pools.is_empty());
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for listener in &plan.listeners {
        assert!(!listener.addresses.is_empty() && !listener.routes.is_empty());
        assert!(listener.backlog > 0 && !listener.preamble_timeout.is_zero());
        for route in &listener.routes {
            assert!(route.target.pools().all(|pool| pool < plan.pools.len()));
            // Ends, and soon.
            let _ = route.when.needs_hello();
        }
        addresses.extend(listener.addresses.iter().map(|one| one.address));
    }
    assert!(addresses.iter().all(|address| address.port() != 0));
    addresses.sort_unstable();
    let count = addresses.len();
    addresses.dedup();
    assert_eq!(count, addresses.len(), "an address is listened on twice");
    for pool in &plan.pools {
        assert!(!pool.endpoints.is_empty());
        assert!(pool.endpoints.iter().all(|endpoint| (1..=256).contains(&endpoint.weight)));
        assert!(!pool.dial.timeout.is_zero() && pool.dial.tries > 0);
        assert!(pool.dial.hedge_after.is_none_or(|after| after < pool.dial.timeout));
        pool_is_judged(pool);
    }
    for listener in &plan.listeners {
        let pools = listener.routes.iter().flat_map(|route| route.target.pools());
        let replays = pools.into_iter().any(|pool| plan.pools[pool].replay.is_some());
        assert!(!replays || listener.peek == Peek::Tls);
    }
}

fn pool_is_judged(pool: &Pool) {
    let judge = &pool.judge;
    assert!(!judge.checks.is_empty() && !judge.hello_within.is_zero());
    assert!(!judge.fast_interval.is_zero() && judge.fast_interval <= judge.interval);
    assert!(judge.rise > 0 && judge.fall > 0 && judge.confirm > 0 && judge.fresh_every > 0);
    let Probe::Http(http) = &pool.probe else {
        assert_eq!(judge.checks.len(), 1);
        return;
    };
    assert!(http.checks.iter().map(|(check, _)| check).eq(&judge.checks));
    assert!(http.checks.iter().all(|(_, path)| path.starts_with('/')));
    assert!(judge.late_after > judge.hello_within && judge.late_after > judge.overdue_after);
    assert!(!http.statuses.is_empty());
    assert!(
        http.statuses.iter().all(|(first, last)| 200 <= *first && first <= last && *last < 600)
    );
    let verified = http.tls.as_ref().is_some_and(|tls| tls.ca.is_some());
    assert!(http.token_file.is_none() || verified, "a token for whoever answers");
}
