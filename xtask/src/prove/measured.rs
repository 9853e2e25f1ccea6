//! Items from the reports of the bench runner.

use serde_json::{Value, json};

/// The most that ours may take under a load, beside others.
pub struct Bar {
    /// As the runner calls it.
    pub load: &'static str,
    pub item: &'static str,
    pub against: Against,
    pub most: f64,
}

/// Beside whom.
#[derive(Clone, Copy, Debug)]
pub enum Against {
    /// Whoever takes least.
    Best,
    /// Whoever takes least of those with OpenSSL: HAProxy and nginx as Debian builds them.
    OpenSsl,
    /// HAProxy, as it comes or tuned.
    Haproxy,
    /// This candidate.
    Peer(&'static str),
}

impl Against {
    fn is(self, candidate: &str) -> bool {
        match self {
            Self::Best => !candidate.starts_with("eclusa"),
            Self::OpenSsl => ["haproxy", "haproxy-tuned", "nginx"].contains(&candidate),
            Self::Haproxy => ["haproxy", "haproxy-tuned"].contains(&candidate),
            Self::Peer(name) => name == candidate,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Best => "the best peer",
            Self::OpenSsl => "the best with OpenSSL",
            Self::Haproxy => "HAProxy",
            Self::Peer(name) => name,
        }
    }
}

/// The table of a load.
fn table<'a>(report: &'a Value, load: &str) -> Option<&'a Value> {
    let tables = ["tables", "idle"].map(|key| report[key].as_array());
    tables.into_iter().flatten().flatten().find(|table| table["name"] == *load)
}

/// Whether the report has a load.
pub fn has(report: &Value, load: &str) -> bool {
    table(report, load).is_some()
}

/// An item that nothing can be said of but why.
fn failed(name: &str, bound: &str, why: &str) -> Value {
    json!({"item": name, "figure": why, "bound": bound, "passed": false})
}

fn warnings(table: &Value) -> String {
    let warnings = table["warnings"].as_array().into_iter().flatten();
    warnings.filter_map(Value::as_str).collect::<Vec<_>>().join("; ")
}

fn rounds(table: &Value) -> Option<usize> {
    let rows = table["rows"].as_array().into_iter().flatten();
    rows.filter_map(|row| Some(row["samples"].as_array()?.len())).max()
}

/// Median, smallest and largest.
fn spread(value: &Value) -> Option<[f64; 3]> {
    let number = |key: &str| value[key].as_f64();
    Some([number("median")?, number("min")?, number("max")?])
}

/// Ours beside peers: the median of the rounds' ratios counts, the worst round is told.
pub fn comparison(report: &Value, bar: &Bar) -> Value {
    let Bar { load, item, against, most } = bar;
    let name = format!("{item} CPU per unit, {load}");
    let bound = format!("{most:.2} x {}", against.words());
    let Some(table) = table(report, load) else { return failed(&name, &bound, "not measured") };
    // The hardest peer is the first.
    let mut comparisons = table["comparisons"].as_array().into_iter().flatten();
    let chosen = comparisons.find(|comparison| {
        let name = comparison["peer"].as_str().unwrap_or_default();
        against.is(name.split(['.', '@']).next().unwrap_or_default())
    });
    let Some((chosen, [median, min, max])) =
        chosen.and_then(|chosen| Some((chosen, spread(&chosen["cpu"])?)))
    else {
        return failed(&name, &bound, "nothing to compare with");
    };
    let peer = chosen["peer"].as_str().unwrap_or_default();
    json!({
        "item": name,
        "figure": format!("{median:.3} x {peer} ({min:.3} to {max:.3})"),
        "bound": bound,
        "n": rounds(table),
        "worst": format!("{max:.3}"),
        "median": format!("{median:.3}"),
        "passed": median <= *most,
        "note": warnings(table),
    })
}

/// The p99 of ours in an open loop beside the least of a peer's.
pub fn tail(report: &Value, item: &str, load: &str) -> Value {
    let name = format!("{item} p99 at 70 % load, {load}");
    let bound = "not above the best peer's";
    let Some(table) = table(report, load) else { return failed(&name, bound, "not measured") };
    let rows = || table["rows"].as_array().into_iter().flatten();
    let p99 = |row: &Value| spread(&row["paced"]["p99"]);
    let ours = rows().find(|row| row["candidate"] == "eclusa" && row["paced"].is_object());
    let peers = rows().filter(|row| {
        let candidate = row["candidate"].as_str().unwrap_or_default();
        candidate != "direct" && !candidate.starts_with("eclusa")
    });
    let peers = peers.filter_map(|row| Some((p99(row)?, row["setup"].as_str()?)));
    let best = peers.min_by(|(a, _), (b, _)| a[0].total_cmp(&b[0]));
    let Some((ours, [median, min, max])) = ours.and_then(|ours| Some((ours, p99(ours)?))) else {
        return failed(&name, bound, "not measured");
    };
    let Some(([least, low, high], peer)) = best else {
        return failed(&name, bound, "nothing to compare with");
    };
    let rate = ours["paced"]["rate"].as_f64().unwrap_or_default();
    json!({
        "item": name,
        "figure": format!("{median:.0} us ({min:.0} to {max:.0}) beside {least:.0} ({low:.0} to {high:.0}) of {peer}"),
        "bound": bound,
        "n": rounds(table),
        "worst": format!("{max:.0} us"),
        "median": format!("{median:.0} us"),
        "passed": median <= least && ours["paced"]["errors"] == 0,
        "note": format!("at {rate:.0} a second; {}", warnings(table)),
    })
}

/// What the same costs ours with more endpoints or routes: an item for each step after the first.
pub fn flat(report: &Value, item: &str, load: &str, most: f64) -> Vec<Value> {
    let name = format!("{item} CPU with more of it, {load}");
    let bound = format!("{most:.2} x with one");
    let Some(table) = table(report, load) else {
        return vec![failed(&name, &bound, "not measured")];
    };
    let what = table["steps_of"].as_str().unwrap_or("steps");
    let rows = table["rows"].as_array().into_iter().flatten();
    let rows = rows.filter(|row| row["candidate"] == "eclusa" && row["counts"] == true);
    let steps = rows.filter_map(|row| Some((row["step"].as_u64()?, row)));
    let later: Vec<_> = steps.filter(|(step, _)| *step > 1).collect();
    if later.is_empty() {
        return vec![failed(&name, &bound, "not measured")];
    }
    let of = |(step, row): (u64, &Value)| {
        let name = format!("{item} CPU with {step} {what}, {load}");
        let Some([median, min, max]) = spread(&row["to_first_step"]) else {
            return failed(&name, &bound, "nothing to compare with");
        };
        json!({
            "item": name,
            "figure": format!("{median:.3} x with one ({min:.3} to {max:.3})"),
            "bound": bound,
            "n": rounds(table),
            "worst": format!("{max:.3}"),
            "median": format!("{median:.3}"),
            "passed": median <= most,
            "note": warnings(table),
        })
    };
    later.into_iter().map(of).collect()
}

/// What a unit takes of two workers beside one, in the counts of the guard.
pub fn workers(counts: &Value, item: &str, (one, two): (&str, &str), most: f64) -> Vec<Value> {
    let kinds = [("instructions", "user instructions"), ("system_calls", "system calls")];
    let number = |name: &str, key: &str| {
        let counts = counts[name].as_array().into_iter().flatten();
        let mut counts: Vec<_> = counts.filter_map(|count| count[key].as_f64()).collect();
        counts.sort_by(f64::total_cmp);
        counts.get(counts.len() / 2).copied().map(|median| (median, counts.len()))
    };
    let of = |(at, (key, words)): (usize, (&str, &str))| {
        let name = format!("{item}.{} {words} per unit, two workers", at + 1);
        let bound = format!("{most:.2} x with one");
        let Some(((one, n), (two, _))) = number(one, key).zip(number(two, key)) else {
            return failed(&name, &bound, "not counted");
        };
        let ratio = two / one;
        json!({
            "item": name,
            "figure": format!("{ratio:.3} x with one ({two:.1} beside {one:.1})"),
            "bound": bound,
            "n": n,
            "median": format!("{ratio:.3}"),
            "passed": ratio <= most,
        })
    };
    kinds.into_iter().enumerate().map(of).collect()
}

/// Resident memory per idle session of ours under a load of a whole run.
pub fn at_rest(report: &Value, item: &str, load: &str, most: f64) -> Vec<Value> {
    let item = format!("{item} {load}:");
    idle(table(report, load).unwrap_or(&Value::Null), &item, most)
}

/// The same of a run of `bench idle`; the peers' are in the table.
pub fn idle(report: &Value, item: &str, most: f64) -> Vec<Value> {
    let sessions = report["sessions"].as_u64().unwrap_or(0);
    let name = format!("{item} resident memory per idle session, {sessions} sessions");
    let rows = report["rows"].as_array().into_iter().flatten();
    let ours = rows.into_iter().filter(|row| {
        row["setup"].as_str().is_some_and(|setup| setup.split('.').next() == Some("eclusa"))
    });
    let bound = format!("{most} KiB");
    let items: Vec<_> = ours
        .map(|row| {
            let found = &row["found"];
            let Some(each) = found["per_session"].as_f64() else {
                return json!({"item": name, "figure": row["failure"], "bound": bound, "passed": false});
            };
            let charged = found["charged"].as_u64().map_or_else(
                || "not known".to_owned(),
                |charged| format!("{charged} KiB in all"),
            );
            json!({
                "item": name,
                "figure": format!("{each:.2} KiB"),
                "bound": bound,
                "n": sessions,
                "passed": each <= most && found["errors"] == 0,
                "note": format!("kernel socket memory: {charged}"),
            })
        })
        .collect();
    if items.is_empty() {
        return vec![
            json!({"item": name, "figure": "not measured", "bound": bound, "passed": false}),
        ];
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Value {
        let cpu = |median: f64| json!({"median": median, "min": median - 0.1, "max": median + 0.1});
        json!({"tables": [{
            "name": "tcp-bulk-down/16",
            "rows": [{"samples": [null, {}, {}]}],
            "comparisons": [
                {"peer": "nginx", "cpu": cpu(0.95)},
                {"peer": "haproxy-tuned.splice-auto", "cpu": cpu(0.85)},
                {"peer": "haproxy", "cpu": cpu(0.7)},
            ],
            "warnings": ["GENERATOR LIMIT"],
        }]})
    }

    #[test]
    fn the_peer_that_counts_is_found() {
        let of =
            |load, against, most| comparison(&report(), &Bar { load, item: "6", against, most });
        let one = |against, most| of("tcp-bulk-down/16", against, most);
        let tuned = one(Against::Peer("haproxy-tuned"), 0.9);
        assert_eq!(tuned["figure"], "0.850 x haproxy-tuned.splice-auto (0.750 to 0.950)");
        assert_eq!(
            (&tuned["passed"], &tuned["n"], &tuned["worst"]),
            (&json!(true), &json!(3), &json!("0.950"))
        );
        assert_eq!(tuned["note"], "GENERATOR LIMIT");
        let best = one(Against::Best, 0.9);
        assert_eq!((&best["passed"], &best["median"]), (&json!(false), &json!("0.950")));
        assert_eq!(best["bound"], "0.90 x the best peer");
        assert_eq!(one(Against::Haproxy, 0.9)["median"], "0.850");
        assert_eq!(one(Against::OpenSsl, 0.9)["median"], "0.950");
        assert_eq!(one(Against::Peer("envoy"), 9.0)["passed"], false);
        assert_eq!(of("other", Against::Best, 9.0)["figure"], "not measured");
    }

    #[test]
    fn our_own_without_logs_is_no_peer_unless_it_is_named() {
        let mut report = report();
        report["tables"][0]["comparisons"][0]["peer"] = json!("eclusa-bare");
        let of = |against| {
            let bar = Bar { load: "tcp-bulk-down/16", item: "6", against, most: 1.0 };
            comparison(&report, &bar)["median"].clone()
        };
        assert_eq!(
            (of(Against::Best), of(Against::Peer("eclusa-bare"))),
            (json!("0.850"), json!("0.950"))
        );
    }

    #[test]
    fn latency_is_held_against_the_least_of_a_peers() {
        let p99 = |median: f64| json!({"median": median, "min": median, "max": median + 1.0});
        let row = |setup: &str, value: f64| {
            let paced = json!({"rate": 70.0, "p99": p99(value), "errors": 0});
            json!({"setup": setup, "candidate": setup, "paced": paced, "samples": [null]})
        };
        let with = |ours: f64| {
            let plain = json!({"setup": "haproxy.splice", "candidate": "haproxy", "paced": null});
            let rows = [
                row("direct", 1.0),
                row("eclusa", ours),
                plain,
                row("nginx", 5.0),
                row("envoy", 9.0),
            ];
            tail(&json!({"tables": [{"name": "a/1", "rows": rows}]}), "1", "a/1")
        };
        let good = with(5.0);
        assert_eq!(good["figure"], "5 us (5 to 6) beside 5 (5 to 6) of nginx");
        assert_eq!((&good["passed"], &good["note"]), (&json!(true), &json!("at 70 a second; ")));
        assert_eq!(with(5.1)["passed"], false);
        assert_eq!(tail(&json!({}), "1", "a/1")["figure"], "not measured");
    }

    #[test]
    fn more_of_something_is_held_against_one() {
        let row = |step: u64, ratio: f64, counts: bool| {
            let first = json!({"median": ratio, "min": ratio, "max": ratio});
            json!({"candidate": "eclusa", "step": step, "counts": counts, "to_first_step": first})
        };
        let rows = [
            row(1, 1.0, true),
            row(100, 1.04, true),
            row(100, 0.1, false),
            row(10_000, 1.06, true),
        ];
        let report = json!({"tables": [{"name": "a/1", "steps_of": "routes", "rows": rows}]});
        let found = flat(&report, "1", "a/1", 1.05);
        let told: Vec<_> =
            found.iter().map(|item| (item["item"].as_str(), &item["passed"])).collect();
        assert_eq!(
            told,
            [
                (Some("1 CPU with 100 routes, a/1"), &json!(true)),
                (Some("1 CPU with 10000 routes, a/1"), &json!(false)),
            ]
        );
        assert_eq!(flat(&json!({}), "1", "a/1", 1.05)[0]["passed"], false);
    }

    #[test]
    fn two_workers_are_held_against_one() {
        let counts = json!({
            "one": [{"instructions": 100.0, "system_calls": 6.0}, {"instructions": 900.0, "system_calls": 6.0},
                    {"instructions": 100.0, "system_calls": 6.0}],
            "two": [{"instructions": 104.0, "system_calls": 6.6}],
        });
        let found = workers(&counts, "1", ("one", "two"), 1.05);
        assert_eq!(found[0]["figure"], "1.040 x with one (104.0 beside 100.0)");
        assert_eq!((&found[0]["passed"], &found[0]["n"]), (&json!(true), &json!(3)));
        assert_eq!((&found[1]["passed"], &found[1]["median"]), (&json!(false), &json!("1.100")));
        assert!(
            workers(&counts, "1", ("one", "none"), 1.05).iter().all(|item| item["passed"] == false)
        );
    }

    #[test]
    fn idle_memory_is_found() {
        let row = |setup: &str, each: f64| json!({"setup": setup, "found": {"per_session": each, "charged": 9, "errors": 0}});
        let report = |rows: &[Value]| json!({"sessions": 5000, "rows": rows});
        let items = idle(&report(&[row("nginx", 9.0), row("eclusa", 1.5)]), "4", 2.0);
        assert_eq!(items.len(), 1);
        assert_eq!((&items[0]["figure"], &items[0]["passed"]), (&json!("1.50 KiB"), &json!(true)));
        assert_eq!(idle(&report(&[row("eclusa", 2.5)]), "4", 2.0)[0]["passed"], false);
        assert_eq!(idle(&report(&[]), "4", 2.0)[0]["passed"], false);
        let broken = json!({"setup": "eclusa", "found": null, "failure": "why"});
        assert_eq!(idle(&report(&[broken]), "4", 2.0)[0]["figure"], "why");
    }
}
