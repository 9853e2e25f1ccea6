//! One side of a relayed session, and whether it is still alive.

use crate::registry::Tick;
use eclusa_sys::tcp_info::{TcpInfo, tcp_info};
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::net::TcpStream;

/// Window probes in a row without an answer before a peer with a closed window can count as dead.
/// The kernel spaces them out up to 120 s, so a pause between two says nothing.
const PROBES: u8 = 3;
/// An acknowledgement that has not come this long after the data was sent is overdue.
const OVERDUE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Peer {
    stream: TcpStream,
    /// Since when it has owed an acknowledgement without giving any.
    owing_since: Option<Tick>,
    looked: Tick,
}

/// What a look at a peer showed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Look {
    /// It has data of ours that it has not acknowledged.
    pub(super) owes: bool,
    /// It has acknowledged nothing for too long.
    pub(super) dead: bool,
    /// The kernel has given the connection up, or the peer has reset it.
    pub(super) closed: bool,
}

impl Peer {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, owing_since: None, looked: Tick::default() }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn stream_mut(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    pub(super) fn tcp_info(&self) -> Option<TcpInfo> {
        tcp_info(self.stream.as_fd()).ok()
    }

    /// Looks for a sign of life: a peer is dead that owes an acknowledgement and has sent none at
    /// all for `no_ack`. One that acknowledges with a closed window (`kubectl logs | less`) lives.
    ///
    /// `active` is when bytes last moved: what is owed then has been owed since then at least.
    pub(super) fn look(&mut self, now: Tick, active: Tick, no_ack: Duration) -> Look {
        let Some(info) = self.tcp_info() else {
            return Look::default();
        };
        let since_last_look = now.elapsed_since(self.looked);
        self.looked = now;
        let owes = info.unacknowledged > 0 || info.not_sent > 0;
        let since = match self.owing_since {
            Some(since) if owes && info.last_ack > since_last_look => since,
            Some(_) => now,
            None => active,
        };
        self.owing_since = owes.then_some(since);
        let silent = info.last_ack >= no_ack && now.elapsed_since(since) >= no_ack;
        // The kernel waits longer and longer between its tries: it must have asked since the last
        // acknowledgement, and the answer be overdue.
        let unanswered = if info.unacknowledged > 0 {
            info.last_sent >= OVERDUE && info.last_ack > info.last_sent
        } else {
            info.unanswered_probes >= PROBES
        };
        let dead = owes && silent && unanswered;
        Look { owes, dead, closed: info.closed }
    }
}
