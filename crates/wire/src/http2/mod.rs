//! HTTP/2 (RFC 9113) as far as it can be judged without its state: which frames come, how many, and
//! whether a client that means well could have sent them. The protocol itself is the `h2` crate's; a
//! [`Counter`] stands under it. [`grpc`] reads what gRPC puts into bodies and fields.
//!
//! What costs us more than it costs the client is a [`Flood`]: each kind has a bucket of tokens, which
//! time refills, and so does the work that the client lets us do for it: a client whose streams are
//! answered may reset others, one that is sent data may acknowledge it in small pieces.

mod counter;
mod flood;
mod frame;
pub mod grpc;

pub use counter::{Counter, Limits};
pub use flood::Flood;
pub use frame::{Frame, Frames, Kind};

/// What a client says first (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
