//! `canary` against the kernel and HAProxy: who is moved, who is not, and what becomes of those who get no answer.

use super::said;
use e2e::client::missing;
use e2e::plain::{connect, echoes};
use e2e::product::{PATIENCE, Product, Program};
use e2e::proof::{Item, full, size, wrong_of};
use eclusa_testkit::endpoint::{Endpoint, Kind};
use eclusa_testkit::netns::{Cluster, Host, Shape, skipped};
use eclusa_testkit::process::{Peer, Signal, binary};
use eclusa_testkit::wait::wait_until;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TAKE: &str = "192.168.1.2:443";
const TABLE: &str = "eclusa_canary_edge_192.168.1.2_443";
/// Of two endpoints, each says at once through whom one came.
const HAPROXY: &[u8; 7] = b"haproxy";
const OURS: &[u8; 7] = b"eclusa!";

const HAPROXY_CFG: &str = "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n\
    listen others\n  bind *:80\n  bind *:81\n  server one 10.0.1.100:7001\n\
    frontend web\n  bind *:443\n  default_backend web\nbackend web\n  server one 10.0.1.100:7001\n";
const CONFIG: &str = r#"
workers = 2
lame_duck = "0s"
stop_deadline = "1s"
[listener.web]
listen = ["0.0.0.0:10443"]
pool = "web"
peek = "none"
[listener.dead]
listen = ["0.0.0.0:10444"]
pool = "dead"
[listener.proxied]
listen = ["0.0.0.0:10445"]
pool = "web"
proxy_from = ["192.168.1.0/24"]
[listener.local]
listen = ["127.0.0.1:10446"]
pool = "web"
[listener.site]
listen = ["0.0.0.0:10480"]
pool = "told"
http = true
[listener.plain]
listen = ["0.0.0.0:10481"]
pool = "told"
peek = "none"
[pool.told]
endpoints = ["10.0.1.100:7003"]
probe = { kind = "none" }
send_proxy = "v2"
[pool.web]
endpoints = ["10.0.1.100:7002"]
probe = { kind = "none" }
[pool.dead]
endpoints = ["10.0.1.100:7999"]
probe = { kind = "tcp", interval = "200ms", fall = 1 }
"#;

/// HAProxy and ours on the edge, an endpoint for each, and one that ours tells of connections.
struct Bed {
    edge: Product,
    haproxy: Peer,
    endpoints: [Endpoint; 3],
    cluster: Cluster,
}

impl Bed {
    fn start(test: &str) -> Option<Self> {
        if skipped(test) || missing(test, "haproxy") {
            return None;
        }
        let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
        let endpoint = |port: u16, kind: Kind| {
            let start = || Endpoint::start(([10, 0, 1, 100], port).into(), kind);
            cluster.host("worker1").enter(start).unwrap()
        };
        let endpoints = [
            endpoint(7001, Kind::Greeting(HAPROXY.to_vec())),
            endpoint(7002, Kind::Greeting(OURS.to_vec())),
            endpoint(7003, Kind::Recorder),
        ];
        let host = cluster.host("edge");
        let haproxy = Peer::haproxy(Some(&host), HAPROXY_CFG, &[80, 81, 443]).unwrap();
        let edge = Program::Edge.start(Some(&host), CONFIG);
        Some(Self { edge, haproxy, endpoints, cluster })
    }

    fn host(&self) -> Host {
        self.cluster.host("edge")
    }

    /// A command of the edge, on its host.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.host().command(binary("eclusa-edge").unwrap());
        command.args(words).arg("--socket").arg(self.edge.run_directory().join("edge.sock"));
        if words[0] == "canary" {
            command.arg("-c").arg(self.edge.config().unwrap());
        }
        command
    }

    fn say(&self, words: &[&str]) -> (Option<i32>, String) {
        said(&mut self.command(words))
    }

    #[track_caller]
    fn done(&self, words: &[&str]) -> String {
        let (code, text) = self.say(words);
        assert_eq!(code, Some(0), "{words:?}: {text}");
        text
    }

    /// What is in force.
    fn canary(&self) -> Value {
        let all: Value = serde_json::from_str(&self.done(&["canary", "--json"])).unwrap();
        all["canaries"][0].clone()
    }

    fn number(&self, key: &str) -> u64 {
        self.canary()[key].as_u64().unwrap()
    }

    /// A new connection of a client, and who has it.
    fn connect_from(&self, client: &str) -> (TcpStream, bool) {
        let mut stream = connect(&self.cluster.host(client), TAKE.parse().unwrap());
        let mut greeting = [0; 7];
        stream.read_exact(&mut greeting).unwrap();
        assert!([HAPROXY, OURS].contains(&&greeting), "{}", greeting.escape_ascii());
        (stream, greeting == *OURS)
    }

    fn connect(&self) -> (TcpStream, bool) {
        self.connect_from("outside1")
    }

    /// Of so many new connections ours had this many.
    fn ours_of(&self, connections: usize) -> usize {
        (0..connections).filter(|_| self.connect().1).count()
    }

    fn nft(&self, words: &[&str]) -> String {
        self.host().run("nft", words).unwrap()
    }

    /// Drops or rejects SYNs of these clients at our port, behind all translation.
    fn filter(&self, rules: &[(&str, &str)]) {
        self.nft(&["add", "table", "inet", "filter"]);
        let chain = "{ type filter hook input priority 0; policy accept; }";
        self.nft(&["add", "chain", "inet", "filter", "input", chain]);
        for (client, verdict) in rules {
            let address = self.cluster.host(client).address().to_string();
            let rule = ["add", "rule", "inet", "filter", "input", "ip", "saddr", &address];
            let rest = ["tcp", "dport", "10443", "ct", "state", "new"];
            let verdict: Vec<_> = verdict.split(' ').collect();
            self.nft(&[&rule[..], &rest[..], &verdict[..]].concat());
        }
    }

    /// New connections of both clients at once: how many ours had, and the longest wait.
    fn both(&self, each: usize) -> (usize, Duration) {
        let one = |client: &'static str| {
            let begin = Instant::now();
            (self.connect_from(client).1, begin.elapsed())
        };
        std::thread::scope(|scope| {
            let clients = ["outside1", "outside2"].into_iter().flat_map(|it| vec![it; each]);
            let threads: Vec<_> = clients.map(|client| scope.spawn(move || one(client))).collect();
            let all: Vec<_> = threads.into_iter().map(|it| it.join().unwrap()).collect();
            let longest = all.iter().map(|(_, took)| *took).max().unwrap_or_default();
            (all.iter().filter(|(ours, _)| *ours).count(), longest)
        })
    }
}

#[test]
fn a_share_of_the_new_connections_is_moved_and_no_other() {
    let Some(bed) = Bed::start("a_share_of_the_new_connections_is_moved_and_no_other") else {
        return;
    };
    let set = ["--take", TAKE, "--listener", "web"];
    let (before, is_ours) = bed.connect();
    assert!(!is_ours);
    let told = bed.done(&[&["canary", "100%"][..], &set[..]].concat());
    assert!(told.contains("then all go to haproxy (pid "), "{told}");
    assert_eq!(bed.ours_of(10), 10);
    let (moved, is_ours) = bed.connect();
    assert!(is_ours);
    assert_eq!((bed.number("new_connections"), bed.number("moved")), (11, 11));
    // Address and listener are known by now. What was moved does not notice.
    bed.done(&["canary", "30%"]);
    let n = size(2000, 150);
    let ours = bed.ours_of(n);
    let (mean, deviation) = (0.3 * n as f64, (0.21 * n as f64).sqrt());
    assert_eq!(bed.number("moved"), ours as u64);
    let mut wrong = Vec::new();
    let mut check = |what: &str, fine: bool| wrong.extend((!fine).then(|| what.to_owned()));
    check("a connection from before", echoes(&before, b"before"));
    check("a connection that was moved, at another share", echoes(&moved, b"moved"));
    let told = bed.done(&["canary", "off"]);
    assert!(told.contains("live on until they end"), "{told}");
    check("new ones after the end", bed.ours_of(size(200, 10)) == 0);
    check("a connection that was moved, after the end", echoes(&moved, b"moved still"));
    check("a connection from before, after the end", echoes(&before, b"before still"));
    assert_eq!(bed.canary()["moving"], false);
    drop((before, moved));
    wait_until(PATIENCE, "nothing is left", || {
        bed.done(&["canary", "off"]).contains("nothing is left")
    });
    assert_eq!(bed.nft(&["list", "ruleset"]).trim(), "");
    assert_eq!(bed.done(&["canary"]), "no canary is in force\n");
    assert_eq!(bed.done(&["canary", "off"]), "no canary is in force\n");
    Item::new("3a.1 a canary of 30%")
        .bound("30% of the new connections within 4.5 deviations; none that stands is touched")
        .n(n)
        .record(
            wrong.is_empty() && (ours as f64 - mean).abs() <= 4.5 * deviation,
            format!("{ours} of {n} moved; {}", wrong_of(5, &wrong)),
        );
}

#[test]
fn who_gets_no_answer_from_ours_comes_to_haproxy_a_second_late() {
    let test = "who_gets_no_answer_from_ours_comes_to_haproxy_a_second_late";
    let Some(mut bed) = Bed::start(test) else { return };
    bed.done(&["canary", "100%", "--take", TAKE, "--listener", "web"]);
    assert_eq!(bed.both(1).0, 2);
    let each = size(20, 2);
    let mut wrong = Vec::new();
    let mut longest = Duration::ZERO;
    let mut look = |bed: &Bed, what: &str| {
        let (ours, took) = bed.both(each);
        longest = longest.max(took);
        wrong.extend((ours > 0).then(|| format!("{what}: {ours} at ours")));
    };
    // A packet filter that nobody told of the other port.
    bed.filter(&[("outside1", "drop"), ("outside2", "reject")]);
    look(&bed, "dropped, and rejected by ICMP");
    bed.nft(&["delete", "table", "inet", "filter"]);
    if full() {
        bed.filter(&[
            ("outside1", "reject with tcp reset"),
            ("outside2", "reject with icmpx type admin-prohibited"),
        ]);
        look(&bed, "rejected by a reset, and by another ICMP");
        bed.nft(&["delete", "table", "inet", "filter"]);
    }
    assert_eq!(bed.both(1).0, 2, "all is well again");
    // Keeper and engine at once: nobody listens any more. Whoever connects to our port itself hears it at once.
    bed.edge.kill();
    let (client, port) = (bed.cluster.host("outside1"), "192.168.1.2:10443".parse().unwrap());
    let refused = || {
        let tried = e2e::plain::try_connect(&client, port, PATIENCE);
        tried.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    };
    wait_until(PATIENCE, "nobody listens", refused);
    look(&bed, "killed");
    assert!(bed.number("returned") >= 4 * each as u64);
    let told = bed.done(&["canary"]);
    assert!(
        told.contains("without an answer from :10443") && told.contains("does not answer"),
        "{told}"
    );
    Item::new("3a.2 new connections while ours was filtered or dead, at 100%")
        .bound("0 failed; HAProxy has them within 3.5 s")
        .n(each * if full() { 6 } else { 4 })
        .worst(format!("{} ms", longest.as_millis()))
        .record(
            wrong.is_empty() && longest < Duration::from_millis(3500),
            format!("{}, the longest {} ms", wrong_of(3, &wrong), longest.as_millis()),
        );
}

/// Applications build links from what they are told of the port.
#[test]
fn endpoints_are_told_of_the_address_that_the_client_named() {
    let Some(bed) = Bed::start("endpoints_are_told_of_the_address_that_the_client_named") else {
        return;
    };
    let mut standing = Vec::new();
    for (port, listener) in [("80", "site"), ("81", "plain")] {
        let take = format!("192.168.1.2:{port}");
        bed.done(&["canary", "100%", "--take", &take, "--listener", listener]);
        let mut stream = connect(&bed.cluster.host("outside1"), take.parse().unwrap());
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
        standing.push(stream);
    }
    let recorded = bed.endpoints[2].wait_recorded(2, PATIENCE);
    let mut ports: Vec<_> = recorded
        .iter()
        .map(|one| one.header.as_ref().unwrap().destination.unwrap().to_string())
        .collect();
    ports.sort();
    assert_eq!(ports, ["192.168.1.2:80", "192.168.1.2:81"]);
    let heads: Vec<_> = recorded.iter().map(|one| String::from_utf8_lossy(&one.first)).collect();
    assert!(heads.iter().any(|head| head.contains("X-Forwarded-Port: 80\r\n")), "{heads:?}");
    assert_eq!(bed.done(&["canary"]).matches("100% of new connections").count(), 2);
    assert_eq!(bed.done(&["canary", "off"]).matches("nothing is moved").count(), 2);
}

#[test]
fn it_goes_back_by_itself() {
    let Some(mut bed) = Bed::start("it_goes_back_by_itself") else { return };
    let take = ["--take", TAKE, "--listener", "web"];
    bed.done(&[&["canary", "100%", "--for", "1s"][..], &take[..]].concat());
    assert!(bed.connect().1);
    let is_over = |bed: &Bed| bed.canary()["moving"] == false;
    wait_until(PATIENCE, "its time is over", || is_over(&bed));
    assert!(!bed.connect().1);
    if !full() {
        return;
    }
    // Held: by a process that is killed, and by one that sees ours die.
    let words = [&["canary", "100%", "--hold"][..], &take[..]].concat();
    let hold = |bed: &Bed| bed.command(&words).stdout(Stdio::null()).spawn().unwrap();
    let is_held = |bed: &Bed| bed.canary()["held_by"].is_u64() && bed.connect().1;
    let mut holder = hold(&bed);
    wait_until(PATIENCE, "it is held", || is_held(&bed));
    let held = Instant::now();
    wait_until(PATIENCE, "it is renewed", || held.elapsed() > Duration::from_secs(7));
    assert!(bed.connect().1);
    holder.kill().unwrap();
    let killed = Instant::now();
    holder.wait().unwrap();
    wait_until(PATIENCE, "it ends without its holder", || !bed.connect().1);
    let without = killed.elapsed();
    let mut holder = hold(&bed);
    wait_until(PATIENCE, "it is held", || is_held(&bed));
    bed.done(&["canary", "50%"]);
    assert_eq!(holder.wait().unwrap().code(), Some(1), "another one has taken its place");
    assert_eq!(bed.canary()["held_by"], Value::Null);
    let mut holder = hold(&bed);
    wait_until(PATIENCE, "it is held", || is_held(&bed));
    bed.edge.signal(Signal::TERM).unwrap();
    let died = Instant::now();
    assert_eq!(holder.wait().unwrap().code(), Some(1), "ours is going");
    let with = died.elapsed();
    assert!(is_over(&bed) && !bed.connect().1);
    Item::new("3a.3 a canary that is held goes back")
        .bound("within 6 s of its holder's death, within 3 s of ours' stop")
        .n(2)
        .record(
            without < Duration::from_secs(6) && with < Duration::from_secs(3),
            format!("{} ms, {} ms", without.as_millis(), with.as_millis()),
        );
}

#[test]
fn what_would_hurt_is_refused_with_its_remedy() {
    let Some(mut bed) = Bed::start("what_would_hurt_is_refused_with_its_remedy") else { return };
    wait_until(PATIENCE, "a verdict", || bed.done(&["status"]).contains("NOBODY"));
    let to_web = ["--listener", "web", "--take"];
    let refusals: [(&[&str], i32, &str); 10] = [
        (&["5%"], 2, "haproxy listens at 0.0.0.0:443"),
        (&["5%", "--take", TAKE], 3, "say which is to get them, --listener NAME: web, dead"),
        (&["5%", "--take", TAKE, "--listener", "x"], 3, "there is no listener `x`"),
        (&["5%", "--take", TAKE, "--listener", "dead"], 3, "pool `dead` has no endpoint"),
        (&["5%", "--take", TAKE, "--listener", "proxied"], 3, "expects a PROXY header"),
        (&["5%", "--take", TAKE, "--listener", "local"], 3, "cannot be moved to"),
        (&[&["5%"][..], &to_web[..], &["127.0.0.1:443"]].concat(), 3, "is the loopback address"),
        (&[&["5%"][..], &to_web[..], &["192.168.1.77:443"]].concat(), 3, "add --vip"),
        (
            &[&["5%"][..], &to_web[..], &["192.168.1.2:8080"]].concat(),
            3,
            "nobody listens at 192.168.1.2:8080",
        ),
        (&[&["5%"][..], &to_web[..], &["[fd00::1]:443"]].concat(), 3, "has no IPv6 address"),
    ];
    let mut wrong = Vec::new();
    let mut look = |words: &[&str], (code, text): (Option<i32>, String), wanted: (i32, &str)| {
        let fine = code == Some(wanted.0) && text.contains(wanted.1);
        wrong.extend((!fine).then(|| format!("{words:?}: {code:?} {text}")));
    };
    for (words, code, part) in refusals {
        let words = [&["canary"][..], words].concat();
        look(&words, bed.say(&words), (code, part));
    }
    let set = ["canary", "5%", "--take", TAKE, "--listener", "web"];
    // Root without the capability, as in most containers.
    let mut bare = bed.host().command("setpriv");
    let plain = bed.command(&set);
    let words: Vec<_> = plain.get_args().skip_while(|word| *word != "--").skip(1).collect();
    bare.args(["--bounding-set=-net_admin", "--inh-caps=-net_admin", "--"]).args(words);
    look(&["bare"], said(&mut bare), (3, "CAP_NET_ADMIN"));
    bed.nft(&["add", "table", "ip", TABLE]);
    look(&set, bed.say(&set), (3, "that is no canary of ours"));
    assert!(bed.done(&["canary"]).contains("is no canary of ours"));
    bed.nft(&["delete", "table", "ip", TABLE]);
    bed.haproxy.running().signal(Signal::TERM).unwrap();
    bed.haproxy.running().wait_exit(PATIENCE);
    look(&set, bed.say(&set), (3, "no program called haproxy listens"));
    bed.edge.kill();
    look(&set, bed.say(&set), (3, "eclusa-edge does not answer"));
    let rules = bed.nft(&["list", "ruleset"]);
    wrong.extend((!rules.trim().is_empty()).then(|| format!("left behind: {rules}")));
    Item::new("3a.4 canaries that would hurt")
        .bound("refused with reason and remedy, and nothing is changed")
        .n(14)
        .record(wrong.is_empty(), wrong_of(14, &wrong));
}
