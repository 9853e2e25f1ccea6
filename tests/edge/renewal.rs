//! Certificates that only root may read, renewed while they are served by an engine that may not.

use crate::certbot::Certificates;
use crate::recorder::Recorder;
use crate::reply::Wire;
use e2e::plain::try_connect;
use e2e::product::{ConfigFile, PATIENCE, Product, Program};
use e2e::proof::{Item, full, median, size, wrong_of};
use eclusa_testkit::ca::Leaf;
use eclusa_testkit::netns::{Cluster, Host, Shape, skipped};
use eclusa_testkit::process::binary;
use eclusa_testkit::tls::{ClientConfig, TlsClient, der};
use eclusa_testkit::wait::{pause, wait_for, wait_until};
use serde_json::Value;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// The edge, an endpoint behind it, a client before it. In the order in which they must end.
struct Stage {
    edge: Product,
    _file: ConfigFile,
    _recorder: Recorder,
    client: Host,
    cluster: Cluster,
}

const ASKED: &str = "127.0.0.1:9100";

/// A listener with these certificates on `port` of the edge's address.
fn listener(port: u16, certificates: &str, more: &str) -> String {
    format!(
        "[listener.p{port}]\nlisten = [\"192.168.1.2:{port}\"]\nhttp = true\npool = \"recorder\"\n\
         tls = {{ certificates = [\"{certificates}\"] }}\n{more}\n"
    )
}

fn config(listeners: &str) -> String {
    format!(
        "[observe]\nlisten = [\"{ASKED}\"]\n\
         {listeners}\n[pool.recorder]\nendpoints = [\"10.0.1.105:80\"]\nprobe = {{ kind = \"none\" }}\n"
    )
}

impl Stage {
    fn start(listeners: &str, arguments: &[&str]) -> Self {
        let cluster = Cluster::new(Shape { masters: 0, workers: 1, ..Shape::default() }).unwrap();
        let recorder = Recorder::start(&cluster.host("worker1"), "10.0.1.105:80");
        let file = ConfigFile::new(&config(listeners));
        let runner = Program::Edge.runner(Some(&cluster.host("edge"))).args(["run", "-c"]);
        let runner = runner.args([file.path()]).args(arguments);
        let mut edge = Product::from(runner.start().unwrap());
        edge.wait_ready();
        let client = cluster.host("outside1");
        Self { edge, _file: file, _recorder: recorder, client, cluster }
    }

    /// A whole handshake.
    fn connect(&self, trust: &Arc<ClientConfig>, port: u16, name: &str) -> io::Result<TlsClient> {
        let address = SocketAddr::from(([192, 168, 1, 2], port));
        let stream = try_connect(&self.client, address, PATIENCE)?;
        TlsClient::connect(stream, trust, name)
    }

    /// Whether it is this certificate that is shown for `name`.
    fn shows(&self, certificates: &Certificates, port: u16, name: &str, leaf: &Leaf) -> bool {
        let connected = self.connect(&certificates.trust, port, name);
        connected.is_ok_and(|client| client.leaf() == der(&leaf.pem))
    }

    fn reload(&self) -> Output {
        let mut command = Command::new(binary("eclusa-edge").unwrap());
        let socket = self.edge.run_directory().join("edge.sock");
        command.args(["reload", "--socket"]).arg(socket).output().unwrap()
    }

    fn events(&self, kind: &str) -> Vec<Value> {
        let events = self.edge.events().into_iter();
        events.filter(|event| event["event"] == kind).collect()
    }

    /// The event of a kind whose message has `words`, once it is there.
    fn event(&self, kind: &str, words: &str) -> Value {
        let has =
            |event: &Value| event["message"].as_str().is_some_and(|said| said.contains(words));
        wait_for(PATIENCE, &format!("{kind}: {words}"), || self.events(kind).into_iter().find(has))
    }

    /// The page of metrics.
    fn metrics(&self) -> String {
        let edge = self.cluster.host("edge");
        e2e::ask::get(&edge, ASKED.parse().unwrap(), "/metrics").body
    }
}

#[test]
fn every_layout_is_served_by_an_engine_that_may_not_read_it() {
    if skipped("every_layout_is_served_by_an_engine_that_may_not_read_it") {
        return;
    }
    let mut files = Certificates::of_root();
    let [a, b, c, d] = ["a.test", "b.test", "c.test", "d.test"].map(|name| files.leaf(name));
    files.renew("a.test", &a);
    files.renew("b.test", &b);
    files.write("haproxy/c.pem", &c.pem);
    files.write("haproxy/c.pem.key", &c.key_pem);
    files.write("haproxy/d.pem", &format!("{}{}", d.pem, d.key_pem));
    files.write("pair/fullchain.pem", &c.pem);
    files.write("pair/privkey.pem", &c.key_pem);
    let paths =
        ["live", "live/b.test", "haproxy", "live/a.test/fullchain.pem", "pair/fullchain.pem"];
    let listeners = paths.iter().zip(443..);
    let listeners: String =
        listeners.map(|(path, port)| listener(port, &files.shown(path), "")).collect();
    let stage = Stage::start(&listeners, &[]);
    let engine = fs::read_to_string(format!("/proc/{}/status", stage.edge.engine_pid())).unwrap();
    assert!(!engine.contains("Uid:\t0\t"), "the engine is not root: {engine}");
    let shown = [
        (443, "a.test", &a),
        (443, "b.test", &b),
        (444, "b.test", &b),
        (445, "c.test", &c),
        (445, "d.test", &d),
        (446, "a.test", &a),
        (447, "c.test", &c),
    ];
    let wrong: Vec<String> = shown
        .iter()
        .filter(|(port, name, leaf)| !stage.shows(&files, *port, name, leaf))
        .map(|(port, name, _)| {
            format!("{name} at {port}: {:?}", stage.connect(&files.trust, *port, name))
        })
        .collect();
    Item::new("5.5.0 certbot's and HAProxy's layouts, 0700 of root, with an unprivileged engine")
        .bound("each certificate is served, by directory and by file")
        .n(shown.len())
        .record(wrong.is_empty(), wrong_of(shown.len(), &wrong));
    // What was renewed, and what is new in a directory.
    let (renewed, new) = (files.leaf("a.test"), files.leaf("e.test"));
    files.renew("a.test", &renewed);
    files.renew("e.test", &new);
    files.write("haproxy/e.pem", &new.pem);
    files.write("haproxy/e.key", &new.key_pem);
    for (port, name, leaf) in [
        (443, "a.test", &renewed),
        (443, "e.test", &new),
        (446, "a.test", &renewed),
        (445, "e.test", &new),
    ] {
        wait_until(PATIENCE, &format!("{name} at {port}"), || {
            stage.shows(&files, port, name, leaf)
        });
    }
    assert_eq!(
        stage.events("refused"),
        Vec::<Value>::new(),
        "the keeper was asked for nothing else"
    );
}

#[test]
fn without_a_keeper_certbot_s_links_are_followed() {
    if skipped("without_a_keeper_certbot_s_links_are_followed") {
        return;
    }
    let mut files = Certificates::of_all();
    let (first, second) = (files.leaf("a.test"), files.leaf("a.test"));
    files.renew("a.test", &first);
    let both =
        listener(443, &files.shown("live"), "") + &listener(444, &files.shown("live/a.test"), "");
    let stage = Stage::start(&both, &["--no-keeper"]);
    for port in [443, 444] {
        assert!(stage.shows(&files, port, "a.test", &first), "{port}");
    }
    files.renew("a.test", &second);
    for port in [443, 444] {
        wait_until(PATIENCE, "the new one", || stage.shows(&files, port, "a.test", &second));
    }
}

/// Clients that do nothing but shake hands and ask once.
struct Load {
    over: AtomicBool,
    done: AtomicUsize,
    failed: Mutex<Vec<String>>,
    /// The certificate that a client has seen last.
    seen: Mutex<Vec<u8>>,
}

/// Between two handshakes of each of the clients: 200 a second in all.
const EVERY: Duration = Duration::from_millis(20);
const CLIENTS: usize = 4;

impl Load {
    fn new() -> Self {
        let (over, done) = (AtomicBool::new(false), AtomicUsize::new(0));
        Self { over, done, failed: Mutex::default(), seen: Mutex::default() }
    }

    fn run(&self, stage: &Stage, trust: &Arc<ClientConfig>, client: usize) {
        let mut due = Instant::now();
        while !self.over.load(Ordering::Relaxed) {
            pause(due.saturating_duration_since(Instant::now()));
            due = due.max(Instant::now() - 5 * EVERY) + EVERY;
            let number = self.done.fetch_add(1, Ordering::Relaxed);
            let path = format!("/{client}/{number}");
            let visit = stage.connect(trust, 443, "shop.test").and_then(|client| {
                let leaf = client.leaf();
                Wire::over(client).get("shop.test", &path).map(|reply| (leaf, reply))
            });
            match visit {
                Ok((leaf, reply)) if reply.status == 200 && reply.text() == path => {
                    *self.seen.lock().unwrap() = leaf;
                }
                other => self.failed.lock().unwrap().push(format!("{path}: {other:?}")),
            }
        }
    }
}

#[test]
fn renewals_under_load_are_served_within_two_seconds() {
    if skipped("renewals_under_load_are_served_within_two_seconds") {
        return;
    }
    let mut files = Certificates::of_root();
    let leaf = files.leaf("shop.test");
    files.renew("shop.test", &leaf);
    let stage = Stage::start(&listener(443, &files.shown("live"), ""), &[]);
    let renewals = size(50, 3);
    let (load, trust) = (Load::new(), Arc::clone(&files.trust));
    let (began, mut took) = (Instant::now(), Vec::new());
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (load, stage, trust) = (&load, &stage, &trust);
            scope.spawn(move || load.run(stage, trust, client));
        }
        for _ in 0..renewals {
            let leaf = files.leaf("shop.test");
            let wanted = der(&leaf.pem);
            files.renew("shop.test", &leaf);
            let since = Instant::now();
            let served = eclusa_testkit::wait::try_until(PATIENCE, "the new certificate", || {
                *load.seen.lock().unwrap() == wanted
            });
            took.push(since.elapsed());
            if served.is_err() {
                break;
            }
        }
        load.over.store(true, Ordering::Relaxed);
    });
    let (done, failed) = (load.done.into_inner(), load.failed.into_inner().unwrap());
    let rate = done as f64 / began.elapsed().as_secs_f64();
    let worst = took.iter().max().copied().unwrap_or_default();
    Item::new("5.5.1 certificates renewed (certbot's links) under handshakes")
        .bound("0 failed handshakes, at least 50 a second; the new certificate served within 2 s")
        .n(done)
        .worst(format!("{} ms until it was served", worst.as_millis()))
        .median(format!("{} ms", median(&took).unwrap_or_default().as_millis()))
        .note(format!("{} renewals, {rate:.0} handshakes a second", took.len()))
        .record(
            failed.is_empty()
                && took.len() == renewals
                // Beside all the other tests a debug build has no processor of its own.
                && (!full() || rate >= 50.0 && worst <= Duration::from_secs(2)),
            wrong_of(done, &failed),
        );
}

#[test]
fn a_reload_with_a_broken_certificate_is_refused_and_the_old_one_served() {
    if skipped("a_reload_with_a_broken_certificate_is_refused_and_the_old_one_served") {
        return;
    }
    let files = Certificates::of_root();
    let (good, other) = (files.leaf("a.test"), files.leaf("a.test"));
    let yesterday = SystemTime::now() - Duration::from_secs(24 * 3600);
    let past = files.leaf_until("a.test", yesterday);
    let both = |leaf: &Leaf, key: &Leaf| format!("{}{}", leaf.pem, key.key_pem);
    files.write("certs/a.pem", &both(&good, &good));
    files.write("tickets", &"A".repeat(64));
    let tls = listener(443, &files.shown("certs"), "");
    let keys = format!("], tickets = \"{}\" }}", files.shown("tickets"));
    let stage = Stage::start(&tls.replace("] }", &keys), &[]);
    let shown = files.shown("certs/a.pem");
    let table = [
        (both(&other, &good), "the key does not fit the certificate"),
        (both(&past, &past), "it has expired at"),
        (other.pem.clone(), "there is no private key for it"),
        ("nonsense".to_owned(), "it is no PEM"),
    ];
    let mut wrong = Vec::new();
    let n = table.len() + 1;
    for (text, words) in table {
        files.write("certs/a.pem", &text);
        let output = stage.reload();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let named = said.contains(&format!("{shown}: {words}"));
        if output.status.success() || !named || !stage.shows(&files, 443, "a.test", &good) {
            wrong.push(format!("{words}: {} {said}", output.status));
        }
    }
    fs::remove_dir_all(files.at("certs")).unwrap();
    let output = stage.reload();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success()
        || !said.contains(&format!("{}: there is no such file", files.shown("certs")))
        || !stage.shows(&files, 443, "a.test", &good)
    {
        wrong.push(format!("gone: {} {said}", output.status));
    }
    Item::new("5.5.2 reloads with a certificate that is mismatched, expired, broken or gone")
        .bound("refused with the file's name; the old one is served on")
        .n(n)
        .record(wrong.is_empty(), wrong_of(n, &wrong));
    files.write("certs/a.pem", &both(&other, &other));
    let output = stage.reload();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(stage.shows(&files, 443, "a.test", &other));
    // Keys of tickets are read again as well.
    files.write("tickets", "nonsense!");
    stage.event("certificate", &format!("{}: line 1: this is no base64", files.shown("tickets")));
}

#[test]
fn the_end_of_a_certificate_is_told_in_time() {
    if skipped("the_end_of_a_certificate_is_told_in_time") {
        return;
    }
    let files = Certificates::of_root();
    let day = Duration::from_secs(24 * 3600);
    let now = SystemTime::now();
    let soon = files.leaf_until("soon.test", now + 5 * day);
    let past = files.leaf_until("past.test", now - day);
    for (name, leaf) in [("fine", &files.leaf("fine.test")), ("soon", &soon), ("past", &past)] {
        files.write(&format!("certs/{name}.pem"), &format!("{}{}", leaf.pem, leaf.key_pem));
    }
    let stage = Stage::start(&listener(443, &files.shown("certs"), ""), &[]);
    let of = |name: &str| files.shown(&format!("certs/{name}.pem"));
    let ending = stage.event("certificate", &format!("the certificate {} (for", of("soon")));
    let said = ending["message"].as_str().unwrap();
    assert!(said.contains("(for soon.test") && said.contains("in 4 days: renew it"), "{said}");
    assert_eq!(ending["listeners"], serde_json::json!(["p443"]), "{ending}");
    let ended = stage.event("certificate", &format!("the certificate {} (for", of("past")));
    assert!(ended["message"].as_str().unwrap().contains("has ended at"), "{ended}");
    let page = stage.metrics();
    let end = |name: &str| {
        let file = of(name);
        let line = page.lines().find(|line| line.contains(&format!("file=\"{file}\"")))?;
        let rest = line.strip_prefix("eclusa_listener_certificate_expiry_timestamp_seconds")?;
        assert!(rest.starts_with(&format!("{{listener=\"p443\",name=\"{name}.test\"")), "{line}");
        rest.rsplit(' ').next()?.parse::<u64>().ok()
    };
    let wanted = (now + 5 * day).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!(end("soon").is_some_and(|end| end.abs_diff(wanted) <= 1), "{page}");
    assert!(end("past").is_some() && end("fine").is_some(), "{page}");
    let about_fine = |event: &Value| event["file"] == of("fine").as_str();
    assert!(!stage.events("certificate").iter().any(about_fine));
    // A renewal shows at once.
    let fresh = files.leaf("soon.test");
    files.write("certs/soon.pem", &format!("{}{}", fresh.pem, fresh.key_pem));
    wait_until(PATIENCE, "the new end", || !stage.metrics().contains(&format!(" {wanted}\n")));
}
