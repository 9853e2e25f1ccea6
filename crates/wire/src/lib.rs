//! Bytes in, facts out: PROXY protocol, TLS ClientHello. No I/O, no clock, no unsafe.
//!
//! Both readers take everything received so far and say what it is, what is wrong with it, or
//! how many bytes are missing. They keep no state between calls: the caller owns the buffer.

#![forbid(unsafe_code)]

pub mod client_hello;
pub mod proxy_protocol;
