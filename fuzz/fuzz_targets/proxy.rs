//! Any bytes, given to the PROXY reader.
#![no_main]

#[path = "../oracles/proxy.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::check(data));
