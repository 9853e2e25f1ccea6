//! Any bytes as a request, given to the HTTP/1 codec and to `httparse`.
#![no_main]

#[path = "../oracles/http1.rs"]
#[allow(dead_code, reason = "each target uses a part")]
mod oracle;

#[path = "../oracles/httparse.rs"]
#[allow(dead_code, reason = "each target uses a part")]
mod other;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    oracle::check_request(data);
    other::compare_request(data);
});
