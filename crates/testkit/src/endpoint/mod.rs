//! Byte-exact endpoints for tests of a TCP data path. Each is a value: dropped = gone, with all
//! its connections. The other side stands in [`crate::client`] (`upload`, `download`,
//! `both_ways`).
//!
//! An idle session of an echo holds no buffer, so that 10,000 of them are cheap; see
//! [`crate::background::raise_file_limit`] for their descriptors.

mod serve;
mod steps;

use crate::background::{Background, listen};
use crate::ca::Leaf;
use crate::proxy_header;
use crate::wait;
use serde::{Deserialize, Serialize};
use serve::Shared;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// Bytes that [`Kind::AnswerThenReset`] answers: all of this one.
pub const ANSWER: [u8; 100] = [b'a'; 100];

/// What an endpoint does with each connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sends back what it reads, read by read; FIN after FIN.
    Echo,
    /// Reads to FIN, then sends all of it back (at most 64 MiB are kept), then FIN.
    EchoAfterEof,
    /// Sends the first `bytes` bytes of the stream `seed`, then FIN; what comes is thrown away.
    Source {
        /// The seed of the [`crate::stream::Stream`].
        seed: u64,
        /// How many bytes.
        bytes: u64,
    },
    /// Checks what it reads against the stream `seed`; after FIN it answers with one line, a
    /// [`Report`] as JSON, and closes.
    Sink {
        /// The seed of the [`crate::stream::Stream`].
        seed: u64,
        /// Bytes a second that it reads at most; `None`: as fast as it can.
        rate: Option<u64>,
    },
    /// Speaks first: sends this at once, then echoes.
    Greeting(Vec<u8>),
    /// Reads one chunk (at most 1 KiB), sends [`ANSWER`], and closes while more bytes of the
    /// client are unread (it waits up to 1 s for some): the system sends RST after the answer.
    AnswerThenReset,
    /// Accepts and never reads or closes.
    BlackHole,
    /// Records each connection ([`Endpoint::recorded`]), PROXY header first if there is one; then
    /// echoes what comes after the header.
    Recorder,
}

/// What a sink has got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Bytes before FIN.
    pub bytes: u64,
    /// Their [`crate::stream::Checksum`].
    pub checksum: u64,
    /// The first byte that was not the stream's, in words; `None`: all were right.
    pub difference: Option<String>,
}

impl Report {
    /// Reads the line of a sink.
    ///
    /// # Errors
    /// It is none.
    pub fn read(line: &str) -> io::Result<Self> {
        serde_json::from_str(line).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("`{line}` is no report: {error}"))
        })
    }
}

/// What a recorder has got from one connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// Who has connected.
    pub peer: SocketAddr,
    /// The PROXY header it began with; `None`: it began with none (or has sent nothing yet).
    pub header: Option<proxy_header::Header>,
    /// The header, byte by byte.
    pub header_bytes: Vec<u8>,
    /// The first bytes after it, up to 64 KiB.
    pub first: Vec<u8>,
    /// What was wrong with bytes that began like a PROXY header.
    pub malformed: Option<String>,
}

/// What an endpoint has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that stand now.
    pub open: u64,
    /// Bytes received.
    pub received: u64,
    /// Bytes sent (given to the system).
    pub sent: u64,
}

/// A running endpoint.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    shared: Arc<Shared>,
    _thread: Background,
}

impl Endpoint {
    /// Listens on `address` (port 0: a free one) in the network namespace of this thread.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn start(address: SocketAddr, kind: Kind) -> io::Result<Self> {
        Self::launch(address, kind, None)
    }

    /// The same behind TLS.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn start_tls(address: SocketAddr, kind: Kind, certificate: &Leaf) -> io::Result<Self> {
        Self::launch(address, kind, Some(certificate))
    }

    /// An endpoint on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// When the system has none.
    #[must_use]
    pub fn local(kind: Kind) -> Self {
        Self::start(SocketAddr::from(([127, 0, 0, 1], 0)), kind)
            .expect("a free port on the loopback address")
    }

    fn launch(address: SocketAddr, kind: Kind, certificate: Option<&Leaf>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let tls = certificate.map(|leaf| leaf.server(&[]));
        let for_thread = Arc::clone(&shared);
        let (address, thread) = Background::start("endpoint", move || {
            let listener = listen(address)?;
            let address = listener.local_addr()?;
            Ok((address, serve::run(listener, kind, tls, for_thread)))
        })?;
        Ok(Self { address, shared, _thread: thread })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters {
            accepted: self.shared.accepted.load(Relaxed),
            open: self.shared.open.load(Relaxed),
            received: self.shared.received.load(Relaxed),
            sent: self.shared.sent.load(Relaxed),
        }
    }

    /// What a [`Kind::Recorder`] has got, in the order of the accepts.
    #[must_use]
    pub fn recorded(&self) -> Vec<Recorded> {
        self.shared.recorded().clone()
    }

    /// Blocks until the recorder has the first bytes of `connections` connections, and returns
    /// all that it has.
    ///
    /// # Panics
    /// When it has not within `limit`.
    #[track_caller]
    pub fn wait_recorded(&self, connections: usize, limit: Duration) -> Vec<Recorded> {
        wait::wait_for(limit, &format!("{connections} recorded connections"), || {
            let recorded = self.recorded();
            let complete = recorded.iter().filter(|one| !one.first.is_empty()).count();
            (complete >= connections).then_some(recorded)
        })
    }
}

#[cfg(test)]
mod tests;
