//! Replays the fuzz corpora through the oracles of the fuzz targets.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/oracles/client_hello.rs"]
#[allow(dead_code, reason = "the builder serves other tests")]
mod client_hello;
#[path = "../../../fuzz/oracles/http1.rs"]
mod http1;
#[path = "../../../fuzz/oracles/http2.rs"]
mod http2;
#[path = "../../../fuzz/oracles/proxy.rs"]
mod proxy;

#[test]
fn proxy_corpus() {
    replay("proxy", proxy::check);
}

#[test]
fn client_hello_corpus() {
    replay("client_hello", client_hello::check);
}

#[test]
fn request_corpus() {
    replay("request", http1::check_request);
}

#[test]
fn response_corpus() {
    replay("response", http1::check_response);
}

#[test]
fn chunks_corpus() {
    replay("chunks", http1::check_chunks);
}

#[test]
fn frames_corpus() {
    replay("frames", http2::check_frames);
}

#[test]
fn grpc_corpus() {
    replay("grpc", http2::check_grpc);
}

fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display()); // the last one printed is the one that fails
        check(&fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count > 0, "no corpus in {}", folder.display());
}
