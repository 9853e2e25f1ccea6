//! Metrics of a running engine, asked over HTTP: figures after known traffic, and a page that is
//! right in every line.

mod common;

use common::Balancer;
use common::ask::{self, Page};
use eclusa_config::list::List;
use eclusa_config::plan::{EndpointAddress, HttpProbe, Peek, Plan, Pool, Probe, Program, TlsProbe};
use eclusa_policy::condition::Subject;
use eclusa_policy::replay;
use eclusa_policy::verdict::{Check, Settings};
use eclusa_proxy::observe::metrics::table;
use eclusa_testkit::apiserver::{ApiServer, Settings as Master};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::wait_until;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(10);
const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A balancer that is asked.
fn start(endpoints: &[SocketAddr], change: impl FnOnce(&mut Plan)) -> (Balancer, SocketAddr) {
    let asked = common::ask::free_address();
    let balancer = Balancer::start(endpoints, |plan| {
        plan.observe.listen = vec![asked];
        change(plan);
    });
    (balancer, asked)
}

fn pool_of(plan: &mut Plan) -> &mut Pool {
    Arc::make_mut(&mut plan.pools[0])
}

/// A session that says `bytes` and gets them back.
fn echo(balancer: &Balancer, bytes: &[u8]) {
    let mut client = balancer.connect();
    client.write_all(bytes).expect("it reads");
    client.shutdown(Shutdown::Write).expect("it is connected");
    let mut got = Vec::new();
    client.read_to_end(&mut got).expect("it answers");
    assert_eq!(got, bytes);
}

fn wait_for(asked: SocketAddr, sample: &str, value: f64) {
    wait_until(LIMIT, &format!("{sample} {value}"), || Page::of(asked).get(sample) == Some(value));
}

/// Masters that are probed over TLS.
fn masters(count: usize) -> (Vec<ApiServer>, Vec<SocketAddr>) {
    let ca = Ca::new();
    let master = |index| Master::new(&format!("m{index}"), &ca.leaf(&["kubernetes"]));
    let start = |index| ApiServer::start(LOCAL, master(index)).expect("a master");
    let masters: Vec<_> = (0..count).map(start).collect();
    let addresses = masters.iter().map(ApiServer::address).collect();
    (masters, addresses)
}

fn probe_masters(plan: &mut Plan) {
    plan.program = Program::Apiserver;
    let pool = pool_of(plan);
    pool.probe = Probe::Http(HttpProbe {
        tls: Some(TlsProbe { server_name: Some("kubernetes".into()), ca: None, client: None }),
        http2: false,
        checks: vec![(Check::Ready, "/readyz".into()), (Check::Live, "/livez".into())],
        method: "GET".into(),
        host: None,
        token_file: None,
        body: None,
        statuses: vec![(200, 299)],
    });
    pool.judge = Settings::apiserver();
}

#[test]
fn counters_after_known_traffic_are_exact() {
    let (balancer, asked) = start(&[common::echo_after_eof()], |plan| plan.workers = Some(2));
    let before = Instant::now();
    for _ in 0..7 {
        echo(&balancer, &[b'x'; 1000]);
    }
    let bulk = common::pattern(200_000);
    echo(&balancer, &bulk);
    let ended = r#"{ended_by="client",how="clean",listener="test",step="data"}"#;
    wait_for(asked, &format!("eclusa_listener_sessions_ended_total{ended}"), 8.0);
    let took = before.elapsed();
    let page = Page::of(asked);
    let exact = [
        (r#"eclusa_listener_sessions_total{listener="test"}"#, 8),
        (r#"eclusa_listener_bytes_total{direction="up",listener="test"}"#, 207_000),
        (r#"eclusa_listener_bytes_total{direction="down",listener="test"}"#, 207_000),
        (r#"eclusa_listener_preamble_seconds_count{listener="test"}"#, 8),
        (r#"eclusa_listener_session_seconds_count{listener="test"}"#, 8),
        (
            r#"eclusa_pool_sessions_ended_total{ended_by="client",how="clean",pool="pool",step="data"}"#,
            8,
        ),
        (r#"eclusa_pool_bytes_total{direction="up",pool="pool"}"#, 207_000),
        (r#"eclusa_pool_bytes_total{direction="down",pool="pool"}"#, 207_000),
        (r#"eclusa_pool_dial_seconds_count{pool="pool"}"#, 8),
        (r#"eclusa_pool_first_byte_seconds_count{pool="pool"}"#, 8),
        (r#"eclusa_pool_redials_total{pool="pool"}"#, 0),
        (r#"eclusa_pool_tcp_rtt_seconds_count{pool="pool",side="client"}"#, 8),
        (r#"eclusa_pool_tcp_rtt_seconds_count{pool="pool",side="endpoint"}"#, 8),
        ("eclusa_sessions", 0),
    ];
    for (sample, count) in exact {
        assert_eq!(page.get(sample), Some(f64::from(count)), "{sample}");
    }
    let total = page.get(r#"eclusa_listener_session_seconds_sum{listener="test"}"#).unwrap();
    assert!(total > 0.0 && total <= 8.0 * took.as_secs_f64(), "{total} of {took:?}");
    let address = balancer.engine().status().pools[0].endpoints()[0].address();
    let endpoint = format!(r#"{{address="{address}",endpoint="{address}",pool="pool"}}"#);
    assert_eq!(page.get(&format!("eclusa_endpoint_picks_total{endpoint}")), Some(8.0));
    assert_eq!(page.get(&format!("eclusa_endpoint_sessions{endpoint}")), Some(0.0));
}

#[test]
fn sessions_count_while_they_stand_and_by_who_ended_them() {
    let (balancer, asked) = start(&[common::unused_address(), common::echo_after_eof()], |plan| {
        plan.sessions_max = Some(50);
    });
    let held: Vec<_> = (0..3).map(|_| balancer.connect()).collect();
    balancer.wait_for_sessions(3);
    let page = Page::of(asked);
    assert_eq!(page.get("eclusa_sessions"), Some(3.0));
    assert_eq!(page.get("eclusa_sessions_max"), Some(50.0));
    assert_eq!(page.get(r#"eclusa_worker_sessions{worker="0"}"#), Some(3.0));
    for client in held {
        common::reset(client);
    }
    let ended = r#"{ended_by="client",how="abort",listener="test",step="data"}"#;
    wait_for(asked, &format!("eclusa_listener_sessions_ended_total{ended}"), 3.0);
    let (page, engine) = (Page::of(asked), balancer.engine());
    let endpoints = engine.status().pools[0].endpoints();
    let failed = endpoints[0].failures();
    assert!(failed > 0, "one refuses");
    let refusing = endpoints[0].address();
    let endpoint = format!(r#"{{address="{refusing}",endpoint="{refusing}",pool="pool"}}"#);
    let failures = format!("eclusa_endpoint_dial_failures_total{endpoint}");
    assert_eq!(page.count(&failures), failed);
    assert_eq!(page.count(r#"eclusa_pool_redials_total{pool="pool"}"#), failed);
    let refused = r#"eclusa_pool_evidence_total{kind="dial_failed",pool="pool"}"#;
    // The probes' thread counts what workers tell it.
    wait_until(LIMIT, "traffic told of it", || Page::of(asked).count(refused) > 0);
}

#[test]
fn a_client_that_is_turned_away_counts_at_its_step() {
    let (balancer, asked) = start(&[common::unused_address()], |plan| {
        plan.listeners[0].access =
            eclusa_policy::access::Access::new(&["10.0.0.0/8".parse().unwrap()], &[]);
    });
    assert!(matches!(balancer.connect().read(&mut [0]), Ok(0) | Err(_)));
    let ended = r#"{ended_by="proxy",how="abort",listener="test",step="access"}"#;
    wait_for(asked, &format!("eclusa_listener_sessions_ended_total{ended}"), 1.0);
    let page = Page::of(asked);
    assert_eq!(page.get(r#"eclusa_listener_preamble_seconds_count{listener="test"}"#), None);
    assert_eq!(page.get(r#"eclusa_pool_dial_seconds_count{pool="pool"}"#), None);
}

#[test]
fn the_verdict_follows_the_death_of_an_endpoint() {
    let (mut masters, addresses) = masters(3);
    let (_balancer, asked) = start(&addresses, probe_masters);
    wait_for(asked, r#"eclusa_pool_ready{pool="pool"}"#, 3.0);
    let page = Page::of(asked);
    assert_eq!(page.get(r#"eclusa_pool_can_lose{pool="pool"}"#), Some(1.0));
    assert_eq!(
        page.get(r#"eclusa_pool_verdict_changes_total{pool="pool",verdict="up"}"#),
        Some(3.0)
    );
    let gone = masters.remove(2);
    let address = gone.address();
    let of = |name: &str, more: &str| {
        format!(r#"{name}{{address="{address}",endpoint="{address}",pool="pool"{more}}}"#)
    };
    let end = page.get(&of("eclusa_endpoint_certificate_expiry_timestamp_seconds", "")).unwrap();
    assert!(end > page.get("process_start_time_seconds").unwrap(), "{end}");
    drop(gone);
    wait_for(asked, &of("eclusa_endpoint_verdict", r#",verdict="dead""#), 1.0);
    let page = Page::of(asked);
    assert_eq!(page.get(&of("eclusa_endpoint_verdict", r#",verdict="up""#)), Some(0.0));
    assert_eq!(page.get(r#"eclusa_pool_ready{pool="pool"}"#), Some(2.0));
    assert_eq!(page.get(r#"eclusa_pool_can_lose{pool="pool"}"#), Some(0.0));
    assert_eq!(page.get(r#"eclusa_pool_available{pool="pool"}"#), Some(1.0));
    let dead = r#"eclusa_pool_verdict_changes_total{pool="pool",verdict="dead"}"#;
    assert_eq!(page.get(dead), Some(1.0));
    assert!(page.count(r#"eclusa_pool_evidence_total{kind="refused",pool="pool"}"#) > 0);
    assert!(page.count(r#"eclusa_pool_probes_total{pool="pool",way="fresh"}"#) >= 3);
    let since = page.get(&of("eclusa_endpoint_verdict_since_timestamp_seconds", "")).unwrap();
    let age = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!((age.as_secs_f64() - since).abs() < 10.0, "{since}");
}

#[test]
fn waits_for_a_place_count_by_what_came_of_them() {
    let (balancer, asked) = start(&[common::echo_after_eof()], |plan| {
        let pool = pool_of(plan);
        pool.endpoints[0].sessions_max = Some(1);
        pool.queue.length = 1;
    });
    let sample = |name: &str, more: &str| format!(r#"{name}{{{more}pool="pool"}}"#);
    let queued =
        |outcome: &str| sample("eclusa_pool_queued_total", &format!(r#"outcome="{outcome}","#));
    let holder = balancer.connect();
    balancer.wait_for_sessions(1);
    let mut waits = balancer.connect();
    wait_for(asked, &sample("eclusa_pool_waiting", ""), 1.0);
    assert!(balancer.connect().read(&mut [0]).is_err(), "the queue is full");
    wait_for(asked, &queued("full"), 1.0);
    drop(holder);
    waits.write_all(b"x").expect("it reads");
    waits.shutdown(Shutdown::Write).expect("it is connected");
    assert_eq!(waits.read(&mut [0]).expect("an answer"), 1);
    drop(waits);
    wait_for(asked, &sample("eclusa_pool_queue_seconds_count", ""), 1.0);
    let page = Page::of(asked);
    assert_eq!(page.get(&queued("placed")), Some(1.0));
    assert_eq!(page.get(&queued("timed_out")), Some(0.0));
    assert_eq!(page.get(&sample("eclusa_pool_waiting", "")), Some(0.0));
    assert_eq!(page.get(&sample("eclusa_pool_waiting_max", "")), Some(1.0));
    assert_eq!(page.get(&sample("eclusa_pool_rebalanced_total", "")), Some(0.0));
}

#[test]
fn replays_count() {
    let frozen = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hello: Vec<u8> = {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
        let mut message = vec![1, 0, 0, u8::try_from(body.len()).unwrap()];
        message.extend(&body);
        let mut record = vec![0x16, 3, 1, 0, u8::try_from(message.len()).unwrap()];
        record.extend(&message);
        record
    };
    let length = hello.len();
    let answering = common::serve(move |mut stream| {
        let mut got = vec![0; length];
        if stream.read_exact(&mut got).is_ok() {
            let _ = stream.write_all(b"hello");
            let _ = stream.read(&mut got);
        }
    });
    let endpoints = [frozen.local_addr().unwrap(), answering];
    let (balancer, asked) = start(&endpoints, |plan| {
        plan.listeners[0].peek = Peek::Tls;
        pool_of(plan).replay = Some(replay::Settings::default());
    });
    for _ in 0..2 {
        let mut client = balancer.connect();
        client.write_all(&hello).unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
    }
    let counted = || {
        let first_bytes = r#"eclusa_pool_first_byte_seconds_count{pool="pool"}"#;
        Page::of(asked).count(first_bytes) == 2
    };
    wait_until(LIMIT, "two sessions", counted);
    let page = Page::of(asked);
    let replays = page.count(r#"eclusa_pool_replays_total{pool="pool"}"#);
    assert!(replays >= 1, "one went to the frozen endpoint first");
    assert_eq!(page.count(r#"eclusa_pool_replays_won_total{by="second",pool="pool"}"#), replays);
    assert_eq!(page.count(r#"eclusa_pool_replays_won_total{by="first",pool="pool"}"#), 0);
    let waited = page.get(r#"eclusa_pool_first_byte_seconds_sum{pool="pool"}"#).unwrap();
    assert!(waited > 0.5, "the replay's clock is in it: {waited}");
}

#[test]
fn the_control_side_counts() {
    let (balancer, asked) = start(&[common::unused_address()], |_| {});
    let metrics = balancer.engine().metrics();
    let page = Page::of(asked);
    assert_eq!(page.get("eclusa_config_generation"), Some(1.0));
    assert_eq!(page.get(r#"eclusa_reloads_total{outcome="refused"}"#), Some(0.0));
    metrics.reloaded();
    metrics.reload_refused();
    metrics.engine_restarts(3);
    metrics.worker_replaced();
    let page = Page::of(asked);
    assert_eq!(page.get("eclusa_config_generation"), Some(2.0));
    assert_eq!(page.get("eclusa_last_reload_successful"), Some(0.0));
    assert_eq!(page.get(r#"eclusa_reloads_total{outcome="done"}"#), Some(1.0));
    assert_eq!(page.get(r#"eclusa_reloads_total{outcome="refused"}"#), Some(1.0));
    assert_eq!(page.get("eclusa_engine_restarts_total"), Some(3.0));
    assert_eq!(page.get("eclusa_workers_replaced_total"), Some(1.0));
    metrics.reloaded();
    assert_eq!(Page::of(asked).get("eclusa_last_reload_successful"), Some(1.0));
}

/// Every name of the table is there, in its order and with its type, and no other is.
#[test]
fn the_page_is_the_table() {
    let (_masters, addresses) = masters(3);
    let (balancer, asked) = start(&addresses, |plan| {
        probe_masters(plan);
        plan.workers = Some(2);
        pool_of(plan).endpoints.iter_mut().for_each(|one| one.sessions_max = Some(1));
        plan.lists = vec![Arc::new(List::new(Subject::Source, "/nowhere".into()))];
    });
    wait_for(asked, r#"eclusa_pool_ready{pool="pool"}"#, 3.0);
    let holders: Vec<_> = addresses.iter().map(|_| balancer.connect()).collect();
    balancer.wait_for_sessions(3);
    let mut client = balancer.connect();
    client.write_all(b"no TLS at all\r\n\r\n").unwrap();
    wait_for(asked, r#"eclusa_pool_waiting{pool="pool"}"#, 1.0);
    drop(holders);
    client.shutdown(Shutdown::Write).unwrap();
    client.set_read_timeout(Some(LIMIT)).unwrap();
    let _ = client.read_to_end(&mut Vec::new());
    balancer.wait_for_sessions(0);
    let page = Page::of(asked);
    let expected: Vec<_> = table::all()
        .map(|metric| (metric.name.to_owned(), metric.kind.word().to_owned()))
        .collect();
    assert_eq!(page.families, expected);
    // TLS and HTTP, and certificates, are the business of another crate.
    let (_, of_http) = table::PARTS.iter().find(|(part, _)| *part == "TLS and HTTP").unwrap();
    let of_http = of_http.iter().filter(|metric| metric.labels != ["worker"]);
    // There is none here.
    let (_, of_page) = table::PARTS.iter().find(|(part, _)| *part == "The dashboard").unwrap();
    // Nobody observes.
    let (_, of_observe) = table::PARTS.iter().find(|(part, _)| part.contains("observe`")).unwrap();
    let of_none = of_page.iter().chain(*of_observe);
    let mut without: Vec<_> = of_http.chain(of_none).map(|metric| metric.name).collect();
    without.push("eclusa_listener_certificate_expiry_timestamp_seconds");
    without.sort_by_key(|name| table::all().position(|metric| metric.name == *name));
    assert_eq!(page.empty(), without, "after a session that waited all others have a sample");
}

#[test]
fn promtool_finds_nothing_to_say() {
    let (_masters, addresses) = masters(1);
    // With the names of HAProxy's exporter beside ours.
    let (_balancer, asked) = start(&addresses, |plan| {
        probe_masters(plan);
        plan.observe.haproxy_names = true;
    });
    wait_for(asked, r#"eclusa_pool_ready{pool="pool"}"#, 1.0);
    let page = Page::of(asked);
    assert_eq!(page.get(r#"haproxy_backend_active_servers{proxy="pool"}"#), Some(1.0));
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match promtool {
        Ok(promtool) => promtool,
        Err(error) if std::env::var_os("CI").is_none() => {
            return eprintln!("SKIPPED: promtool (Debian: prometheus) does not run: {error}");
        }
        Err(error) => panic!("promtool (Debian: prometheus): {error}"),
    };
    let page = ask::get(asked, "/metrics").body;
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn a_thousand_endpoints_are_told_quickly() {
    let endpoint = |n: usize| SocketAddr::from(([10, 0, (n / 250) as u8, (n % 250) as u8], 443));
    let endpoints: Vec<_> = (0..1000).map(endpoint).collect();
    let (_balancer, asked) = start(&endpoints, |_| {});
    ask::get(asked, "/metrics");
    let began = Instant::now();
    let answer = ask::get(asked, "/metrics");
    let took = began.elapsed();
    println!("{} bytes in {took:?}", answer.body.len());
    assert!(took < Duration::from_millis(500), "{took:?} (without optimisation)");
    let page = Page::parse(&answer.body);
    assert!(page.len() > 15 * 1000, "{} samples", page.len());
    assert_eq!(page.get(r#"eclusa_pool_endpoints{pool="pool"}"#), Some(1000.0));
}

#[test]
fn names_stand_on_the_page_as_they_are() {
    let (_balancer, asked) = start(&[common::unused_address()], |plan| {
        let pool = pool_of(plan);
        pool.endpoints[0].name = "[fd00::1]:443".into();
        pool.endpoints[0].address = EndpointAddress::Socket("[fd00::1]:443".parse().unwrap());
    });
    let endpoint = r#"{address="[fd00::1]:443",endpoint="[fd00::1]:443",pool="pool"}"#;
    let page = Page::of(asked);
    assert_eq!(page.get(&format!("eclusa_endpoint_weight{endpoint}")), Some(1.0));
}

#[test]
fn the_reference_is_up_to_date() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let page = table::render();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, page).unwrap();
    } else {
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == page, "run: BLESS=1 cargo test -p eclusa-proxy --test metrics");
    }
}
