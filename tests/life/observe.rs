//! `observe` beside Debian's HAProxy: masters die and turn unready under both, and the summary says who
//! noticed what, and when.

use e2e::ask::get_here;
use e2e::product::{ConfigFile, PATIENCE, Program};
use e2e::proof::{Item, full, median, size};
use eclusa_testkit::apiserver::{ApiServer, Settings};
use eclusa_testkit::ca::Ca;
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::process::{Peer, PeerError, Runner, Running, Signal, binary};
use eclusa_testkit::wait::{free_port, wait_until};
use serde_json::Value;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

const LOCAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// HAProxy with checks that only connect, as most files have them; `None`: it is not installed.
fn haproxy(port: u16, more: &str, endpoints: &[(String, SocketAddr)]) -> Option<Peer> {
    let mut config = format!(
        "global\n  stats socket {{directory}}/stats.sock mode 600 level admin\n\
         defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n\
         {more}frontend apiserver\n  bind 127.0.0.1:{port}\n  default_backend masters\n\
         backend masters\n  default-server check inter 200ms fall 2 rise 1\n"
    );
    for (name, address) in endpoints {
        writeln!(config, "  server {name} {address}").unwrap();
    }
    match Peer::haproxy(None, &config, &[port]) {
        Ok(peer) => Some(peer),
        Err(PeerError::Missing(why)) if std::env::var_os("CI").is_none() => {
            eprintln!("SKIPPED: {why}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn observe(program: Program, config: &ConfigFile, arguments: &[&str]) -> Running {
    let runner = Runner::new(binary(program.name()).unwrap()).args(["observe", "-c"]);
    runner.args([config.path()]).args(arguments).start().unwrap_or_else(|error| panic!("{error}"))
}

/// Masters, HAProxy in front of them, and who observes both.
struct Bed {
    observer: Running,
    haproxy: Peer,
    masters: Vec<ApiServer>,
    metrics: SocketAddr,
    _config: ConfigFile,
}

impl Bed {
    fn start() -> Option<Self> {
        let ca = Ca::new();
        let settings = |n| Settings::new(&format!("m{n}"), &ca.leaf(&["kubernetes"]));
        let masters: Vec<_> =
            (1..=5).map(|n| ApiServer::start(LOCAL, settings(n)).unwrap()).collect();
        let named = masters.iter().map(|it| (it.name().to_owned(), it.address()));
        let haproxy = haproxy(free_port(), "", &named.collect::<Vec<_>>())?;
        let metrics = SocketAddr::new(LOCAL.ip(), free_port());
        let addresses: Vec<_> =
            masters.iter().map(|it| format!("{:?}", it.address().to_string())).collect();
        let config =
            format!("masters = [{}]\n[observe]\nlisten = [\"{metrics}\"]\n", addresses.join(", "));
        let config = ConfigFile::new(&config);
        let socket = haproxy.directory().join("stats.sock").display().to_string();
        let observer = observe(Program::Apiserver, &config, &["--haproxy", &socket, "--json"]);
        let mut bed = Self { observer, haproxy, masters, metrics, _config: config };
        bed.wait_for_verdicts("up", 5);
        // What both said before the first read is no change of mind.
        let read = "eclusa_observe_haproxy_reads_total{outcome=\"done\"}";
        wait_until(PATIENCE, "a read of HAProxy", || bed.sample(read) >= 1.0);
        Some(bed)
    }

    /// Waits until `count` masters have come to a verdict.
    fn wait_for_verdicts(&mut self, verdict: &str, count: usize) {
        let is_it = |event: &&Value| event["event"] == "verdict" && event["verdict"] == verdict;
        let what = format!("{count} verdicts {verdict}");
        wait_until(PATIENCE, &what, || {
            self.observer.events().iter().filter(is_it).count() >= count
        });
    }

    /// Waits for a line about a master, beyond those that `before` counts.
    fn wait_for(&mut self, kind: &str, master: usize, said: &str, before: usize) -> Value {
        let address = self.masters[master].address().to_string();
        let is_it = |event: &&Value| {
            event["event"] == kind && event["address"] == *address && event["said"] == said
        };
        let mut found = None;
        wait_until(PATIENCE, &format!("{kind} {said} of {address}"), || {
            found = self.observer.events().iter().filter(is_it).nth(before).cloned();
            found.is_some()
        });
        found.unwrap()
    }

    fn sample(&self, sample: &str) -> f64 {
        let page = get_here(self.metrics, "/metrics").body;
        let value = |line: &str| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok();
        page.lines().find_map(value).unwrap_or_else(|| panic!("no {sample} in {page}"))
    }

    /// Ends it; what the summary says of each master.
    fn end(&mut self) -> Vec<Value> {
        self.observer.signal(Signal::TERM).unwrap();
        let status = self.observer.wait_exit(PATIENCE);
        assert!(status.success(), "{}", self.observer.last_words());
        let of = |master: &ApiServer| {
            let address = master.address().to_string();
            let events = self.observer.events();
            let is_it =
                |event: &&Value| event["event"] == "summary" && event["address"] == *address;
            events.iter().rfind(is_it).cloned().expect("a summary of each")
        };
        self.masters.iter().map(of).collect()
    }
}

fn moment(change: &Value, key: &str) -> SystemTime {
    let text = change[key].as_str().unwrap_or_else(|| panic!("no {key} in {change}"));
    humantime::parse_rfc3339(text).unwrap()
}

/// How long after `begin` it was, in milliseconds; before it: negative.
fn after(begin: SystemTime, moment: SystemTime) -> i64 {
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap();
    moment.duration_since(begin).map_or_else(|error| -millis(error.duration()), millis)
}

/// A death that both notice (the first master's) and one that only readiness tells of (the second's).
#[test]
fn deaths_are_compared_and_what_haproxy_does_not_see_is_told() {
    let Some(mut bed) = Bed::start() else { return };
    let rounds = size(5, 1);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let began = SystemTime::now();
        bed.masters[0].fault(|faults| faults.refuse = true);
        bed.masters[0].cut();
        bed.masters[1].fault(|faults| faults.readyz = Some(500));
        let death = bed.wait_for("compared", 0, "out", round);
        let differs = bed.wait_for("disagreement", 1, "out", round);
        assert_eq!(differs["first"], "we", "{differs}");
        assert_eq!(differs["outcome"], "open", "{differs}");
        assert_eq!(differs["haproxy_because"], "UP, L4OK", "{differs}");
        ours.push(after(began, moment(&death, "we_at")));
        theirs.push(after(began, moment(&death, "haproxy_at")));
        if full() {
            bed.masters.iter().for_each(ApiServer::heal);
            bed.wait_for("compared", 0, "in", round);
            bed.wait_for("compared", 1, "out", round);
        }
    }
    let by_us = "eclusa_observe_disagreements_total{pool=\"apiserver\",out_by=\"we\"}";
    assert!(bed.sample(by_us) >= 1.0);
    assert_eq!(get_here(bed.metrics, "/vip").status, 503, "it holds no address");
    let files = std::fs::read_dir(bed.observer.run_directory()).unwrap().count();
    assert_eq!(files, 0, "no socket, no lock");
    if full() {
        broken_socket(&mut bed);
    }
    let summary = bed.end();
    let missed = "these endpoints of HAProxy's are in no pool";
    let is_missed = |it: &Value| it["message"].as_str().unwrap_or_default().starts_with(missed);
    assert!(!bed.observer.events().iter().any(is_missed), "the first read finds them all");
    let (dead, unready) = (&summary[0], &summary[1]);
    let deaths = &dead["deaths"];
    let noticed = ["we_first", "haproxy_first"].map(|who| deaths[who]["times"].as_u64().unwrap());
    let noticed = noticed.iter().sum::<u64>() + deaths["together"].as_u64().unwrap();
    let named = dead["changes"].as_array().unwrap().iter();
    let named = named.filter(|it| it["we_at"].is_string() && it["haproxy_at"].is_string()).count();
    // HAProxy's moments are as exact as its seconds and the reads are.
    let in_time = ours.iter().all(|ms| (0..3_000).contains(ms))
        && theirs.iter().all(|ms| (-1_200..3_000).contains(ms));
    let n = u64::try_from(rounds).unwrap();
    Item::new("3.6 observe: a master dies under HAProxy and observe")
        .bound("each death in the summary, with the moments of both, within 3 s of the fault")
        .n(rounds)
        .median(format!(
            "{} ms by us, {} ms by HAProxy",
            median(&ours).unwrap_or_default(),
            median(&theirs).unwrap_or_default()
        ))
        .record(
            noticed == n && named >= rounds && in_time,
            format!("{noticed} noticed by both; ours after {ours:?} ms, HAProxy's {theirs:?} ms"),
        );
    let alone = unready["deaths"]["we_alone"].as_u64().unwrap();
    let open = unready["disagreements"]["now_ms"].is_u64();
    let count = unready["disagreements"]["count"].as_u64().unwrap();
    let well =
        summary[2..4].iter().all(|it| it["disagreements"]["count"] == 0 && it["we"]["outs"] == 0);
    let drained = unready["would_have"]["drain"].as_u64().unwrap();
    Item::new("3.7 observe: a master is unready, and HAProxy's TCP checks do not see it")
        .bound("one disagreement each time, drained by us alone; none about masters that are well")
        .n(rounds)
        .record(
            count == n && alone + u64::from(open) == n && drained == n && well,
            format!("{count} disagreements, {alone} over, would have drained {drained} times"),
        );
}

/// HAProxy goes: that is told once, and the judging goes on.
fn broken_socket(bed: &mut Bed) {
    bed.haproxy.running().kill();
    let failed = "eclusa_observe_haproxy_reads_total{outcome=\"failed\"}";
    wait_until(PATIENCE, "three reads that fail", || bed.sample(failed) >= 3.0);
    let is_it = |event: &&Value| {
        let message = event["message"].as_str().unwrap_or_default();
        event["event"] == "haproxy" && message.starts_with("HAProxy cannot be read")
    };
    assert_eq!(bed.observer.events().iter().filter(is_it).count(), 1, "told once");
    let before = bed.observer.events().iter().filter(|it| it["event"] == "verdict").count();
    bed.masters[4].fault(|faults| faults.readyz = Some(500));
    wait_until(PATIENCE, "a verdict without HAProxy", || {
        bed.observer.events().iter().filter(|it| it["event"] == "verdict").count() > before
    });
    // So that the summary has it as it was.
    bed.masters[4].heal();
}

/// For people, on the edge, by the stats page, whose rows have no addresses.
#[test]
fn a_page_is_read_and_its_rows_are_found_by_name() {
    let endpoint = Endpoint::start(LOCAL, Kind::Echo).unwrap();
    let gone = SocketAddr::new(LOCAL.ip(), free_port());
    let named = [("e1".to_owned(), endpoint.address()), ("e2".to_owned(), gone)];
    let port = free_port();
    let stats = format!(
        "listen stats\n  mode http\n  bind 127.0.0.1:{port}\n  stats enable\n  stats uri /stats\n"
    );
    let Some(_haproxy) = haproxy(free_port(), &stats, &named) else { return };
    let config = ConfigFile::new(&format!(
        "[listener.web]\nlisten = [\"127.0.0.1:9443\"]\npool = \"masters\"\n\
         [pool.masters]\nprobe = {{ kind = \"tcp\", interval = \"200ms\" }}\n\
         endpoints = [{{ name = \"e1\", address = \"{}\" }}, {{ name = \"e2\", address = \"{gone}\" }}]\n",
        endpoint.address()
    ));
    let source = format!("http://127.0.0.1:{port}/stats");
    let mut observer = observe(Program::Edge, &config, &["--haproxy", &source, "--for", "1500ms"]);
    let status = observer.wait_exit(PATIENCE);
    let said = observer.stderr_lines().join("\n");
    assert!(status.success(), "{said}");
    let wanted = [
        "observing 2 endpoints of 1 pool, beside HAProxy, read from http://127.0.0.1:",
        "e2 of pool masters is dead: fresh connections are refused",
        "would have refused new sessions to e2 of pool masters",
        "summary of 1.5 s, from ",
        "; HAProxy: masters/e1",
        "now in: UP, L4OK",
        "now out: DOWN, L4CON",
    ];
    for wanted in wanted {
        assert!(said.contains(wanted), "{wanted}\nis not in\n{said}");
    }
    assert!(!said.contains("listening on"), "{said}");
}
