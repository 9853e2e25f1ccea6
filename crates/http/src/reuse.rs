//! Connections to endpoints that wait for their next exchange, of one worker.

use crate::shared::Shared;
use crate::stream::Stream;
use eclusa_proxy::layer7::{Connection, IdleGauge, OwnMap, now};
use std::cell::{Cell, OnceCell, RefCell};
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The longest rest of a connection: shorter than what endpoints allow (nginx: 60 s; Kong: 60 s).
const REST: Duration = Duration::from_secs(50);
/// How often the rest is looked at. One that is ended by its endpoint is dropped at once.
const ROUND: Duration = Duration::from_secs(5);
/// Connections that one worker keeps in all: clients must not be able to name so many hosts that the
/// descriptors run out.
pub(crate) const ALL: usize = 1024;

/// What a connection can be used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// [`crate::site::PoolSite::id`]: another TLS, another PROXY header is another pool.
    pub(crate) pool: u64,
    pub(crate) address: SocketAddr,
    /// The server name of its TLS, where requests decide on it.
    pub(crate) name: Option<Arc<str>>,
}

thread_local! {
    /// Of names, which clients choose.
    static NAMES: RandomState = RandomState::new();
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.pool, self.address).hash(hasher);
        if let Some(name) = &self.name {
            hasher.write_u64(NAMES.with(|names| names.hash_one(name)));
        }
    }
}

/// A connection at rest.
#[derive(Debug)]
pub(crate) struct Kept {
    since: Instant,
    stream: Stream,
}

impl Kept {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { since: now(), stream }
    }

    /// The connection, if it has rested for less than `age` and lives.
    pub(crate) fn take(self, age: Duration) -> Option<Stream> {
        let fits = now() - self.since <= age.min(REST);
        if fits { self.living() } else { None }
    }

    fn living(mut self) -> Option<Stream> {
        self.lives(&mut Context::from_waker(Waker::noop())).then_some(self.stream)
    }

    /// Whether nothing has come and the other side has not ended it: an endpoint that says something
    /// unasked is not understood, and never used again. `context` is woken when that changes.
    fn lives(&mut self, context: &mut Context<'_>) -> bool {
        self.stream.poll_read(context, &mut [0; 1]).is_pending()
    }
}

/// The idle connections of a worker: used last, used first.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    kept: RefCell<OwnMap<Key, Vec<Kept>>>,
    count: Cell<usize>,
    gauge: OnceCell<IdleGauge>,
    /// Of the task that watches them, while there is one.
    watcher: RefCell<Option<Waker>>,
}

impl Idle {
    /// Those of the worker that carries this connection.
    pub(crate) fn of(connection: &Connection) -> Rc<Self> {
        let idle = Rc::clone(&connection.shared::<Shared>().idle);
        idle.gauge.get_or_init(|| connection.idle_gauge());
        idle
    }

    fn set_count(&self, count: usize) {
        self.count.set(count);
        if let Some(gauge) = self.gauge.get() {
            gauge.set(count);
        }
    }

    /// A connection that was idle for less than `age` and lives.
    pub(crate) fn take(&self, key: &Key, age: Duration) -> Option<Stream> {
        let mut kept = self.kept.borrow_mut();
        let kept = kept.get_mut(key)?;
        while let Some(last) = kept.pop() {
            let rested = now() - last.since;
            if rested > age {
                // All others have rested for longer.
                kept.push(last);
                return None;
            }
            self.set_count(self.count.get().saturating_sub(1));
            if rested <= REST
                && let Some(stream) = last.living()
            {
                return Some(stream);
            }
        }
        None
    }

    /// Keeps a connection, at most so many with its key.
    pub(crate) fn put(self: &Rc<Self>, key: Key, stream: Stream, most: usize) {
        let mut kept = Kept::new(stream);
        let watcher = self.watcher.borrow().clone();
        let waker = watcher.as_ref().unwrap_or(Waker::noop());
        if most == 0 || self.count.get() >= ALL || !kept.lives(&mut Context::from_waker(waker)) {
            return;
        }
        let mut all = self.kept.borrow_mut();
        let same = all.entry(key).or_default();
        if same.len() >= most {
            same.remove(0);
        } else {
            self.set_count(self.count.get() + 1);
        }
        same.push(kept);
        if watcher.is_none() {
            // Its first turn registers what is there.
            *self.watcher.borrow_mut() = Some(Waker::noop().clone());
            tokio::task::spawn_local(watch(Rc::downgrade(self)));
        }
    }

    /// Drops those that were ended or have rested for too long; says whether any is left.
    fn sweep(&self, context: &mut Context<'_>) -> bool {
        let mut all = self.kept.borrow_mut();
        for same in all.values_mut() {
            same.retain_mut(|kept| now() - kept.since <= REST && kept.lives(context));
        }
        all.retain(|_, same| !same.is_empty());
        self.set_count(all.values().map(Vec::len).sum());
        !all.is_empty()
    }
}

/// Looks after the connections as long as there are any.
async fn watch(idle: Weak<Idle>) {
    let mut is_over = false;
    while !is_over {
        let mut round = pin!(sleep(ROUND));
        poll_fn(|context| {
            let Some(idle) = idle.upgrade().filter(|idle| idle.sweep(context)) else {
                is_over = true;
                return Poll::Ready(());
            };
            *idle.watcher.borrow_mut() = Some(context.waker().clone());
            round.as_mut().poll(context)
        })
        .await;
    }
    if let Some(idle) = idle.upgrade() {
        *idle.watcher.borrow_mut() = None;
    }
}
