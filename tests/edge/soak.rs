//! Everything at once while the configuration changes: HTTP/1.1, HTTP/2, gRPC, WebSockets of both. No
//! request fails, nothing is cut, and the edge holds at the end what it held at the beginning.

use crate::bed::{Bed, PLAIN};
use crate::reply::Wire;
use e2e::client;
use e2e::proof::{Item, size, wrong_of};
use e2e::python::{Script, command, missing};
use eclusa_testkit::netns::skipped;
use eclusa_testkit::wait::pause;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How long it goes on, and how often the configuration changes.
const LASTS: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(4));
const RELOADS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1));
/// Until what is kept for all is there.
const WARM: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(2));
/// What the edge may hold more at the end than when it was warm, in bytes and descriptors. Every day
/// it is hardly warm.
const MORE_MEMORY: (u64, u64) = (8 << 20, 64 << 20);
const MORE_DESCRIPTORS: usize = 32;
/// What whoever asks does between two requests.
const PACE: Duration = Duration::from_millis(20);
/// What scripts may take to start, and to end when their time is over.
const SCRIPTS: Duration = Duration::from_secs(60);
/// The bridge by which WebSockets come over HTTP/2.
const BRIDGE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9443);

/// Behind the bed's own configuration.
const MORE: &str = r#"
[[listener.plain.route]]
host = ["socket.test"]
pool = "socket"
[[listener.secure.route]]
host = ["socket.test"]
pool = "socket"
[listener.grpc]
listen = ["192.168.1.2:50443"]
tls = { certificates = ["{certificate}"] }
http = true
pool = "grpc"
[pool.socket]
endpoints = ["10.0.1.107:9001"]
probe = { kind = "none" }
[pool.grpc]
endpoints = ["10.0.1.107:50051"]
probe = { kind = "none" }
http = { version = "2" }
"#;

/// Something that a reload changes, and changes back.
const CHANGED: &str = r#"
[[listener.plain.rule]]
set_header = { "X-Reloaded" = "yes" }
[[listener.secure.rule]]
set_header = { "X-Reloaded" = "yes" }
[[listener.grpc.rule]]
set_header = { "X-Reloaded" = "yes" }
[pool.added]
endpoints = ["10.0.1.105:80"]
probe = { kind = "none" }
"#;

/// What came of something that was asked again and again.
struct Asked {
    by: &'static str,
    count: usize,
    wrong: Vec<String>,
}

/// A script of the other tests.
fn script(bed: &Bed, host: &str, path: &str, words: &[&str]) -> Script {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("edge").join(path);
    let mut command = command(&bed.host(host), &path);
    command.args(words);
    let name = format!("{host}-{}", words.join("-").replace(['/', ':'], "-"));
    Script::start(command, bed.edge.scratch().path().join(name))
}

/// Asks until it is over.
fn ask(by: &'static str, over: &AtomicBool, mut one: impl FnMut() -> io::Result<()>) -> Asked {
    let mut asked = Asked { by, count: 0, wrong: Vec::new() };
    while !over.load(Relaxed) && asked.wrong.len() < 5 {
        asked.count += 1;
        if let Err(error) = one() {
            asked.wrong.push(format!("{by}, number {}: {error}", asked.count));
        }
        pause(PACE);
    }
    asked
}

/// GETs on a kept connection.
fn ask_h1(bed: &Bed, over: &AtomicBool) -> Asked {
    let mut kept = None;
    ask("HTTP/1.1", over, || {
        let mut wire: Wire = kept.take().map_or_else(|| Wire::open(&bed.client, PLAIN), Ok)?;
        let reply = wire.get("shop.test", "/who")?;
        if reply.status != 200 {
            return Err(io::Error::other(format!("{reply:?}")));
        }
        if !reply.is_last() {
            kept = Some(wire);
        }
        Ok(())
    })
}

/// Bytes that come back on one WebSocket, which stands all the time.
fn ask_socket(bed: &Bed, by: &'static str, to: SocketAddr, over: &AtomicBool) -> Asked {
    let open = || -> io::Result<Wire> {
        let mut wire = Wire::open(&bed.client, to)?;
        wire.say(
            b"GET /socket HTTP/1.1\r\nHost: socket.test\r\nConnection: Upgrade\r\n\
              Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )?;
        match wire.head()?.status {
            101 => Ok(wire),
            status => Err(io::Error::other(format!("{status}"))),
        }
    };
    let mut wire = match open() {
        Ok(wire) => wire,
        Err(error) => return Asked { by, count: 1, wrong: vec![format!("{by}: {error}")] },
    };
    let mut number = 0;
    ask(by, over, || {
        number += 1;
        let frame = format!("{by}, frame {number}");
        wire.say(frame.as_bytes())?;
        let heard = wire.exactly(frame.len())?;
        let same = heard == frame.as_bytes();
        same.then_some(()).ok_or_else(|| io::Error::other(format!("heard {heard:?}")))
    })
}

/// `h2load` on two connections, 100 requests a second.
fn ask_h2(bed: &Bed, lasts: Duration) -> Asked {
    let by = "HTTP/2";
    let lasts = lasts.as_secs().to_string();
    let words = ["--duration", &lasts, "-c", "2", "-m", "8", "--rps", "50", "-t", "1"];
    let to = ["--connect-to", "192.168.1.2:443", "https://shop.test/who"];
    let said = bed.run("h2load", &[&words[..], &to].concat());
    let said = said.unwrap_or_else(|error| format!("h2load: {error}"));
    let number = |line: &str, what: &str| -> Option<usize> {
        let line = said.lines().find_map(|found| found.strip_prefix(line))?;
        let found = line.split(',').find_map(|part| part.trim().strip_suffix(what))?;
        found.trim().parse().ok()
    };
    let count = number("requests:", "done").unwrap_or(0);
    let well = number("status codes:", "2xx").unwrap_or(0);
    let broken = ["failed", "errored", "timeout"].map(|what| number("requests:", what));
    let wrong = (count == 0 || well < count || broken != [Some(0); 3]).then(|| said.clone());
    Asked { by, count, wrong: wrong.into_iter().collect() }
}

/// Calls of every form.
fn ask_grpc(bed: &Bed, lasts: Duration) -> Asked {
    let ca = bed.ca.display().to_string();
    let seconds = lasts.as_secs_f64().to_string();
    let words = ["192.168.1.2:50443", &ca, "soak", &seconds];
    let said = script(bed, "outside1", "grpc/client.py", &words).finish(lasts + SCRIPTS);
    let mut wrong: Vec<String> = said.lines().map(ToOwned::to_owned).collect();
    let last = wrong.pop().unwrap_or_default();
    let count =
        last.strip_prefix("[\"asked\", ").and_then(|rest| rest.trim_end_matches(']').parse().ok());
    Asked { by: "gRPC", count: count.unwrap_or(0), wrong }
}

/// Resident memory and descriptors.
type Held = (u64, usize);

fn held(bed: &Bed) -> Held {
    (bed.edge.memory().unwrap().resident, bed.edge.descriptors().unwrap())
}

/// Changes the configuration again and again; what the edge held when it was warm, at most after
/// that, and at the end, and how often it was changed.
fn keep_reloading(bed: &Bed, lasts: Duration) -> ([Held; 3], usize) {
    let begun = Instant::now();
    let (mut warm, mut most, mut count) = (None, (0, 0), 0);
    while begun.elapsed() < lasts {
        pause(size(RELOADS.0, RELOADS.1));
        count += 1;
        bed.reload(&format!("{}{}", more(bed), if count % 2 == 1 { CHANGED } else { "" }));
        if begun.elapsed() >= size(WARM.0, WARM.1) {
            let now = held(bed);
            warm.get_or_insert(now);
            most = (most.0.max(now.0), most.1.max(now.1));
        }
    }
    let end = held(bed);
    ([warm.unwrap_or(end), most, end], count)
}

/// [`MORE`] with the certificate that the bed's own configuration names.
fn more(bed: &Bed) -> String {
    MORE.replace("{certificate}", &bed.certificate.display().to_string())
}

#[test]
fn everything_at_once_while_the_configuration_changes() {
    const TEST: &str = "everything_at_once_while_the_configuration_changes";
    if skipped(TEST) || missing(TEST, &["grpc", "h2"]) || client::missing(TEST, "h2load") {
        return;
    }
    let bed = Bed::with(true, "");
    bed.reload(&more(&bed));
    let ca = bed.ca.display().to_string();
    let scripts = [
        script(&bed, "worker1", "grpc/server.py", &["10.0.1.107:50051"]),
        script(&bed, "worker1", "autobahn/bridge.py", &["echo", "10.0.1.107:9001"]),
        script(
            &bed,
            "outside1",
            "autobahn/bridge.py",
            &["up", "127.0.0.1:9443", "192.168.1.2:443", &ca],
        ),
    ];
    scripts.iter().for_each(|script| script.wait_for(SCRIPTS, "ready"));
    let lasts = size(LASTS.0, LASTS.1);
    let over = AtomicBool::new(false);
    let (all, ([warm, most, end], reloads)) = std::thread::scope(|scope| {
        let (bed, over) = (&bed, &over);
        let clients = [
            scope.spawn(move || ask_h1(bed, over)),
            scope.spawn(move || ask_h1(bed, over)),
            scope.spawn(move || ask_socket(bed, "WebSocket", PLAIN, over)),
            scope.spawn(move || ask_socket(bed, "WebSocket over HTTP/2", BRIDGE, over)),
            scope.spawn(move || ask_h2(bed, lasts)),
            scope.spawn(move || ask_grpc(bed, lasts)),
        ];
        let held = keep_reloading(bed, lasts);
        over.store(true, Relaxed);
        (clients.map(|client| client.join().unwrap()), held)
    });
    let count: usize = all.iter().map(|asked| asked.count).sum();
    let each: Vec<_> = all.iter().map(|asked| format!("{} {}", asked.count, asked.by)).collect();
    let wrong: Vec<String> = all.iter().flat_map(|asked| asked.wrong.clone()).collect();
    wrong.iter().for_each(|line| println!("{line}"));
    let all_asked = all.iter().all(|asked| asked.count > 0);
    Item::new("6.1 HTTP/1.1, HTTP/2, gRPC and WebSockets of both while the configuration changes")
        .bound("0 failed, none cut")
        .n(count)
        .note(format!("{lasts:?}, {reloads} reloads; {}", each.join(", ")))
        .record(wrong.is_empty() && all_asked, wrong_of(count, &wrong));
    let mebibytes = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let more = size(MORE_MEMORY.0, MORE_MEMORY.1);
    let flat = end.0 <= warm.0 + more && end.1 <= warm.1 + MORE_DESCRIPTORS;
    let told = |held: Held| format!("{} and {} descriptors", mebibytes(held.0), held.1);
    Item::new("6.2 what the edge holds meanwhile")
        .bound(format!(
            "at the end at most {} and {MORE_DESCRIPTORS} descriptors more than when it was warm",
            mebibytes(more)
        ))
        .n(reloads)
        .worst(told(most))
        .record(flat, format!("warm {}, at the end {}", told(warm), told(end)));
    assert!(!bed.exchanges().is_empty(), "there are records");
}
