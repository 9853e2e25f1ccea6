//! Any bytes as messages, timeouts and statuses of gRPC.
#![no_main]

#[path = "../oracles/http2.rs"]
#[allow(dead_code, reason = "each target uses a part")]
mod oracle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::check_grpc(data));
