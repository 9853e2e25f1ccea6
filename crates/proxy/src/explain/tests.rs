//! Endpoints of an explanation: the picks of traffic are among them, and the reasons are right.

use super::*;
use crate::pool::Pickers;
use eclusa_config::plan::Program;
use eclusa_config::{Mode, parse};
use eclusa_policy::verdict::{Reason, Tier, Verdict};
use std::collections::BTreeSet;
use std::net::IpAddr;

fn plan(balance: &str, endpoints: &str) -> Plan {
    let text = format!(
        "[listener.web]\nlisten = [\"0.0.0.0:443\"]\npool = \"web\"\n\
         [pool.web]\nbalance = \"{balance}\"\nprobe = {{ kind = \"none\" }}\nendpoints = [{endpoints}]\n"
    );
    let loaded = parse(Program::Edge, "t", &text, Mode::Offline);
    loaded.unwrap_or_else(|wrong| panic!("{wrong}")).plan
}

fn asked(from: IpAddr) -> Explain {
    serde_json::from_value(serde_json::json!({ "from": from })).unwrap()
}

fn pool(plan: &Plan) -> Arc<Pool> {
    Arc::new(Pool::new(plan.pools[0].clone(), &Metrics::new(1, "test")))
}

fn explained(plan: &Plan, pool: &Arc<Pool>, from: IpAddr) -> PoolReport {
    let (pools, services) = ([Arc::clone(pool)], Services::new());
    let live = Live { pools: &pools, services: &services, now: Time::from_millis(1_000) };
    answer(plan, &asked(from), Some(live)).unwrap().pools.remove(0)
}

const FOUR: &str = "\"10.0.0.1:1\", \"10.0.0.2:1\", \"10.0.0.3:1\", \
                    { address = \"10.0.0.4:1\", backup = true }";

#[test]
fn what_traffic_picks_is_among_those_with_a_share() {
    for (name, _) in Algorithm::ALL {
        let plan = plan(name, FOUR);
        let pool = pool(&plan);
        let dead = &pool.endpoints()[0];
        let report = dead.report();
        pool.publish(
            dead,
            eclusa_policy::verdict::Report {
                verdict: Verdict::Dead,
                reason: Reason::NotProbed,
                tier: Tier::Closed,
                ..report
            },
        );
        let pickers = Pickers::new(0);
        for last in 0..40 {
            let from = IpAddr::from([192, 0, 2, last]);
            let told = explained(&plan, &pool, from);
            let positions: Vec<_> = told.endpoints.iter().map(|it| &*it.position).collect();
            assert_eq!(positions, ["out", "candidate", "candidate", "spare"], "{name}");
            let with_share = told.endpoints.iter().filter(|endpoint| endpoint.share > 0.0);
            let with_share: BTreeSet<_> =
                with_share.map(|endpoint| endpoint.name.clone()).collect();
            let wanted = Wanted {
                source: from,
                excluded: &[],
                now: Time::from_millis(1_000),
                any: false,
                key: None,
                at: None,
            };
            let lease = pickers.pick(&pool, wanted).unwrap();
            let picked = lease.endpoint().name().to_string();
            assert!(with_share.contains(&picked), "{name}: {picked} {told:?}");
            if let Some(next) = &told.next {
                assert_eq!(*next, picked, "{name}");
            }
            let decided = matches!(name, "source-hash" | "first");
            assert_eq!(told.next.is_some(), decided, "{name}: {told:?}");
            let sum: f64 = told.endpoints.iter().map(|endpoint| endpoint.share).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{name}: {sum}");
        }
    }
}

#[test]
fn shares_go_by_weight_and_what_is_full_gets_none() {
    let plan = plan(
        "round-robin",
        "{ address = \"10.0.0.1:1\", weight = 3 }, \"10.0.0.2:1\", \
         { address = \"10.0.0.3:1\", sessions_max = 1 }",
    );
    let pool = pool(&plan);
    let pickers = Pickers::new(0);
    let client = IpAddr::from([192, 0, 2, 1]);
    let others: Vec<_> = pool.endpoints()[..2].iter().map(|endpoint| endpoint.address()).collect();
    let now = Time::from_millis(1_000);
    let wanted = Wanted { source: client, excluded: &others, now, any: false, key: None, at: None };
    let held = pickers.pick(&pool, wanted).unwrap();
    let told = explained(&plan, &pool, client);
    let shares: Vec<_> = told.endpoints.iter().map(|endpoint| endpoint.share).collect();
    assert!((shares[0] - 0.75).abs() < 0.01 && shares[2] == 0.0, "{shares:?}");
    assert_eq!(told.endpoints[2].position, "full");
    assert!(told.endpoints[2].because.contains("all of its places are taken (1)"), "{told:?}");
    drop(held);
    assert_eq!(explained(&plan, &pool, client).endpoints[2].position, "candidate");
}

#[test]
fn offline_all_are_up_and_names_are_not_resolved() {
    let plan = plan("round-robin", "\"10.0.0.1:1\", \"ingress.example.com:1\"");
    let told = answer(&plan, &asked([192, 0, 2, 1].into()), None).unwrap();
    assert!(told.offline);
    let positions: Vec<_> = told.pools[0].endpoints.iter().map(|it| &*it.position).collect();
    assert_eq!(positions, ["candidate", "unresolved"]);
}

#[test]
fn a_route_that_asks_for_endpoints_sees_those_that_are_well() {
    let text = "[listener.web]\nlisten = [\"0.0.0.0:443\"]\npool = \"rest\"\n\
                [[listener.web.route]]\navailable = { cache = 2 }\npool = \"cache\"\n\
                [pool.cache]\nprobe = { kind = \"none\" }\nendpoints = [\"10.0.0.1:1\", \"10.0.0.2:1\", \
                { address = \"10.0.0.3:1\", backup = true }]\n\
                [pool.rest]\nprobe = { kind = \"none\" }\nendpoints = [\"10.0.0.9:1\"]\n";
    let plan = parse(Program::Edge, "t", text, Mode::Offline).unwrap().plan;
    let metrics = Metrics::new(1, "test");
    let pools: Vec<_> =
        plan.pools.iter().map(|pool| Arc::new(Pool::new(pool.clone(), &metrics))).collect();
    let services = Services::new();
    let told = || {
        let live = Live { pools: &pools, services: &services, now: Time::from_millis(1_000) };
        let told = answer(&plan, &asked([192, 0, 2, 1].into()), Some(live)).unwrap();
        let fact = told.routes[0].why.fact.clone().unwrap_or_default();
        (told.pools[0].name.clone(), fact)
    };
    assert_eq!(told(), ("cache".to_owned(), "2 are well".to_owned()));
    let hold = |slot: usize, verdict, correlated| {
        let endpoint = &pools[0].endpoints()[slot];
        let report = eclusa_policy::verdict::Report { verdict, correlated, ..endpoint.report() };
        pools[0].publish(endpoint, report);
    };
    for (verdict, correlated, well) in [
        (Verdict::Suspect, false, 2),
        (Verdict::Suspect, true, 1),
        (Verdict::Draining, false, 1),
        (Verdict::Unknown, false, 2),
        (Verdict::Dead, false, 1),
    ] {
        hold(0, verdict, correlated);
        let pool = if well == 2 { "cache" } else { "rest" };
        assert_eq!(told(), (pool.to_owned(), format!("{well} are well")), "{verdict:?}");
    }
    // The backup counts where nobody else does.
    hold(1, Verdict::Dead, false);
    assert_eq!((pools[0].available(9), told().1.as_str()), (1, "1 are well"));
    hold(2, Verdict::Dead, false);
    assert_eq!(pools[0].available(9), 0);
    let offline = answer(&plan, &asked([192, 0, 2, 1].into()), None).unwrap();
    assert_eq!(offline.pools[0].name, "cache", "all are taken to be well");
}
