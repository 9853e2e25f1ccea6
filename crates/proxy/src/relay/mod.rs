//! The relay: moves the bytes of an established session, both ways, until it ends.
//!
//! It is a plain struct driven by `poll`: no state of a session lives in an async frame. Small data
//! is copied through a buffer of the worker, bulk is spliced through a pipe of the worker's pool,
//! and a session at rest holds neither.

mod buffers;
mod conduit;
mod direction;
mod ending;
mod peer;

pub(crate) use buffers::{Buffers, PIPES};
pub(crate) use conduit::Conduit;
pub use conduit::{Filled, poll_write_more, read_in_doubt};

use crate::observe::{End, Step, TcpSide, Who};
use crate::pool::{LASTING, Lease};
use crate::registry::{Entry, Order, Tick, Watch};
use direction::{Direction, Flow};
use eclusa_config::plan::DeadPeer;
use eclusa_sys::socket::{Keepalive, set_keepalive};
use peer::Peer;
use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// What the plan says of a session that is relayed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) idle: Option<Duration>,
    pub(crate) half_closed: Duration,
    pub(crate) dead_peer: DeadPeer,
}

/// A stopped direction gives its pipe back after this long.
const PIPE_PATIENCE: Duration = Duration::from_secs(2);

/// An established session.
#[derive(Debug)]
pub(crate) struct Relay {
    client: Peer,
    endpoint: Peer,
    up: Direction,
    down: Direction,
    /// One side is gone, but what it said before is still being delivered.
    lost: Option<Who>,
    /// The side that ended first, in order.
    first: Option<Who>,
    keepalive_set: bool,
    /// When the first byte of the endpoint went to the client.
    answered: Option<Instant>,
    began: Tick,
    limits: Arc<Limits>,
    buffers: Rc<Buffers>,
    entry: Entry,
    lease: Lease,
}

// What a session at rest costs is a promise (SPECIFICATION.md).
const _: () = assert!(size_of::<Relay>() <= 512);

/// How a relay ended, and what is left to do for it.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) end: End,
    after: After,
}

impl Finished {
    /// Whether both sides ended in order: nothing is left to do but to close.
    pub(crate) fn is_clean(&self) -> bool {
        self.after == After::Close
    }
}

/// What is left to do when a relay has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// Both sides ended in order: close.
    Close,
    /// One side broke: deliver what it said, then reset.
    Deliver(Who),
    /// Reset both sides.
    Reset,
}

impl Relay {
    /// A relay between two connections. `first` is what the endpoint has not taken yet of the first
    /// bytes, and how many bytes of the client it has.
    pub(crate) fn new(
        client: TcpStream,
        endpoint: TcpStream,
        first: (Vec<u8>, u64),
        limits: Arc<Limits>,
        buffers: Rc<Buffers>,
        (entry, lease): (Entry, Lease),
    ) -> Self {
        entry.touch();
        entry.watch().stands_on(lease.endpoint().key());
        entry.set_patience(limits.idle);
        Self {
            client: Peer::new(client),
            endpoint: Peer::new(endpoint),
            up: Direction::new(first.0, first.1),
            down: Direction::new(Vec::new(), 0),
            lost: None,
            first: None,
            keepalive_set: false,
            answered: None,
            began: buffers.now(),
            limits,
            buffers,
            entry,
            lease,
        }
    }

    /// What the registry holds of the session.
    pub(crate) fn watch(&self) -> &Watch {
        self.entry.watch()
    }

    /// Bytes delivered to the endpoint and to the client.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.up.delivered(), self.down.delivered())
    }

    /// When the first byte of the endpoint went to the client.
    pub(crate) fn first_byte(&self) -> Option<Instant> {
        self.answered
    }

    /// What the kernel knows of both connections.
    pub(crate) fn tcp_info(&self) -> [Option<TcpSide>; 2] {
        [&self.client, &self.endpoint].map(|peer| peer.tcp_info().as_ref().map(TcpSide::from))
    }

    /// Moves what can be moved; `Some` when the session has ended.
    fn turn(&mut self, context: &mut Context<'_>) -> Option<Finished> {
        if self.lost != Some(Who::Endpoint) {
            let flow = self.up.pump(context, &mut self.client, &mut self.endpoint, &self.buffers);
            let finished = self.after(flow, Who::Client);
            if finished.is_some() {
                return finished;
            }
        }
        if self.lost != Some(Who::Client) {
            let flow = self.down.pump(context, &mut self.endpoint, &mut self.client, &self.buffers);
            let finished = self.after(flow, Who::Endpoint);
            if finished.is_some() {
                return finished;
            }
            if self.lost == Some(Who::Client) {
                // The upward direction had its turn before the loss was known.
                context.waker().wake_by_ref();
            }
        }
        if self.is_stopped() && !self.entry.is_owed() {
            // Nothing reads from the other side now: only the wheel would see that it is gone.
            self.entry.set_owed(true);
        }
        None
    }

    /// Whether a direction waits for its receiver.
    fn is_stopped(&self) -> bool {
        self.up.is_stopped() || self.down.is_stopped()
    }

    /// Draws the consequence of what the direction did that reads from `from`.
    fn after(&mut self, flow: Flow, from: Who) -> Option<Finished> {
        if matches!(flow, Flow::Moved | Flow::Ended) {
            self.entry.carried(self.bytes());
            if from == Who::Endpoint {
                if self.answered.is_none() && self.down.delivered() > 0 {
                    self.answered = Some(Instant::now());
                }
                let clock = self.buffers.clock();
                let lasting = clock.now().elapsed_since(self.began) >= LASTING;
                self.lease.heard(clock.tick_time(), || clock.time(), lasting);
            } else {
                self.lease.asked();
            }
        }
        match flow {
            Flow::Idle | Flow::Moved => None,
            Flow::Ended => self.ended(from),
            Flow::ReadFailed(error) => Some(broken(from, &error)),
            Flow::WriteFailed(error) => self.lost(opposite(from), &error),
        }
    }

    /// `from` has said all it had to say, and that is written.
    fn ended(&mut self, from: Who) -> Option<Finished> {
        if self.lost == Some(from) {
            // Its connection was reset before: the other side must not take this for a clean end.
            return Some(broken(from, &io::ErrorKind::ConnectionReset.into()));
        }
        let (ending, other, to) = match from {
            Who::Client => (&mut self.up, &self.down, &self.endpoint),
            _ => (&mut self.down, &self.up, &self.client),
        };
        let both = other.is_over();
        ending.pass_end(to, !both, &self.buffers);
        let first = *self.first.get_or_insert(from);
        if both {
            return Some(Finished { end: End::clean(first), after: After::Close });
        }
        self.entry.set_patience(Some(self.limits.half_closed));
        None
    }

    /// `gone` takes no more bytes: it has reset the connection. What it said before is in our
    /// receive queue and still belongs to the other side.
    fn lost(&mut self, gone: Who, error: &io::Error) -> Option<Finished> {
        let said = match gone {
            Who::Client => &self.up,
            _ => &self.down,
        };
        // With both sides gone there is nobody left to deliver to.
        if said.is_over() || self.lost.is_some_and(|before| before != gone) {
            return Some(broken(gone, error));
        }
        self.lost = Some(gone);
        self.entry.set_patience(Some(self.limits.half_closed));
        None
    }

    /// Looks at deadlines and peers; called by the wheel every few seconds at most.
    fn check(&mut self) -> Option<Finished> {
        if !self.keepalive_set {
            self.set_keepalive();
        }
        let (now, active) = (self.buffers.now(), self.entry.watch().active.get());
        let no_ack = self.limits.dead_peer.no_ack;
        let client = self.client.look(now, active, no_ack);
        let endpoint = self.endpoint.look(now, active, no_ack);
        let stopped = self.is_stopped();
        let owed = stopped || client.owes || endpoint.owes;
        self.entry.set_owed(owed);
        for (who, look) in [(Who::Client, client), (Who::Endpoint, endpoint)] {
            if look.dead {
                let reason = format!("{} acknowledged nothing for {no_ack:?}", who.name());
                let end = End::timeout(who, Step::Data, reason);
                return Some(Finished { end, after: After::Deliver(who) });
            }
            // A direction that is stopped does not read, and would not hear of a reset. Once it has
            // been told that no more will come, a connection closes in order, too.
            let told = match who {
                Who::Client => self.down.is_over(),
                _ => self.up.is_over(),
            };
            if look.closed && stopped && !told && self.lost.is_none() {
                let finished = self.lost(who, &io::ErrorKind::ConnectionReset.into());
                if finished.is_some() {
                    return finished;
                }
            }
        }
        self.check_patience(now.elapsed_since(active), owed)
    }

    /// Ends in order, unless something has begun to move: a FIN towards both sides, no reset. That is
    /// how a connection at rest ends anyway (RFC 9113 section 9.1 lets servers close idle ones; the
    /// GOAWAY that should come first is theirs alone to send inside TLS): an HTTP/2 client drops it
    /// and sends its next request on a new one. A reset would be an error to it, and would overtake
    /// and destroy what it has not read yet.
    fn move_on(&mut self, context: &mut Context<'_>) -> Poll<Finished> {
        let rested_since = self.entry.watch().active.get();
        if let Some(finished) = self.turn(context) {
            return Poll::Ready(finished);
        }
        let rests = self.entry.watch().active.get() == rested_since && !self.entry.is_owed();
        let whole = self.first.is_none() && self.lost.is_none();
        if rests && whole {
            return Poll::Ready(Finished { end: End::rebalance(), after: After::Close });
        }
        Poll::Pending
    }

    /// What follows from no byte having moved for so long.
    fn check_patience(&mut self, still: Duration, owed: bool) -> Option<Finished> {
        // A slow reader of a half-closed session is no leak: what it has yet to take is in the
        // kernel's queue, and it lives as long as it acknowledges.
        let reads_on = owed && self.lost.is_none() && self.first.is_some();
        let patience = if reads_on { self.limits.idle } else { self.entry.patience() };
        if patience.is_some_and(|patience| still >= patience) {
            return Some(self.out_of_patience());
        }
        if still >= PIPE_PATIENCE {
            self.up.give_pipe_back(&self.buffers);
            self.down.give_pipe_back(&self.buffers);
        }
        None
    }

    /// Only sessions that last get the endpoint's keepalive: four system calls fewer for short ones.
    fn set_keepalive(&mut self) {
        self.keepalive_set = true;
        let dead_peer = &self.limits.dead_peer;
        let keepalive = Keepalive {
            idle: dead_peer.keepalive_idle,
            interval: dead_peer.keepalive_interval,
            count: dead_peer.keepalive_count,
        };
        // Fails only on a connection that is gone, which the relay hears of by itself.
        let _ = set_keepalive(self.endpoint.stream().as_fd(), keepalive);
    }

    fn out_of_patience(&self) -> Finished {
        let half_closed = self.first.or(self.lost);
        let (who, reason) = match half_closed {
            Some(first) => {
                let silent = opposite(first);
                let limit = self.limits.half_closed;
                (
                    silent,
                    format!("half-closed, and no byte from the {} for {limit:?}", silent.name()),
                )
            }
            None => {
                let limit = self.limits.idle.unwrap_or_default();
                (Who::Client, format!("no byte in either direction for {limit:?}"))
            }
        };
        cut(End::timeout(who, Step::Data, reason))
    }
}

fn opposite(who: Who) -> Who {
    if who == Who::Client { Who::Endpoint } else { Who::Client }
}

/// A connection that broke: what it said is still to be delivered before the other side is reset.
fn broken(who: Who, error: &io::Error) -> Finished {
    let end = if error.kind() == io::ErrorKind::TimedOut {
        End::timeout(who, Step::Data, format!("{} answered no keepalive", who.name()))
    } else {
        End::abort(who, Step::Data, reason_of(error))
    };
    Finished { end, after: After::Deliver(who) }
}

fn cut(end: End) -> Finished {
    Finished { end, after: After::Reset }
}

/// The system's words for an error, without allocating for the common ones.
pub(crate) fn reason_of(error: &io::Error) -> std::borrow::Cow<'static, str> {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "connection reset".into(),
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        _ => error.to_string().into(),
    }
}

impl Future for Relay {
    type Output = Finished;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Finished> {
        let relay = self.get_mut();
        relay.entry.watch().wake_by(context.waker());
        match relay.entry.watch().take_order() {
            // The latter is for sessions that are being set up.
            Order::None | Order::Say => {}
            Order::Check => {
                if let Some(finished) = relay.check() {
                    return Poll::Ready(finished);
                }
            }
            Order::Reset(reason) => {
                let end = End::endpoint_down(format!("the endpoint is {}", reason.word()));
                return Poll::Ready(cut(end));
            }
            Order::MoveOn => return relay.move_on(context),
            Order::Close => {
                let end = End::abort(Who::Operator, Step::Data, "closed by the operator");
                return Poll::Ready(cut(end));
            }
            Order::Stop => {
                let end = End::abort(Who::Operator, Step::Data, "the service stops");
                return Poll::Ready(cut(end));
            }
        }
        match relay.turn(context) {
            Some(finished) => Poll::Ready(finished),
            None => Poll::Pending,
        }
    }
}
