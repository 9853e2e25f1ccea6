//! What the keys of probes and of what follows from them mean in the plan.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use eclusa_config::plan::{BodyPattern, Pool, Probe, Program};
use eclusa_config::{Mode, parse, reference};
use eclusa_policy::balance::Algorithm;
use eclusa_policy::verdict::{Check, Settings};
use std::sync::Arc;
use std::time::Duration;

const MASTERS: &str = "masters = [\"10.0.0.11\", \"10.0.0.12\", \"10.0.0.13\"]\n";

fn pool(program: Program, text: &str) -> Arc<Pool> {
    let loaded = parse(program, "probes.toml", text, Mode::Offline);
    let loaded = loaded.unwrap_or_else(|errors| panic!("{errors}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    loaded.plan.pools[0].clone()
}

fn masters(keys: &str) -> Arc<Pool> {
    pool(Program::Apiserver, &format!("{MASTERS}{keys}"))
}

fn edge(keys: &str) -> Arc<Pool> {
    let listener = "[listener.web]\nlisten = \"0.0.0.0:443\"\npool = \"web\"\n";
    let endpoints = "endpoints = [\"10.0.1.100:443\", \"10.0.1.101:443\"]";
    pool(Program::Edge, &format!("{listener}[pool.web]\n{endpoints}\n{keys}\n"))
}

#[test]
fn what_is_left_out_is_the_preset() {
    let pool = masters("");
    assert_eq!(pool.judge, Settings::apiserver());
    assert!(pool.replay == Some(Default::default()) && pool.early_ends_weigh);
    let Probe::Http(http) = &pool.probe else { panic!("{:?}", pool.probe) };
    let checks: Vec<_> = http.checks.iter().map(|(check, path)| (*check, &**path)).collect();
    assert_eq!(checks, [(Check::Ready, "/readyz"), (Check::Live, "/livez")]);
    assert_eq!((&*http.method, &*http.statuses), ("GET", &[(200, 299)][..]));
    assert!(http.tls.is_some() && http.host.is_none() && http.token_file.is_none());
    assert!(http.body.is_none());

    let pool = edge("");
    assert_eq!((&pool.judge, &pool.probe), (&Settings::edge_tcp(), &Probe::Tcp));
    assert!(pool.replay.is_none() && !pool.early_ends_weigh);
    for kind in ["tls", "none"] {
        assert_eq!(edge(&format!("probe.kind = \"{kind}\"")).judge, Settings::edge_tcp());
    }
    for kind in ["http", "https"] {
        assert_eq!(edge(&format!("probe.kind = \"{kind}\"")).judge, Settings::edge());
    }
}

#[test]
fn other_kinds_for_masters() {
    let connect = Settings { checks: vec![Check::Connect], ..Settings::apiserver() };
    for kind in ["tcp", "tls", "none"] {
        assert_eq!(masters(&format!("probe.kind = \"{kind}\"")).judge, connect);
    }
    let pool = masters("probe = { live_path = \"none\", path = \"/healthz\" }");
    let ready = Settings { checks: vec![Check::Ready], ..Settings::apiserver() };
    assert_eq!(pool.judge, ready);
}

#[test]
fn keys_override_the_preset() {
    let pool = edge(
        "reset_silent = \"0s\"\nreset_sick = \"1m\"\nfail_open = true\nslow_start = \"0s\"\n\
         probe = { kind = \"http\", interval = \"2s\", fast_interval = \"500ms\", \
         timeout = \"1s\", late_after = \"4s\", rise = 4, fall = 5, fresh_every = 6, \
         live_path = \"/alive\", host = \"[FD00::1]:80\", status = [\"2xx\", \"301-302\", \"404\"] }",
    );
    let wanted = Settings {
        checks: vec![Check::Ready, Check::Live],
        interval: Duration::from_secs(2),
        fast_interval: Duration::from_millis(500),
        hello_within: Duration::from_secs(1),
        overdue_after: Duration::from_secs(1) / 3,
        late_after: Duration::from_secs(4),
        rise: 4,
        fall: 5,
        fresh_every: 6,
        reset_silent_after: Some(Duration::ZERO),
        reset_sick_after: Some(Duration::from_secs(60)),
        fail_open: true,
        slow_start: Duration::ZERO,
        ..Settings::edge()
    };
    assert_eq!(pool.judge, wanted);
    let Probe::Http(http) = &pool.probe else { panic!("{:?}", pool.probe) };
    assert_eq!(http.statuses, [(200, 299), (301, 302), (404, 404)]);
    assert_eq!(http.host.as_deref(), Some("[fd00::1]:80"));
}

#[test]
fn a_body_is_matched_as_bytes() {
    let fits = |pattern: &str, body: &[u8]| {
        let pool = edge(&format!("probe = {{ kind = \"http\", body = '{pattern}' }}"));
        let Probe::Http(http) = &pool.probe else { panic!("{:?}", pool.probe) };
        http.body.as_ref().unwrap().matches(body)
    };
    for (pattern, good, bad) in [
        ("^ok$", &b"ok"[..], &b"ok\n"[..]),
        ("ok", b"is ok!", b"no"),
        ("(?i)ready", b"READY", b"steady"),
        (r"(?m)^up \d+$", b"x\nup 12\ny", b"up "),
        ("zürich", "Zürich zürich".as_bytes(), b"zurich"),
        (r"\xff", b"\xfe\xff", b"\xfe"),
    ] {
        assert!(fits(pattern, good), "{pattern}");
        assert!(!fits(pattern, bad), "{pattern}");
    }
    let most = BodyPattern::LOOKED_AT;
    let body = |at: usize| [vec![b'x'; at], b"ok".to_vec()].concat();
    assert!(fits("ok", &body(most - 2)) && !fits("ok", &body(most - 1)));
}

#[test]
fn without_answers_fall_counts_connections() {
    for kind in ["tcp", "tls"] {
        let judge = edge(&format!("probe = {{ kind = \"{kind}\", fall = 4 }}")).judge.clone();
        assert_eq!(judge, Settings { fall: 4, confirm: 4, ..Settings::edge_tcp() });
    }
    assert_eq!(edge("probe = { kind = \"http\", fall = 4 }").judge.confirm, 2);
}

#[test]
fn a_short_interval_is_the_fast_one_too() {
    let judge = edge("probe.interval = \"200ms\"").judge.clone();
    assert_eq!([judge.interval, judge.fast_interval], [Duration::from_millis(200); 2]);
}

#[test]
fn every_algorithm_can_be_written() {
    for (name, algorithm) in Algorithm::ALL {
        assert_eq!(edge(&format!("balance = \"{name}\"")).balance, algorithm);
        assert!(reference::table::BALANCE.help.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn headers_can_be_padded() {
    let align = |keys: &str| edge(keys).send_proxy.unwrap().tlvs.align.map(u8::from);
    assert_eq!(align("send_proxy = \"v2\""), None);
    assert_eq!(align("send_proxy = { version = 2, align = 64 }"), Some(64));
}
