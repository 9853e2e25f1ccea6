//! The hostile requests without us: what the readers make of them, and what HAProxy and nginx pass on.

use crate::bed::Bed;
use crate::corpus::hostile_requests;
use crate::hostile::{SMUGGLED, said, since};
use crate::readers::{Readers, differs, is_ambiguous};
use crate::recorder::Recorder;
use crate::reply::Wire;
use crate::table::Row;
use e2e::product::PATIENCE;
use e2e::proof::{Item, full, size};
use eclusa_testkit::netns::{Host, skipped};
use eclusa_testkit::process::Peer;
use eclusa_testkit::wait::try_until;
use std::net::SocketAddr;

/// The instrument sees what is ambiguous: the same hostile bytes, with nothing of ours in front.
#[test]
fn raw_hostile_requests_are_read_in_several_ways() {
    const TEST: &str = "raw_hostile_requests_are_read_in_several_ways";
    if skipped(TEST) {
        return;
    }
    let bed = Bed::without_nginx("");
    let readers = Readers::start(&bed.worker(), TEST);
    let mut rows = hostile_requests();
    if !full() {
        // Some that are ambiguous beyond doubt: hyper drops fragments, Python believes any length.
        rows.retain(|row| ["target_fragment", "chunk_end"].contains(&row.expected.as_str()));
    }
    let (mut ambiguous, mut different) = (0, 0);
    for row in &rows {
        let readings = readers.read_raw(&[&row.bytes[..], SMUGGLED].concat(), "/smuggled");
        if is_ambiguous(&readings) {
            println!("ambiguous: {}: {}: {readings:?}", row.expected, row.name);
            ambiguous += 1;
        }
        different += usize::from(differs(&readings));
    }
    Item::new("5.2.5 hostile requests as they are, as a control of the readers")
        .bound("the readers see that some are ambiguous")
        .n(rows.len())
        .note("refused by one and read by another counts as different, not as ambiguous")
        .record(
            ambiguous >= size(10, 3) && different > ambiguous,
            format!("{ambiguous} ambiguous, {different} read differently"),
        );
    if full() {
        beside(&bed, &readers);
    }
}

/// The same hostile bytes through HAProxy and nginx to an endpoint that records; figures, no bounds.
fn beside(bed: &Bed, readers: &Readers) {
    let address = bed.worker().address().to_string();
    for (name, config, port) in [("HAProxy", HAPROXY, 7011), ("nginx", NGINX, 7012)] {
        let recorder = bed.another_recorder(&format!("{address}:{}", port + 10));
        let config = config.replace("{address}", &address);
        let host = bed.worker();
        let _peer = match name {
            "nginx" => Peer::nginx(Some(&host), &config, &[port]),
            _ => Peer::haproxy(Some(&host), &config, &[port]),
        }
        .unwrap();
        let rows = hostile_requests();
        let to = SocketAddr::new(bed.worker().address().into(), port);
        let [forwarded, ambiguous, different] = through(&host, to, &recorder, readers, &rows);
        Item::new(format!("5.2.6 the same hostile requests through {name}"))
            .bound("none: for comparison")
            .n(rows.len())
            .note("each with a good request behind it, which both may forward")
            .record(
                true,
                format!(
                    "{forwarded} forwarded, {ambiguous} of them ambiguous, {different} read \
                     differently"
                ),
            );
    }
}

/// How many rows a proxy forwards, and how many of these ambiguously, or so that readers differ.
fn through(
    host: &Host,
    proxy: SocketAddr,
    recorder: &Recorder,
    readers: &Readers,
    rows: &[Row],
) -> [usize; 3] {
    let mut counts = [0; 3];
    for row in rows {
        let before: Vec<_> = recorder.seen().iter().map(Vec::len).collect();
        let mut wire = Wire::open(host, proxy).unwrap();
        // What they answer is of no interest, nor whether they do.
        let _ = said(&mut wire, &[&row.bytes[..], SMUGGLED].concat());
        // What it has forwarded has come when its connections are closed.
        let _ = try_until(PATIENCE, "the end of its connections", || recorder.open() == 0);
        let streams = since(recorder, &before);
        let readings: Vec<_> =
            streams.iter().map(|stream| readers.read_raw(stream, last_of(stream))).collect();
        let smuggled = b"GET /smuggled ";
        counts[0] += usize::from(streams.iter().any(|bytes| !bytes.starts_with(smuggled)));
        counts[1] += usize::from(readings.iter().any(is_ambiguous));
        counts[2] += usize::from(readings.iter().any(differs));
    }
    counts
}

/// The path of the last request that a stream may have.
fn last_of(stream: &[u8]) -> &'static str {
    if stream.windows(10).any(|part| part == b"/smuggled ") { "/smuggled" } else { "/" }
}

const HAPROXY: &str = "
global
    maxconn 500
defaults
    mode http
    timeout client 1s
    timeout server 1s
    timeout connect 1s
    http-reuse never
listen proxy
    bind {address}:7011
    server recorder {address}:7021
";

const NGINX: &str = "
events { worker_connections 512; }
http {
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    access_log off;
    server {
        listen {address}:7012;
        location / {
            proxy_pass http://{address}:7022; proxy_http_version 1.1;
            proxy_ignore_client_abort on;
            proxy_request_buffering off; proxy_read_timeout 1s; client_body_timeout 1s;
        }
    }
}
";
