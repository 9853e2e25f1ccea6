//! What a judge's word would have done where something is carried.

use super::tally::Order;
use crate::observe::{Event, Severity};
use crate::pool::{Endpoint, Pool};
use eclusa_policy::verdict::{Reason, Report, Tier, Verdict};
use std::sync::Arc;

/// Sessions that HAProxy has on an endpoint, in words for "would have reset ...".
fn sessions(count: Option<u64>) -> String {
    match count {
        Some(1) => "the session on it (as HAProxy counts)".to_owned(),
        Some(count) => format!("{count} sessions on it (as HAProxy counts)"),
        None => "the sessions on it".to_owned(),
    }
}

/// The order that follows from a verdict, where it is another one than `before`.
pub(super) fn follows(report: &Report, before: Option<Order>) -> Option<Order> {
    let order = match (report.verdict, report.tier) {
        // Held by a brake: it goes on being used.
        (Verdict::Draining, Tier::Up) => return None,
        (Verdict::Draining, _) if report.correlated => return None,
        (Verdict::Draining, _) => Order::Drain,
        (Verdict::Dead, _) => Order::Refuse,
        _ => return None,
    };
    (before != Some(order)).then_some(order)
}

/// Whether no endpoint of a pool can take a session.
pub(super) fn is_closed(pool: &Pool) -> bool {
    pool.endpoints().iter().all(|endpoint| endpoint.report().tier == Tier::Closed)
}

/// Tells of an order on an endpoint. `count`: sessions that HAProxy has there, if that is known.
pub(super) fn ordered(
    pool: &str,
    endpoint: &Endpoint,
    order: Order,
    reason: Reason,
    count: Option<u64>,
) -> Event {
    let name = endpoint.name();
    let stand = sessions(count);
    let what = match order {
        Order::Drain => {
            format!("drained {name} of pool {pool}: no new sessions; {stand} would go on")
        }
        Order::Refuse => {
            format!("refused new sessions to {name} of pool {pool}; {stand} would go on")
        }
        Order::Reset | Order::TurnAway => format!("reset {stand} ({name} of pool {pool})"),
    };
    let event = event(pool, order, format!("would have {what}: {reason}"))
        .about("endpoint", &*name)
        .about("address", endpoint.address().to_string())
        .about("reason", reason.word());
    match count {
        Some(count) => event.about("sessions", count),
        None => event,
    }
}

/// Tells that the judge takes an order to reset back.
pub(super) fn spared(pool: &str, endpoint: &Endpoint) -> Event {
    let name = endpoint.name();
    let message = format!("would have reset no more sessions on {name} of pool {pool}");
    Event::new("would_have", message)
        .about("pool", pool)
        .about("endpoint", &*name)
        .about("order", "spare")
}

/// Tells that a pool could take no session, or can again.
pub(super) fn turned_away(pool: &Arc<Pool>, begins: bool) -> Event {
    let name = pool.name();
    if begins {
        let words = "no endpoint of it can take one";
        let message = format!("would have refused new sessions of pool {name}: {words}");
        return event(name, Order::TurnAway, message);
    }
    let message = format!("would no longer have refused new sessions of pool {name}");
    Event::new("would_have", message).about("pool", name).about("order", "take_again")
}

fn event(pool: &str, order: Order, message: String) -> Event {
    Event::new("would_have", message)
        .about("pool", pool)
        .about("order", order.word())
        .severity(Severity::Warning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_policy::time::Time;
    use eclusa_policy::verdict::Onward;

    #[test]
    fn an_order_is_told_once_and_again_when_it_is_another() {
        let follows = |verdict, tier, before| {
            let (reason, since, onward) = (Reason::Silent, Time::START, Onward::GoOn);
            let (blind, correlated, risen) = (false, false, None);
            let report = Report { verdict, reason, since, blind, correlated, tier, onward, risen };
            super::follows(&report, before)
        };
        let draining = |before| follows(Verdict::Draining, Tier::Draining, before);
        assert_eq!(draining(None), Some(Order::Drain));
        assert_eq!(draining(Some(Order::Drain)), None);
        assert_eq!(follows(Verdict::Dead, Tier::Closed, Some(Order::Drain)), Some(Order::Refuse));
        assert_eq!(follows(Verdict::Draining, Tier::Up, None), None, "a brake holds it");
        assert_eq!(follows(Verdict::Suspect, Tier::LastResort, None), None);
    }

    #[test]
    fn sessions_are_counted_where_haproxy_tells() {
        assert_eq!(sessions(Some(12)), "12 sessions on it (as HAProxy counts)");
        assert_eq!(sessions(None), "the sessions on it");
    }
}
