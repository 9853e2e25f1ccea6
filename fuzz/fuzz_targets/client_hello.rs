//! Any bytes, given to the ClientHello reader.
#![no_main]

#[path = "../oracles/client_hello.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::check(data));
