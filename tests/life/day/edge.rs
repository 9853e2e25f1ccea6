//! At the edge: routes change on trial, a slow client is found out, a certificate is renewed.

use super::{DEADLINE, Hand, Operations, PATIENCE, worst};
use e2e::plain::try_connect;
use e2e::product::Program;
use e2e::proof::{Item, full, median, size};
use eclusa_testkit::apiserver::{ApiServer, Settings};
use eclusa_testkit::ca::{Ca, Leaf};
use eclusa_testkit::client::{Client, Summary, Target};
use eclusa_testkit::netns::{Cluster, Host};
use eclusa_testkit::process::Scratch;
use eclusa_testkit::tls::{TlsClient, der};
use eclusa_testkit::wait::{wait_for, wait_until};
use serde_json::{Value, json};
use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

const WEB: ([u8; 4], u16) = ([192, 168, 1, 2], 443);
const GIT: ([u8; 4], u16) = ([192, 168, 1, 2], 9000);
/// The client that is slow: a route that somebody has forgotten sends it to an old machine.
const SLOW: &str = "203.0.113.12";
const FORGOTTEN: &str = "[[listener.git.route]]\nsource = \"203.0.113.12\"   # until the move is done\npool = \"old\"\n";
/// How late the old machine answers.
const LATE: Duration = Duration::from_millis(250);

/// What the operator saw.
#[derive(Default)]
pub(super) struct Seen {
    /// From the end of a trial's time until what was before was so again.
    back: Vec<Duration>,
    /// What the slow client's requests took at the median, before and after.
    slow: Vec<(Duration, Duration)>,
    /// From the files until the new certificate was shown.
    renewed: Vec<Duration>,
}

impl Seen {
    pub(super) fn record(&self, n: usize) {
        let Self { back, slow, renewed } = self;
        let middle =
            |times: &[Duration]| format!("{} ms", median(times).unwrap_or_default().as_millis());
        let quick = |time: &Duration| *time <= Duration::from_secs(2);
        Item::new("1.3 routes changed on trial (`plan`, `reload --confirm`) and not confirmed")
            .bound("`plan` tells it, the trial holds, then it goes back by itself within 2 s of its time")
            .n(n)
            .worst(worst(back))
            .median(middle(back))
            .record(back.len() == n && (!full() || back.iter().all(quick)), format!("{} of {n} went back", back.len()));
        let right = slow.iter().all(|(before, after)| *before >= LATE && *after < LATE / 2);
        let before: Vec<_> = slow.iter().map(|(before, _)| *before).collect();
        let after: Vec<_> = slow.iter().map(|(_, after)| *after).collect();
        Item::new(
            "1.4 one client is slow: `session list` and `explain` tell why, a route is changed",
        )
        .bound("both name the forgotten route's pool; the client is quick from then on")
        .n(n)
        .worst(format!("{} after", worst(&after)))
        .median(format!("{} before, {} after", middle(&before), middle(&after)))
        .record(slow.len() == n && right, format!("found out in {} of {n} days", slow.len()));
        Item::new("1.5 a certificate renewed in place")
            .bound("shown within 2 s, without a reload")
            .n(n)
            .worst(worst(renewed))
            .median(middle(renewed))
            .record(
                renewed.len() == n && (!full() || renewed.iter().all(quick)),
                format!("{} of {n} shown", renewed.len()),
            );
    }
}

/// All that stands behind the edge.
struct Site {
    hand: Hand,
    certificates: Scratch,
    _endpoints: Vec<ApiServer>,
}

impl Site {
    fn start(cluster: &Cluster, ca: &Ca) -> Self {
        let worker = cluster.host("worker1");
        let git = ca.leaf(&["git.test"]);
        let plain =
            |name: &str, last: u8| endpoint(&worker, ([10, 0, 1, last], 80), Settings::plain(name));
        let tls = |name: &str, last: u8| {
            endpoint(&worker, ([10, 0, 1, last], 443), Settings::new(name, &git))
        };
        let endpoints = vec![
            plain("shop1", 100),
            plain("shop2", 101),
            plain("other", 102),
            tls("git1", 103),
            tls("old1", 104),
        ];
        endpoints[4].fault(|faults| faults.answer_late = LATE);
        let certificates = Scratch::new("day").unwrap();
        let site = |directory: &str| {
            format!(
                "workers = 2\n\
                 [listener.web]\nlisten = [\"192.168.1.2:443\"]\nhttp = true\n\
                 tls = {{ certificates = [\"{directory}\"] }}\n\
                 [[listener.web.route]]\nhost = \"shop.test\"\npool = \"shop\"\n\
                 [listener.git]\nlisten = [\"192.168.1.2:9000\"]\npeek = \"none\"\n\
                 {FORGOTTEN}[[listener.git.route]]\npool = \"git\"\n\
                 [pool.shop]\nendpoints = [\"10.0.1.100:80\", \"10.0.1.101:80\"]\n\
                 [pool.other]\nendpoints = [\"10.0.1.102:80\"]\n\
                 [pool.git]\nendpoints = [\"10.0.1.103:443\"]\n\
                 [pool.old]\nendpoints = [\"10.0.1.104:443\"]\n"
            )
        };
        let directory = certificates.path().join("certs");
        std::fs::create_dir(&directory).unwrap();
        let text = site(&directory.display().to_string());
        put(&certificates, &ca.leaf(&["shop.test"]));
        let product = Program::Edge.start(Some(&cluster.host("edge")), &text);
        let hand = Hand { product, program: Program::Edge };
        Self { hand, certificates, _endpoints: endpoints }
    }
}

fn endpoint(host: &Host, address: ([u8; 4], u16), settings: Settings) -> ApiServer {
    host.enter(|| ApiServer::start(address.into(), settings)).unwrap()
}

/// A certificate with its key, in place of the one that was there; for root alone.
fn put(certificates: &Scratch, leaf: &Leaf) {
    let fresh = certificates.path().join("fresh.pem");
    std::fs::write(&fresh, format!("{}{}", leaf.pem, leaf.key_pem)).unwrap();
    std::fs::set_permissions(&fresh, Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(&fresh, certificates.path().join("certs/shop.pem")).unwrap();
}

pub(super) fn day(cluster: &Cluster, ca: &Ca, seen: &mut Seen) -> Operations {
    let site = Site::start(cluster, ca);
    let [one, two] = ["outside1", "outside2"].map(|name| cluster.host(name));
    let (web, git) =
        (Target::new(WEB.into(), "shop.test", ca), Target::new(GIT.into(), "git.test", ca));
    let rate = size(50.0, 20.0);
    let buyers = one.enter(|| Client::singles(&web, rate, DEADLINE)).unwrap();
    let usual = one.enter(|| Client::kubelet(&git, 10.0, DEADLINE)).unwrap();
    let slow = two.enter(|| Client::singles(&git, 10.0, DEADLINE)).unwrap();
    let waiting = two.enter(|| Client::kubelet(&git, 5.0, DEADLINE)).unwrap();
    for client in [&buyers, &usual, &slow, &waiting] {
        client.wait_for_more(5, PATIENCE);
    }
    a_change_goes_back(&site.hand, &buyers, seen);
    one_is_slow(&site.hand, &slow, seen);
    renewed(&site, &one, ca, &buyers, seen);
    let mut all = Operations::default();
    all.requests("a buyer", buyers);
    all.requests("at the git", usual);
    all.requests("the slow one", slow);
    all.requests("the slow one, lasting", waiting);
    all
}

/// Who answers the client from now on.
fn answer_of(client: &Client, requests: usize) -> Summary {
    let from = client.now();
    wait_until(PATIENCE, "answers", || client.summary_since(from).requests >= requests as u64);
    client.summary_since(from)
}

fn only(summary: &Summary, names: &[&str]) -> bool {
    summary.by_master.keys().all(|name| names.contains(&name.as_str()))
}

fn a_change_goes_back(hand: &Hand, buyers: &Client, seen: &mut Seen) {
    let right = hand.text();
    let wrong =
        right.replace("pool = \"shop\"\n[listener.git]", "pool = \"other\"\n[listener.git]");
    assert_ne!(right, wrong);
    hand.write(&wrong);
    let plan = hand.ask(&["plan"]);
    let items = plan["items"].as_array().unwrap();
    let web = items.iter().find(|item| item["of"] == "listener web").unwrap();
    assert_eq!(
        (&web["action"], &web["details"]),
        (&json!("changed"), &json!(["routes changed"])),
        "{plan}"
    );
    let within = size(3, 1);
    hand.done(&["reload", "--confirm", &format!("{within}s"), "--reason", "new shop"]);
    let began = Instant::now();
    let trial = wait_for(PATIENCE, "an answer by the trial", || {
        let last = buyers.records().pop()?;
        last.master.filter(|name| name == "other")
    });
    assert_eq!(trial, "other");
    wait_until(PATIENCE, "the way back", || hand.ask(&["status"])["gone_back"].is_string());
    seen.back.push(began.elapsed().saturating_sub(Duration::from_secs(within)));
    let after = answer_of(buyers, size(50, 10));
    assert!(only(&after, &["shop1", "shop2"]), "{after}");
    hand.write(&right);
    hand.done(&["reload", "--reason", "the file says again what is in force"]);
}

fn one_is_slow(hand: &Hand, slow: &Client, seen: &mut Seen) {
    let before = answer_of(slow, size(20, 5));
    // Where is it?
    let listed = || {
        let list = hand.ask(&["session", "list", "--client", SLOW, "--sort", "age"]);
        list["sessions"].as_array()?.iter().find(|it| it["pool"].is_string()).cloned()
    };
    let session = wait_for(PATIENCE, "a session of it", listed);
    assert_eq!((&session["pool"], &session["endpoint"]), (&json!("old"), &json!("10.0.1.104:443")));
    // Why there?
    let explain = |from: &str| hand.ask(&["explain", "--from", from, "--port", "9000"]);
    let (its, another) = (explain(SLOW), explain("203.0.113.11"));
    let pool = |explained: &Value| explained["pools"][0]["name"].clone();
    assert_eq!((pool(&its), pool(&another)), (json!("old"), json!("git")), "{its}");
    let page = hand.done(&["explain", "--from", SLOW, "--port", "9000"]);
    assert!(page.contains(SLOW) && page.contains("pool old"), "{page}");
    // The forgotten route goes.
    let text = hand.text();
    hand.write(
        &text.replace(FORGOTTEN, "").replace("[pool.old]\nendpoints = [\"10.0.1.104:443\"]\n", ""),
    );
    hand.done(&["check", "-c", &hand.product.config().unwrap().display().to_string()]);
    hand.done(&["reload", "--confirm", "60s"]);
    let by_git = || slow.records().pop().is_some_and(|it| it.master.as_deref() == Some("git1"));
    wait_until(PATIENCE, "another endpoint answers it", by_git);
    hand.done(&["confirm"]);
    let after = answer_of(slow, size(20, 5));
    assert!(only(&after, &["git1"]), "{after}");
    seen.slow.push((before.median, after.median));
}

fn renewed(site: &Site, client: &Host, ca: &Ca, buyers: &Client, seen: &mut Seen) {
    let trust = ca.client(&["http/1.1"]);
    let shown = || {
        let stream = try_connect(client, SocketAddr::from(WEB), PATIENCE).ok()?;
        Some(TlsClient::connect(stream, &trust, "shop.test").ok()?.leaf())
    };
    let leaf = ca.leaf(&["shop.test"]);
    let wanted = der(&leaf.pem);
    assert_ne!(shown().as_ref(), Some(&wanted));
    put(&site.certificates, &leaf);
    let since = Instant::now();
    wait_until(PATIENCE, "the new certificate", || shown().as_ref() == Some(&wanted));
    seen.renewed.push(since.elapsed());
    answer_of(buyers, 5);
}
