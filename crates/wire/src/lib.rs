//! Bytes in, facts out: PROXY protocol, TLS ClientHello, HTTP/1, frames of HTTP/2. No I/O, no clock, no unsafe.
//!
//! The readers of the first two take everything received so far and say what it is, what is wrong
//! with it, or how many bytes are missing. They keep no state between calls: the caller owns the
//! buffer. HTTP/1, whose heads come again and again, goes on where it was.

#![forbid(unsafe_code)]

pub mod client_hello;
pub mod digits;
pub mod http1;
pub mod http2;
pub mod proxy_protocol;
