//! The TLS ClientHello, read without decrypting anything: server name and application protocols
//! for routing, and what decides whether the first flight may be sent a second time.
//!
//! Sources: RFC 8446 sections 4.1.2 (ClientHello), 4.2 (extensions), 5.1 (records); RFC 6066
//! section 3 (server name); RFC 7301 section 3.1 (ALPN); RFC 8701 (GREASE: unknown values are
//! passed over). With Encrypted Client Hello the outer hello is what is seen here, and its public
//! name is what can be routed by.

mod message;
mod name;
mod reader;
mod records;

pub use name::{NAME_MAX, ServerName};

/// The longest ClientHello that is waited for, in bytes on the wire with its record headers.
/// Hybrid post-quantum key shares make hellos of 1 to 2 KiB.
pub const HELLO_MAX: usize = 16 * 1024;

/// What the first bytes of a connection are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peek {
    /// A hello so far, and not yet whole.
    Incomplete {
        /// No hello that begins like this is shorter than so many bytes in all; always more than
        /// the buffer holds. A shorter buffer may still prove wrong, so ask again after every
        /// read.
        at_least: usize,
    },
    /// Not TLS: decided at the first byte that no TLS client would send. SSLv2 counts as not TLS.
    NotTls,
    /// The hello would be longer than [`HELLO_MAX`].
    TooLarge,
    /// TLS records that no hello can be read from; the text says why, for the log.
    Malformed(&'static str),
    /// A whole hello.
    Complete(ClientHello),
}

/// What a ClientHello says, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The server name.
    pub server_name: ServerName,
    /// The application protocols that the client offers, in its order.
    pub alpn: Alpn,
    /// Whether the client announces 0-RTT data: then sending its bytes twice is not safe.
    pub early_data: bool,
    /// Whether the client offers TLS 1.3.
    pub tls13: bool,
    /// Length in bytes of all records of the hello.
    pub wire_len: usize,
    /// Whether the buffer holds bytes after the hello.
    pub trailing: bool,
}

impl ClientHello {
    /// The server name in lower case, without a final dot, if it is a host name.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        match &self.server_name {
            ServerName::Host(name) => Some(name),
            ServerName::Absent | ServerName::Address | ServerName::Invalid => None,
        }
    }
}

/// The protocols of the ALPN extension (RFC 7301), checked: no name is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alpn(Box<[u8]>);

impl Alpn {
    /// The protocols in the client's order. Names are bytes: most are text, GREASE is not.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (length, names) = rest.split_first()?;
            let (name, after) = names.split_at_checked(usize::from(*length))?;
            rest = after;
            Some(name)
        })
    }

    /// Whether `protocol` is among them.
    #[must_use]
    pub fn offers(&self, protocol: &[u8]) -> bool {
        self.iter().any(|offered| offered == protocol)
    }

    /// Whether the client offers none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The list as it came: each name after one byte of length.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        &self.0
    }
}

/// Why there is no hello to return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Incomplete { at_least: usize },
    NotTls,
    TooLarge,
    Malformed(&'static str),
}

/// Reads the ClientHello at the start of `buf`, which holds all bytes received so far.
///
/// Until the hello is whole a call costs a walk over the record headers; it is put together and
/// read only then. It allocates for the name, the protocols, and for a hello in several records.
/// Feeding a hello byte by byte ends in the same result as feeding it whole.
#[must_use]
pub fn peek(buf: &[u8]) -> Peek {
    match read(buf) {
        Ok(hello) => Peek::Complete(hello),
        Err(Stop::Incomplete { at_least }) => Peek::Incomplete { at_least },
        Err(Stop::NotTls) => Peek::NotTls,
        Err(Stop::TooLarge) => Peek::TooLarge,
        Err(Stop::Malformed(why)) => Peek::Malformed(why),
    }
}

fn read(buf: &[u8]) -> Result<ClientHello, Stop> {
    let records = records::walk(buf)?;
    let facts = message::read(&records.body(buf))?;
    Ok(ClientHello {
        server_name: facts.server_name,
        alpn: Alpn(facts.alpn),
        early_data: facts.early_data,
        tls13: facts.tls13,
        wire_len: records.wire_len,
        trailing: buf.len() > records.wire_len,
    })
}
