//! Drills: their bounds, and how they are told.

use super::pages::{compare, page, report};
use super::*;
use crate::admin::protocol::parse;

const BEGAN: u64 = 1_795_582_800;

#[test]
fn a_drill_is_at_most_a_minute_and_only_slow_ones_are_late() {
    let start = |more: &str| {
        let head = "{\"v\":1,\"command\":\"drill start\",\"pool\":\"a\",\"endpoint\":\"b\"";
        parse(format!("{head},{more}}}").as_bytes()).request
    };
    for right in [
        "\"fault\":\"freeze\",\"for_seconds\":60",
        "\"fault\":\"slow\",\"for_seconds\":1,\"delay_ms\":1,\"reason\":\"rehearsal\"",
    ] {
        assert!(start(right).unwrap().changes(), "{right}");
    }
    for (wrong, told) in [
        ("\"fault\":\"freeze\",\"for_seconds\":61", "`for_seconds` is 61"),
        ("\"fault\":\"freeze\",\"for_seconds\":0", "`for_seconds` is 0"),
        ("\"fault\":\"freeze\"", "missing field `for_seconds`"),
        ("\"fault\":\"melt\",\"for_seconds\":1", "unknown variant `melt`"),
        ("\"fault\":\"slow\",\"for_seconds\":1,\"delay_ms\":10001", "`delay_ms` is 10001"),
        ("\"fault\":\"refuse\",\"for_seconds\":1,\"delay_ms\":5", "for `slow` alone"),
        ("\"fault\":\"freeze\",\"for_seconds\":1,\"force\":true", "unknown field `force`"),
    ] {
        let error = start(wrong).unwrap_err();
        assert!(error.contains(told), "{wrong}: {error}");
    }
}

fn drill() -> DrillReport {
    let verdict = |after_ms, verdict: &str, why: &str| DrillVerdict {
        after_ms,
        verdict: verdict.to_owned(),
        why: why.to_owned(),
    };
    DrillReport {
        number: 2,
        pool: "apiserver".to_owned(),
        endpoint: "10.0.0.12".to_owned(),
        fault: Fault::Freeze,
        delay_ms: None,
        began: Moment::from_unix(BEGAN),
        until: Moment::from_unix(BEGAN + 30),
        by: "root".to_owned(),
        reason: Some("rehearsal".to_owned()),
        lasted_ms: 30_000,
        ended: Some("its time is over".to_owned()),
        connections: DrillConnections {
            met: 31,
            elsewhere: 29,
            through: 1,
            failed: 0,
            left: 0,
            slowest_ms: 1_312,
        },
        of_pool: DrillPool { ended: 412, unserved: 0, broken: 12, again: 30 },
        standing: [12, 0],
        verdicts: vec![
            verdict(0, "up", "all checks are good"),
            verdict(712, "suspect", "no ServerHello in time"),
            verdict(2_140, "dead", "no ServerHello in time, and no byte since"),
        ],
    }
}

#[test]
fn what_came_of_a_drill_is_told() {
    let show = Request::DrillShow(DrillShow {});
    let mut text = page(&show, drill(), false);
    let connections = DrillConnections::default();
    let (fault, delay_ms, reason) = (Fault::Slow, Some(250), None);
    text += &page(
        &show,
        DrillReport { fault, delay_ms, reason, ended: None, connections, lasted_ms: 70, ..drill() },
        false,
    );
    let mut status = report();
    (status.at, status.drill) = (Moment::from_unix(BEGAN + 8), Some(drill()));
    let status = page(&Request::Status(StatusOf::default()), status, false);
    text += status.split("\n\n").next().unwrap();
    compare("drills.txt", &(text + "\n"));
}
