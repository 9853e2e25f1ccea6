//! Items from the reports of the bench runner.

use serde_json::{Value, json};

/// Ours beside a peer: the median of the rounds' ratios counts, the worst round is told.
pub fn comparison(
    report: &Value,
    item: &str,
    load: &str,
    peer: Option<&str>,
    most: f64,
) -> Vec<Value> {
    let name = format!("{item} CPU per unit, {load}");
    let bound = format!("{most:.2} x {}", peer.unwrap_or("the better of HAProxy and nginx"));
    let tables = report["tables"].as_array().into_iter().flatten();
    let table = tables.into_iter().find(|table| table["name"] == *load);
    let failed =
        |why: &str| vec![json!({"item": name, "figure": why, "bound": bound, "passed": false})];
    let Some(table) = table else { return failed("not measured") };
    // The hardest peer is the first.
    let mut comparisons = table["comparisons"].as_array().into_iter().flatten();
    let chosen = comparisons.find(|comparison| {
        let name = comparison["peer"].as_str().unwrap_or_default();
        let candidate = name.split('.').next().unwrap_or_default();
        peer.is_none_or(|peer| peer == candidate)
    });
    let number = |key: &str| chosen.and_then(|comparison| comparison["cpu"][key].as_f64());
    let (Some(median), Some(max), Some(min)) = (number("median"), number("max"), number("min"))
    else {
        return failed("nothing to compare with");
    };
    let against = chosen.and_then(|comparison| comparison["peer"].as_str()).unwrap_or_default();
    let warnings = table["warnings"].as_array().into_iter().flatten();
    let warnings: Vec<_> = warnings.filter_map(Value::as_str).collect();
    let rows = table["rows"].as_array().into_iter().flatten();
    let rounds = rows.filter_map(|row| Some(row["samples"].as_array()?.len())).max();
    vec![json!({
        "item": name,
        "figure": format!("{median:.3} x {against} ({min:.3} to {max:.3})"),
        "bound": bound,
        "n": rounds,
        "worst": format!("{max:.3}"),
        "median": format!("{median:.3}"),
        "passed": median <= most,
        "note": warnings.join("; "),
    })]
}

/// Resident memory per idle session of ours; the peers' are in the table.
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
        let one = |peer, most| comparison(&report(), "6", "tcp-bulk-down/16", peer, most).remove(0);
        let tuned = one(Some("haproxy-tuned"), 0.9);
        assert_eq!(tuned["figure"], "0.850 x haproxy-tuned.splice-auto (0.750 to 0.950)");
        assert_eq!(
            (&tuned["passed"], &tuned["n"], &tuned["worst"]),
            (&json!(true), &json!(3), &json!("0.950"))
        );
        assert_eq!(tuned["note"], "GENERATOR LIMIT");
        let best = one(None, 0.9);
        assert_eq!((&best["passed"], &best["median"]), (&json!(false), &json!("0.950")));
        assert_eq!(one(Some("envoy"), 9.0)["passed"], false);
        assert_eq!(comparison(&report(), "6", "other", None, 9.0)[0]["figure"], "not measured");
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
