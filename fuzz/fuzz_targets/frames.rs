//! Any bytes, and frames made of them, given to the HTTP/2 frame counter.
#![no_main]

#[path = "../oracles/http2.rs"]
#[allow(dead_code, reason = "each target uses a part")]
mod oracle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::check_frames(data));
