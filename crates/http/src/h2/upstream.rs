//! HTTP/2 connections to endpoints, of one worker. All its clients share them: few carry many streams. Each
//! is driven by a task of its own, that ends with it.

use super::gathered::Gathered;
use super::heartbeat::{Heartbeat, Next, Seen};
use super::lanes::Lanes;
use super::stream::Http2;
use crate::reuse::{ALL, Key};
use crate::shared::Shared;
use crate::stream::Stream;
use bytes::Bytes;
use eclusa_config::plan::Multiplex;
use eclusa_proxy::layer7::{Connection as OfClient, OwnMap, now};
use eclusa_wire::http1::Limits;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong};
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::{Sleep, sleep_until};

/// The longest rest of a connection: shorter than what endpoints allow (nginx: 60 s).
const REST: Duration = Duration::from_secs(50);
/// Bytes of an answer that wait for a client to take them.
const STREAM_WINDOW: u32 = 64 << 10;
/// Bytes of a request's body that one stream has in h2.
const SEND_BUFFER: usize = 64 << 10;

/// The connections of a worker.
#[derive(Debug, Default)]
pub(crate) struct Links {
    known: RefCell<OwnMap<Key, Rc<Endpoint>>>,
    /// How many connections all of these have.
    count: Cell<usize>,
}

/// Those to one endpoint.
#[derive(Debug, Default)]
struct Endpoint {
    links: RefCell<Vec<Rc<Link>>>,
    /// One is being opened.
    opens: Cell<bool>,
    /// That has come to something.
    opened: Rc<Notify>,
    /// A request is over, or a connection.
    room: Rc<Notify>,
}

/// One connection.
#[derive(Debug)]
struct Link {
    /// Whether it takes requests is asked with each of them: of this one, as a copy costs locks.
    ask: RefCell<SendRequest<Bytes>>,
    lanes: Rc<Lanes>,
}

/// Where the next request goes.
pub(crate) enum Found {
    /// Over a connection that stands.
    Stream(Box<Http2>),
    /// Over one that is to be opened.
    Open(Opening),
    /// Over one that somebody else is opening: look again then.
    Wait(Waiting),
    /// Over none at the moment, as all have as many requests as they may: look again when one is over.
    Full(Waiting),
}

/// The right to open a connection; dropped = others may, and look again.
pub(crate) struct Opening(Option<(Rc<Links>, Key)>);

/// Something is to change.
pub(crate) struct Waiting(Rc<Notify>);

impl Opening {
    /// Opens one beside whatever others do.
    pub(crate) fn another() -> Self {
        Self(None)
    }
}

impl Waiting {
    /// Ready when it has, perhaps.
    pub(crate) async fn over(self) {
        self.0.notified().await;
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let Some((links, key)) = &self.0 else { return };
        if let Some(endpoint) = links.get(key) {
            endpoint.opens.set(false);
            endpoint.opened.notify_waiters();
        }
        links.tidy(key);
    }
}

impl Link {
    /// Whether it takes requests.
    fn is_open(&self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        !self.lanes.is_doubted()
            && !matches!(self.ask.borrow_mut().poll_ready(&mut nobody), Poll::Ready(Err(_)))
    }

    fn has_room(&self, plan: Multiplex) -> bool {
        self.lanes.len() < plan.streams.min(self.ask.borrow().current_max_send_streams())
    }

    fn stream(&self) -> Box<Http2> {
        Box::new(Http2::to_endpoint(self.lanes.take(), self.ask.borrow().clone()))
    }
}

impl Links {
    /// Those of the worker that carries this connection of a client.
    pub(crate) fn of(connection: &OfClient) -> Rc<Self> {
        Rc::clone(&connection.shared::<Shared>().links)
    }

    /// A stream on a connection that stands and has room.
    pub(crate) fn standing(&self, key: &Key, plan: Multiplex) -> Option<Box<Http2>> {
        self.stream_to(&*self.get(key)?, plan)
    }

    /// Where a request with this key goes. `waits`: it may wait for another's connection.
    pub(crate) fn find(self: &Rc<Self>, key: &Key, plan: Multiplex, waits: bool) -> Found {
        let endpoint = self.get(key).unwrap_or_else(|| self.begin(key));
        if let Some(stream) = self.stream_to(&endpoint, plan) {
            return Found::Stream(stream);
        }
        if endpoint.links.borrow().len() >= plan.connections {
            return Found::Full(Waiting(Rc::clone(&endpoint.room)));
        }
        match endpoint.opens.replace(true) {
            true if waits => Found::Wait(Waiting(Rc::clone(&endpoint.opened))),
            true => Found::Open(Opening(None)),
            false => Found::Open(Opening(Some((Rc::clone(self), key.clone())))),
        }
    }

    /// A stream on one of the endpoint's connections; those that are no good any more go first.
    fn stream_to(&self, endpoint: &Endpoint, plan: Multiplex) -> Option<Box<Http2>> {
        self.keep(endpoint, |link| link.is_open());
        let links = endpoint.links.borrow();
        links.iter().find(|link| link.has_room(plan)).map(|link| link.stream())
    }

    fn keep(&self, endpoint: &Endpoint, is_kept: impl FnMut(&Rc<Link>) -> bool) {
        let mut links = endpoint.links.borrow_mut();
        let before = links.len();
        links.retain(is_kept);
        self.count.set(self.count.get().saturating_sub(before - links.len()));
    }

    fn get(&self, key: &Key) -> Option<Rc<Endpoint>> {
        self.known.borrow().get(key).cloned()
    }

    fn begin(&self, key: &Key) -> Rc<Endpoint> {
        Rc::clone(self.known.borrow_mut().entry(key.clone()).or_default())
    }

    /// Makes a connection of `stream` that others may use, too; the stream for the first request on it.
    ///
    /// # Errors
    /// What it was broken by.
    pub(crate) async fn open(
        self: &Rc<Self>,
        key: Key,
        (plan, limits): (Multiplex, Limits),
        stream: Stream,
    ) -> io::Result<Box<Http2>> {
        let line = Gathered::new(stream, Vec::new());
        let streams = u32::try_from(plan.streams).unwrap_or(u32::MAX);
        // A client that takes nothing must not stop the answers of others.
        let all = STREAM_WINDOW.saturating_mul(streams).clamp(STREAM_WINDOW, (1 << 31) - 1);
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(all)
            // Without it h2 would take 16 MiB of fields before anybody could refuse them.
            .max_header_list_size(u32::try_from(limits.head()).unwrap_or(u32::MAX))
            .max_send_buffer_size(SEND_BUFFER);
        let shaken = builder.handshake(line.share()).await;
        let (ask, mut h2) = shaken.map_err(super::stream::broken)?;
        let endpoint = self.begin(&key);
        let link = Rc::new(Link {
            ask: RefCell::new(ask),
            lanes: Rc::new(Lanes::telling(&endpoint.room)),
        });
        let first = link.stream();
        // Clients may name so many hosts that the descriptors would run out: one that is too many serves
        // its first request, and goes.
        if self.count.get() < ALL {
            self.count.set(self.count.get() + 1);
            endpoint.links.borrow_mut().push(Rc::clone(&link));
        }
        let driver = Driver {
            ping: h2.ping_pong(),
            beat: plan.ping_after.map(Heartbeat::new),
            h2,
            line,
            lanes: Rc::clone(&link.lanes),
            link: Rc::downgrade(&link),
            rests: None,
            timer: None,
        };
        tokio::task::spawn_local(drive(Rc::downgrade(self), key, driver));
        Ok(first)
    }

    /// Forgets a connection, and the endpoint with the last one.
    fn forget(&self, key: &Key, link: &Weak<Link>) {
        let Some(endpoint) = self.get(key) else { return };
        self.keep(&endpoint, |known| !std::ptr::eq(Rc::as_ptr(known), link.as_ptr()));
        endpoint.room.notify_waiters();
        self.tidy(key);
    }

    /// Forgets an endpoint to which there is no connection, and none is being opened.
    fn tidy(&self, key: &Key) {
        let is_used =
            |endpoint: &Rc<Endpoint>| endpoint.opens.get() || !endpoint.links.borrow().is_empty();
        let mut known = self.known.borrow_mut();
        if known.get(key).is_some_and(|endpoint| !is_used(endpoint)) {
            known.remove(key);
        }
    }
}

/// Who drives a connection.
struct Driver {
    h2: Connection<Gathered, Bytes>,
    line: Gathered,
    lanes: Rc<Lanes>,
    link: Weak<Link>,
    /// Whether the endpoint is there, while streams are under way.
    beat: Option<Heartbeat>,
    ping: Option<PingPong>,
    /// Since when no stream is under way.
    rests: Option<Instant>,
    /// Looks whether that, or the endpoint's silence, is long enough. It is put off when it comes, not with
    /// every request.
    timer: Option<Pin<Box<Sleep>>>,
}

/// Drives a connection until it ends, by whomever.
async fn drive(links: Weak<Links>, key: Key, mut driver: Driver) {
    let link = driver.link.clone();
    let forget = || {
        if let Some(links) = links.upgrade() {
            links.forget(&key, &link);
        }
    };
    // Streams that are under way are told by h2 of whatever ends it.
    while poll_fn(|context| driver.poll(context)).await == Event::Rested {
        // Without anybody who could ask, h2 says goodbye.
        forget();
    }
    forget();
}

/// What has happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    /// Nobody has used it for long enough.
    Rested,
    /// It is at its end.
    Ended,
}

impl Driver {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        self.lanes.drive_by(context.waker());
        let ended = Pin::new(&mut self.h2).poll(context).is_ready();
        match self.line.poll_out(context) {
            Poll::Ready(Ok(())) => self.lanes.drained(),
            Poll::Ready(Err(_)) => return Poll::Ready(Event::Ended),
            Poll::Pending => {}
        }
        if ended {
            return Poll::Ready(Event::Ended);
        }
        if self.line.heard() > 0 {
            self.lanes.hear();
        }
        loop {
            let (due, is_rest) = if self.lanes.len() > 0 {
                self.rests = None;
                match self.look(context) {
                    Watch::Until(due) => (due, false),
                    Watch::Never => return Poll::Pending,
                    Watch::Over => return Poll::Ready(Event::Ended),
                }
            } else {
                self.beat.iter_mut().for_each(Heartbeat::rest);
                (*self.rests.get_or_insert_with(now) + REST, true)
            };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due.into())));
            if timer.deadline() > due.into() {
                timer.as_mut().reset(due.into());
            }
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
            if is_rest && now() >= due {
                return Poll::Ready(Event::Rested);
            }
        }
    }

    /// Whether the endpoint is still there.
    fn look(&mut self, context: &mut Context<'_>) -> Watch {
        let (Some(beat), Some(ping)) = (&mut self.beat, &mut self.ping) else {
            return Watch::Never;
        };
        // Where it has come another may be sent.
        let _ = ping.poll_pong(context);
        let (begun, said) = self.lanes.counts();
        match beat.look(now(), Seen { bytes: self.line.heard(), said, begun }) {
            Next::At(at) => Watch::Until(at),
            Next::Ask(until) => {
                // One that is under way asks the same.
                let _ = ping.send_ping(Ping::opaque());
                Watch::Until(until)
            }
            Next::Gone => {
                self.lanes.lose();
                Watch::Over
            }
        }
    }
}

/// How long a driver need not look whether the endpoint is there.
enum Watch {
    Until(Instant),
    Never,
    /// It is not.
    Over,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_connection_that_was_not_opened_nothing_is_left() {
        let links = Rc::new(Links::default());
        let plan = Multiplex { streams: 1, connections: 1, ping_after: None };
        for number in 0..10 {
            let name = Some(format!("{number}.test").into());
            let key = Key { pool: 1, address: ([192, 0, 2, 1], 443).into(), name };
            let Found::Open(opening) = links.find(&key, plan, true) else { panic!("{number}") };
            assert!(matches!(links.find(&key, plan, true), Found::Wait(_)));
            assert!(matches!(links.find(&key, plan, false), Found::Open(Opening(None))));
            assert_eq!(links.known.borrow().len(), 1);
            drop(opening);
            assert!(links.known.borrow().is_empty(), "{number}");
        }
    }
}
