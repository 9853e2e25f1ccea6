//! An HTTP/2 client that says exactly what a test wants, right or wrong, and checks every frame
//! that it is told: RFC 9113 and RFC 7541 as an attacker and as a pedant know them.
//!
//! Nothing here is shared with the `h2` crate, which the product is built on.

mod client;
mod frame;
mod head;
pub mod hpack;
pub mod huffman;
mod seen;

pub use client::{Client, Wire};
pub use frame::{Frame, PREFACE, code_named, flag, kind, name_of_code, setting};
pub use head::Head;
pub use seen::{GoAway, Seen, Stream};
