//! The preamble: what is read of a connection before it is routed. A PROXY header where the peer
//! must send one, then, if the listener peeks, the ClientHello. Nothing is decrypted and nothing is
//! taken away: what is read goes to the endpoint as it came.

use crate::observe::{End, Hello, Step, Who};
use crate::relay::{Buffers, reason_of};
use eclusa_wire::client_hello::{self, ClientHello, Peek};
use eclusa_wire::proxy_protocol::{self, Header, Parsed};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// A client that says nothing for this long may be waiting for the endpoint to speak first.
const SILENCE: Duration = Duration::from_secs(2);

/// Reads the first bytes of a connection, until `deadline`.
pub(crate) struct Preamble<'a> {
    stream: &'a mut TcpStream,
    buffers: &'a Buffers,
    accepted: Instant,
    deadline: Instant,
    read: Vec<u8>,
}

/// What the first bytes showed.
pub(crate) struct Greeting {
    pub(crate) hello: Hello,
    /// The server name, in lower case.
    pub(crate) server_name: Option<Box<str>>,
    /// The first protocol that the client offers.
    pub(crate) alpn: Option<Box<[u8]>>,
    /// Exactly one ClientHello and nothing after it, and no early data: sending it twice is safe.
    pub(crate) replayable: bool,
}

impl From<Hello> for Greeting {
    fn from(hello: Hello) -> Self {
        Self { hello, server_name: None, alpn: None, replayable: false }
    }
}

/// Addresses that a PROXY header names.
pub(crate) struct Named {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
}

impl<'a> Preamble<'a> {
    pub(crate) fn new(
        stream: &'a mut TcpStream,
        buffers: &'a Buffers,
        accepted: Instant,
        patience: Duration,
    ) -> Self {
        Self { stream, buffers, accepted, deadline: accepted + patience, read: Vec::new() }
    }

    /// What was read and is to be passed on.
    pub(crate) fn into_first_flight(self) -> Vec<u8> {
        self.read
    }

    /// Reads a PROXY header, which must come first. `None`: the header names nobody (a health
    /// check of the proxy in front, or a family it cannot tell), and the peer itself is the client.
    pub(crate) async fn proxy_header(&mut self) -> Result<Option<Named>, End> {
        loop {
            match proxy_protocol::parse(&self.read) {
                Ok(Parsed::Complete { header, consumed }) => {
                    let named = match header {
                        Header::Proxied { source, destination, .. } => {
                            Some(Named { source, destination })
                        }
                        _ => None,
                    };
                    self.read.drain(..consumed);
                    return Ok(named);
                }
                Ok(Parsed::Incomplete { .. }) => {}
                Err(error) => {
                    let reason = format!("PROXY header: {error}");
                    return Err(End::abort(Who::Client, Step::Preamble, reason));
                }
            }
            match self.more(self.deadline).await {
                Ok(true) => {}
                Ok(false) => {
                    let reason = "closed before its PROXY header was complete";
                    return Err(End::abort(Who::Client, Step::Preamble, reason));
                }
                Err(error) => return Err(self.failed(&error, "PROXY header")),
            }
        }
    }

    /// Reads until there is a complete ClientHello, or it is clear that none will come.
    pub(crate) async fn client_hello(&mut self) -> Result<Greeting, End> {
        let silent_at = (Instant::now() + SILENCE).min(self.deadline);
        loop {
            let mut undecided = false;
            match client_hello::peek(&self.read) {
                Peek::Complete(hello) => return Ok(greeting_of(&hello)),
                Peek::NotTls => match begins_proxy_header(&self.read) {
                    Some(true) => {
                        let reason = "a PROXY header from a network that is not in `proxy_from`";
                        return Err(End::abort(Who::Client, Step::Preamble, reason));
                    }
                    Some(false) => return Ok(Hello::NotTls.into()),
                    // However a header is cut into packets, it ends the same.
                    None => undecided = true,
                },
                Peek::TooLarge => return Ok(Hello::Oversized.into()),
                Peek::Malformed(why) => return Ok(Hello::Malformed(why).into()),
                Peek::Incomplete { .. } => {}
            }
            let waits = undecided || self.read.is_empty();
            match self.more(if waits { silent_at } else { self.deadline }).await {
                Ok(true) => {}
                Ok(false) if undecided => return Ok(Hello::NotTls.into()),
                // A half-close before the hello: the endpoint may still have something to say.
                Ok(false) => return Ok(Hello::Silent.into()),
                Err(error) if error.kind() == io::ErrorKind::TimedOut && undecided => {
                    return Ok(Hello::NotTls.into());
                }
                Err(error) if error.kind() == io::ErrorKind::TimedOut && self.read.is_empty() => {
                    return Ok(Hello::Silent.into());
                }
                Err(error) => return Err(self.failed(&error, "ClientHello")),
            }
        }
    }

    /// Reads once; `false` at the end of the stream.
    async fn more(&mut self, until: Instant) -> io::Result<bool> {
        let (stream, buffers, read) = (&mut *self.stream, self.buffers, &mut self.read);
        let reading = poll_fn(|context| {
            buffers.with_copy(|buffer| {
                let got = match read_once(context, stream, buffer) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(got) => got?,
                };
                read.extend_from_slice(&buffer[..got]);
                Poll::Ready(Ok(got > 0))
            })
        });
        timeout_at(until, reading).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    fn failed(&self, error: &io::Error, what: &str) -> End {
        if error.kind() == io::ErrorKind::TimedOut {
            let waited = self.deadline.duration_since(self.accepted);
            let reason = format!("{what} not complete after {waited:?}");
            return End::timeout(Who::Client, Step::Preamble, reason);
        }
        End::abort(Who::Client, Step::Preamble, reason_of(error))
    }
}

/// Whether the bytes begin a PROXY header, of either version (section 2); `None`: they are too few
/// to tell.
fn begins_proxy_header(bytes: &[u8]) -> Option<bool> {
    const BEGINNINGS: [&[u8]; 2] = [b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"];
    if BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning)) {
        return Some(true);
    }
    let undecided = BEGINNINGS.iter().any(|beginning| beginning.starts_with(bytes));
    (!undecided).then_some(false)
}

fn greeting_of(hello: &ClientHello) -> Greeting {
    Greeting {
        hello: Hello::Complete,
        server_name: hello.host().map(Box::from),
        alpn: hello.alpn.iter().next().map(Box::from),
        replayable: !hello.trailing && !hello.early_data,
    }
}

fn read_once(
    context: &mut Context<'_>,
    stream: &mut TcpStream,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(buffer);
    let result = Pin::new(stream).poll_read(context, &mut buffer);
    result.map_ok(|()| buffer.filled().len())
}
