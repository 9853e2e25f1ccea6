//! A condition and a request made of any bytes, given to the condition and to a plain second reader.
#![no_main]

#[path = "../oracles/policy.rs"]
#[allow(dead_code, reason = "each target uses a part")]
mod oracle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::check_condition(data));
