//! What configurations of HAProxy ask of an edge beyond routes: pools that are asked how they stand, counters
//! of clients, answers that are compressed, rewritten or written in a file, fields in the log.

use crate::bed::Bed;
use crate::recorder::Recorder;
use crate::reply::Wire;
use e2e::product::PATIENCE;
use eclusa_testkit::netns::skipped;
use eclusa_testkit::process::{Scratch, binary};
use eclusa_testkit::wait::wait_until;
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;

/// The listener that has all of it.
const MORE: &str = r#"
[counter.asks]
within = "60s"
clients = 100
[listener.more]
listen = ["192.168.1.2:81"]
pool = "recorder"
[listener.more.http]
compress = { types = ["text/"] }
log_headers = ["Origin"]
[[listener.more.rule]]
close = true
path = "/closed"
[[listener.more.rule]]
answer = { status = 203, message = "{message}" }
path = "/page"
[[listener.more.rule]]
count = "asks"
path_prefix = "/counted"
[[listener.more.rule]]
deny = { status = 429 }
path_prefix = "/counted"
counted_over = { asks = 3 }
[[listener.more.rule]]
deny = { status = 420 }
path = "/at-once"
at_once_over = { asks = 0 }
[[listener.more.rule]]
replace_response_header = { name = "Location", regex = '^http://app(:[0-9]+)?/', with = "/" }
[[listener.more.rule]]
add_response_header = { X-From = "{pool}/{endpoint} {http_version}" }
[[listener.more.route]]
host_prefix = "cache."
available = { cache = 1 }
pool = "cache"
[pool.cache]
endpoints = [{ name = "cache-1", address = "10.0.1.106:80" }]
probe = { kind = "tcp", interval = "100ms", fast_interval = "100ms" }
"#;

const ADDRESS: &str = "192.168.1.2:81";

struct Stage {
    bed: Bed,
    _files: Scratch,
}

impl Stage {
    fn start() -> Self {
        let files = Scratch::new("carried").unwrap();
        let page =
            "HTTP/1.0 203 As Written\r\nContent-Type: text/csv\r\nConnection: close\r\n\r\na,b\n";
        let message = files.write("page.http", page).unwrap();
        let more = MORE.replace("{message}", &message.display().to_string());
        Self { bed: Bed::without_nginx(&more), _files: files }
    }

    fn open(&self) -> Wire {
        let address: SocketAddr = ADDRESS.parse().unwrap();
        Wire::open(&self.bed.client, address).unwrap()
    }

    /// Who answers a request for this host.
    fn from(&self, host: &str) -> String {
        let reply = self.open().get(host, "/who").unwrap();
        reply.field("x-from").unwrap_or_default().to_owned()
    }

    /// Where `explain` says that a request for this host goes, and all that it says of it.
    fn explained(&self, host: &str) -> (String, String) {
        let socket = self.bed.edge.run_directory().join("edge.sock");
        wait_until(PATIENCE, "the admin socket", || socket.exists());
        let mut command = Command::new(binary("eclusa-edge").unwrap());
        command.args(["explain", "--json", "--from", "203.0.113.11", "--listener", "more"]);
        let output = command.args(["--host", host, "--path", "/who", "--socket"]).arg(socket);
        let output = output.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let words = String::from_utf8_lossy(&output.stderr);
        let said: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text} {words}"));
        let pool = said["pools"][0]["name"].as_str().unwrap_or_default().to_owned();
        (pool, text)
    }
}

#[test]
fn a_route_asks_whether_its_pool_is_well() {
    if skipped("a_route_asks_whether_its_pool_is_well") {
        return;
    }
    let stage = Stage::start();
    let cached = "cache/cache-1 1.1";
    let uncached = "recorder/10.0.1.105:80 1.1";
    wait_until(PATIENCE, "nobody there: the pool for all", || stage.from("cache.test") == uncached);
    let (pool, told) = stage.explained("cache.test");
    assert!(pool == "recorder" && told.contains("0 are well"), "{told}");
    let cache = Recorder::start(&stage.bed.worker(), "10.0.1.106:80");
    wait_until(PATIENCE, "the cache", || stage.from("cache.test") == cached);
    let (pool, told) = stage.explained("cache.test");
    assert!(pool == "cache" && told.contains("1 are well"), "{told}");
    assert_eq!(stage.from("other.cache.test"), uncached, "the host does not begin so");
    drop(cache);
    wait_until(PATIENCE, "the pool for all again", || stage.from("cache.test") == uncached);
}

#[test]
fn requests_of_a_client_are_counted_where_a_rule_says_so() {
    if skipped("requests_of_a_client_are_counted_where_a_rule_says_so") {
        return;
    }
    let stage = Stage::start();
    let mut wire = stage.open();
    let mut ask = |path: &str| wire.get("app.test", path).unwrap().status;
    assert_eq!((ask("/free"), ask("/at-once")), (200, 200), "nobody was counted");
    // One that is not over.
    let mut slow = stage.open();
    let head = "POST /counted HTTP/1.1\r\nHost: app.test\r\nContent-Length: 2\r\n\r\n";
    slow.say(head.as_bytes()).unwrap();
    wait_until(PATIENCE, "one at once", || ask("/at-once") == 420);
    slow.say(b"ok").unwrap();
    assert_eq!(slow.reply().unwrap().status, 200);
    wait_until(PATIENCE, "none at once", || ask("/at-once") == 200);
    let counted: Vec<_> = (0..4).map(|_| ask("/counted/x")).collect();
    assert_eq!(counted, [200, 200, 429, 429], "of three the first was there");
    assert_eq!(ask("/free"), 200, "nobody counts there");
    // Without an answer.
    wire.say(b"GET /closed HTTP/1.1\r\nHost: app.test\r\n\r\n").unwrap();
    assert!(wire.reply().is_err());
    let record = stage.bed.exchange_for("/closed");
    assert_eq!((&record["status"], &record["reason"]), (&0.into(), &"closed by a rule".into()));
}

#[test]
fn answers_are_compressed_rewritten_and_written_in_files() {
    if skipped("answers_are_compressed_rewritten_and_written_in_files") {
        return;
    }
    let stage = Stage::start();
    let body = "a line of text\n".repeat(20_000);
    let answer = |kind: &str| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nETag: \"a\"\r\n");
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    let text = stage.bed.recorder.will_answer(&answer("text/plain"), true);
    let other = stage.bed.recorder.will_answer(&answer("image/png"), true);
    let chunks = body
        .as_bytes()
        .chunks(7_000)
        .map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    let mut chunked =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    chunked.extend(chunks.flatten());
    chunked.extend_from_slice(b"0\r\n\r\n");
    let chunked = stage.bed.recorder.will_answer(&chunked, true);
    let curl = |path: &str, options: &[&str]| {
        let url = format!("http://{ADDRESS}{path}");
        let size = "\nsize=%{size_download}";
        let all =
            [&["-sS", "-D", "-", "--max-time", "20", "-w", size][..], options, &[&url]].concat();
        stage.bed.run("curl", &all).unwrap()
    };
    let size =
        |told: &str| -> usize { told.rsplit_once("size=").unwrap().1.trim().parse().unwrap() };
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        for path in [&text, &chunked] {
            let told = curl(path, &["--compressed", version]);
            let head = told.to_ascii_lowercase();
            assert!(told.contains(&body), "{version} {path}: {} bytes", told.len());
            assert!(head.contains("content-encoding: gzip"), "{version} {path}: {}", &told[..400]);
            assert!(head.contains("vary: accept-encoding") && size(&told) < body.len() / 20);
        }
        let told = curl(&text, &["--compressed", version]);
        assert!(told.contains("W/\"a\"") && !told.to_ascii_lowercase().contains("content-length"));
        for (path, options) in [(&text, &[version][..]), (&other, &["--compressed", version])] {
            let told = curl(path, options);
            assert!(told.contains(&body) && size(&told) == body.len(), "{version} {path}");
            assert!(!told.to_ascii_lowercase().contains("content-encoding"));
        }
    }
    let moved =
        "HTTP/1.1 302 Found\r\nLocation: http://app:8080/there?x\r\nContent-Length: 0\r\n\r\n";
    let moved = stage.bed.recorder.will_answer(moved.as_bytes(), true);
    let told = stage.open().get("app.test", &moved).unwrap();
    assert_eq!(told.field("location"), Some("/there?x"));
    let elsewhere = "HTTP/1.1 302 Found\r\nLocation: http://b/there\r\nContent-Length: 0\r\n\r\n";
    let elsewhere = stage.bed.recorder.will_answer(elsewhere.as_bytes(), true);
    let told = stage.open().get("app.test", &elsewhere).unwrap();
    assert_eq!(told.field("location"), Some("http://b/there"));
    let mut wire = stage.open();
    let page = wire.get("app.test", "/page").unwrap();
    assert_eq!((page.status, page.text()), (203, "a,b\n".to_owned()));
    assert_eq!((page.field("content-type"), page.is_last()), (Some("text/csv"), false));
    // What the log has of it.
    wire.say(b"GET /logged HTTP/1.1\r\nHost: app.test\r\nOrigin: https://a.test\r\n\r\n").unwrap();
    assert_eq!(wire.reply().unwrap().status, 200);
    let record = stage.bed.exchange_for("/logged");
    assert_eq!(record["headers"]["origin"], "https://a.test");
    assert!(stage.bed.exchange_for("/page")["headers"].is_null());
}
