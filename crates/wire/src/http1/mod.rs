//! HTTP/1.0 and HTTP/1.1 (RFC 9110, RFC 9112), read strictly and written canonically.
//!
//! A [`Parser`] reads a head in place: the connection receives into [`Head::buffer`], and the head
//! is places in those bytes. [`Chunked`] says which bytes of a chunked body are data.
//! [`write_request`] and [`write_response`] write a head with its edits. HTTP/2 fills the same
//! [`Head`] (`begin_request`, `append`), so that nothing behind it asks for the version.
//!
//! What could be read in two ways is refused with a [`Reason`]. What is written says everything
//! once, whatever way it was said. Decisions where the standard leaves one, or where it is stricter
//! here:
//!
//! | what | here |
//! |---|---|
//! | `Content-Length` twice, equal | refused; so are lists, signs and blanks in it |
//! | leading zeros in a length | read as decimal, not passed on |
//! | codings other than `chunked` | refused: what is not understood cannot be framed anew |
//! | `Transfer-Encoding` in HTTP/1.0 | refused |
//! | a body with CONNECT, TRACE; with GET, HEAD, DELETE in HTTP/1.0 | refused, unless of length 0 |
//! | `Content-Length: 0` with 1xx and 204 | dropped; any other framing there is refused |
//! | target's host beside `Host` | must be equal; the scheme's port may be left out of either |
//! | absolute target without a path | gets `/`; `*` for OPTIONS |
//! | a port of nothing (`a:`) | dropped; 0, leading zeros, over 65535: refused |
//! | `get`, `Head` | refused; other methods may be in any case |
//! | `Content_Length`, `Transfer_Encoding` | refused: gateways to CGI read them as the real ones |
//! | raw bytes in targets | those that browsers send; others by [`Leniency`] |
//! | `Connection: cookie` and the like | ignored, see RFC 9110, section 7.6.1; other names are taken away |
//! | chunk extensions | read strictly, bounded, dropped |
//! | trailers | the rules of fields; those that frame, route or authenticate are refused |
//! | one empty line before a request | passed over |
//! | `Upgrade` with a body, or not named in `Connection` | not passed on |

mod authority;
mod chunked;
mod edit;
mod field;
mod fill;
mod framing;
mod head;
mod lenient;
mod limits;
mod lines;
mod message;
mod reason;
mod start_line;
mod target;
mod token;
mod trailers;
mod write;

pub use authority::Scheme;
pub use chunked::{CHUNK_END, ChunkHead, Chunked, Decoded};
pub use edit::EditError;
pub use framing::Body;
pub use head::{Asked, Head, Version};
pub use lenient::{Leniency, Lenient};
pub use limits::{
    EXTENSIONS_MAX, FIELDS_MAX, HEAD_MAX, Limits, METHOD_MAX, NAME_MAX, NOMINATED_MAX,
};
pub use message::{Parsed, Parser};
pub use reason::Reason;
pub use trailers::Trailers;
pub use write::{Framing, Persist, write_last_chunk, write_request, write_response};
