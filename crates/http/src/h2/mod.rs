//! HTTP/2 on a connection (RFC 9113), by the `h2` crate: frames, HPACK and flow control are its own;
//! here connections are driven, and each stream is one side of an exchange, as an HTTP/1 connection is.
//!
//! | | |
//! |---|---|
//! | `guard` | under h2: cuts floods, and bounds what one turn reads |
//! | `gathered` | the connection under h2: what it writes goes out together |
//! | `lanes` | what the streams of one connection share |
//! | `stream` | one stream: heads, data, trailers, with back-pressure |
//! | `fields` | heads as h2 has them, and as the exchange has them |
//! | `names` | names of fields, made once |
//! | `serve` | a client's connection |
//! | `exchange` | one exchange on it |
//! | `upstream` | connections to endpoints |
//! | `answer` | answers of our own |
//! | `grpc` | the same to clients of gRPC |
//! | `deadline` | the deadlines of their calls |
//! | `heartbeat` | whether a silent endpoint is still there |
//! | `websocket` | the handshake that HTTP/1 has and HTTP/2 has not |

mod answer;
mod deadline;
mod exchange;
mod fields;
mod gathered;
mod grpc;
mod guard;
mod heartbeat;
mod lanes;
mod names;
mod serve;
mod stream;
mod upstream;
mod websocket;

pub(crate) use deadline::tell_left;
pub(crate) use fields::of_response;
pub(crate) use grpc::is_grpc;
pub(crate) use serve::{begins, serve};
pub(crate) use stream::{Http2, is_reset_by_peer, is_unprocessed};
pub(crate) use upstream::{Found, Links, Opening};
pub(crate) use websocket::is_accepted;
