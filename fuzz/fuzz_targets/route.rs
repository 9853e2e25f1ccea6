//! Routes and a request made of any bytes, given to the route table and to a plain look through the list.
#![no_main]

#[path = "../oracles/policy.rs"]
#[allow(dead_code, reason = "each target uses a part")]
mod oracle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::check_route(data));
