//! Any bytes, given to the importer of haproxy.cfg for both programs.
#![no_main]

#[path = "../oracles/haproxy.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::check(data));
