//! HTTP/2 connections to endpoints, of one worker. All its clients share them: few carry many streams. Each
//! is driven by a task of its own, that ends with it.

use super::gathered::Gathered;
use super::lanes::Lanes;
use super::stream::Http2;
use crate::reuse::Key;
use crate::shared::Shared;
use crate::stream::Stream;
use bytes::Bytes;
use eclusa_config::plan::Multiplex;
use eclusa_proxy::layer7::Connection as OfClient;
use h2::client::{Builder, Connection, SendRequest};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};

/// The longest rest of a connection: shorter than what endpoints allow (nginx: 60 s).
const REST: Duration = Duration::from_secs(50);
/// Bytes of an answer that wait for a client to take them.
const STREAM_WINDOW: u32 = 64 << 10;
/// Bytes of a request's body that one stream has in h2.
const SEND_BUFFER: usize = 64 << 10;

/// The connections of a worker.
#[derive(Debug, Default)]
pub(crate) struct Links {
    known: RefCell<HashMap<Key, Rc<Endpoint>>>,
}

/// Those to one endpoint.
#[derive(Debug, Default)]
struct Endpoint {
    links: RefCell<Vec<Rc<Link>>>,
    /// One is being opened.
    opens: Cell<bool>,
    opened: Notify,
}

/// One connection.
#[derive(Debug)]
struct Link {
    ask: SendRequest<Bytes>,
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
}

/// The right to open a connection; dropped = others may, and look again.
pub(crate) struct Opening(Option<Rc<Endpoint>>);

/// Somebody else opens a connection.
pub(crate) struct Waiting(Rc<Endpoint>);

impl Opening {
    /// Opens one beside whatever others do.
    pub(crate) fn another() -> Self {
        Self(None)
    }
}

impl Waiting {
    /// Ready when that has come to something.
    pub(crate) async fn over(self) {
        if self.0.opens.get() {
            self.0.opened.notified().await;
        }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some(endpoint) = &self.0 {
            endpoint.opens.set(false);
            endpoint.opened.notify_waiters();
        }
    }
}

impl Link {
    /// Whether it takes requests.
    fn is_open(&self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        !self.lanes.is_doubted()
            && !matches!(self.ask.clone().poll_ready(&mut nobody), Poll::Ready(Err(_)))
    }

    fn has_room(&self, plan: Multiplex) -> bool {
        self.lanes.len() < plan.streams.min(self.ask.current_max_send_streams())
    }

    fn stream(&self) -> Box<Http2> {
        Box::new(Http2::to_endpoint(self.lanes.take(), self.ask.clone()))
    }
}

impl Links {
    /// Those of the worker that carries this connection of a client.
    pub(crate) fn of(connection: &OfClient) -> Rc<Self> {
        Rc::clone(&connection.shared::<Shared>().links)
    }

    /// Where a request with this key goes. `waits`: it may wait for another's connection.
    pub(crate) fn find(&self, key: &Key, plan: Multiplex, waits: bool) -> Found {
        let endpoint = Rc::clone(self.known.borrow_mut().entry(key.clone()).or_default());
        let mut links = endpoint.links.borrow_mut();
        links.retain(|link| link.is_open());
        if let Some(link) = links.iter().find(|link| link.has_room(plan)) {
            return Found::Stream(link.stream());
        }
        let is_full = links.len() >= plan.connections;
        if let Some(link) = links.iter().min_by_key(|link| link.lanes.len()).filter(|_| is_full) {
            return Found::Stream(link.stream());
        }
        drop(links);
        match endpoint.opens.replace(true) {
            true if waits => Found::Wait(Waiting(endpoint)),
            true => Found::Open(Opening(None)),
            false => Found::Open(Opening(Some(endpoint))),
        }
    }

    /// Makes a connection of `stream` that others may use, too; the stream for the first request on it.
    ///
    /// # Errors
    /// What it was broken by.
    pub(crate) async fn open(
        self: &Rc<Self>,
        key: Key,
        plan: Multiplex,
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
            .max_send_buffer_size(SEND_BUFFER);
        let shaken = builder.handshake(line.share()).await;
        let (ask, h2) = shaken.map_err(super::stream::broken)?;
        let link = Rc::new(Link { ask, lanes: Rc::default() });
        let first = link.stream();
        let endpoint = Rc::clone(self.known.borrow_mut().entry(key.clone()).or_default());
        endpoint.links.borrow_mut().push(Rc::clone(&link));
        let driver = Driver {
            h2,
            line,
            lanes: Rc::clone(&link.lanes),
            link: Rc::downgrade(&link),
            rest: None,
        };
        tokio::task::spawn_local(drive(Rc::downgrade(self), key, driver));
        Ok(first)
    }

    /// Forgets a connection, and the endpoint with the last one.
    fn forget(&self, key: &Key, link: &Weak<Link>) {
        let mut known = self.known.borrow_mut();
        let Some(endpoint) = known.get(key) else { return };
        let mut links = endpoint.links.borrow_mut();
        links.retain(|known| !std::ptr::eq(Rc::as_ptr(known), link.as_ptr()));
        let is_unused = links.is_empty() && !endpoint.opens.get();
        drop(links);
        if is_unused {
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
    /// While no stream is under way: when it has rested for long enough.
    rest: Option<Pin<Box<Sleep>>>,
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
        if self.line.has_heard() {
            self.lanes.hear();
        }
        if self.lanes.len() > 0 {
            self.rest = None;
            return Poll::Pending;
        }
        let rest = self.rest.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + REST)));
        if rest.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.rest = None;
        Poll::Ready(Event::Rested)
    }
}
