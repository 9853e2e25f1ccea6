//! The L7 data path: what the edge does with a connection that it does not merely carry.
//!
//! Start reading at `exchange`: the story of one request. `connection` is what stands around it,
//! `forward` finds an endpoint that answers, `h1` and `h2` move heads and bodies, `answer` is the only place
//! that turns errors into responses. [`tls`] stands at both ends: it is where clients' TLS ends, and
//! where ours to the endpoints begins. `eclusa-apiserver` does not link this crate: it never decrypts.

#![forbid(unsafe_code)]

#[cfg(test)]
mod agrees;
mod answer;
mod bell;
mod carry;
mod compress;
mod connection;
mod counters;
mod duplex;
mod edits;
mod exchange;
mod forward;
mod forwarded;
mod h1;
mod h2;
mod kept;
mod layer;
mod limit;
mod origin;
mod password;
mod patience;
mod place;
mod refusal;
mod request;
mod respond;
mod rest;
mod reuse;
mod scratch;
mod shared;
mod site;
mod spare;
mod stream;
pub mod tls;

pub use layer::Http;
