//! The state of everything, made once a second for all who look, and only while somebody does. Who
//! comes gets all of it, then what changed; who could not keep up gets all of it again. So whatever
//! viewers do, one state and one change are kept, and no queue.

use super::Look;
use super::snapshot::{Beside, Shape, Since, patch, snapshot};
use crate::admin::{Data, Peer, Request, StatusOf, StatusReport};
use crate::observe::metrics::Unwelcome;
use hyper::body::Bytes;
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep_until, timeout};

/// Between two states.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// How long a viewer may take to be ready for the next piece.
const LATE: Duration = Duration::from_secs(15);

/// Who looks, and what they see.
pub(super) struct Hub<L> {
    look: L,
    seen: RefCell<Seen>,
    /// The number of the newest state.
    newest: watch::Sender<u64>,
    /// Somebody has come.
    wanted: Notify,
    viewers: Cell<usize>,
    viewers_max: usize,
}

/// What is shown at this moment.
#[derive(Default)]
struct Seen {
    /// Counts states.
    number: u64,
    /// When the newest was begun.
    began: Option<Instant>,
    /// The state; `None` while nobody looks.
    whole: Option<Value>,
    /// It as an event, once somebody has needed it.
    all: Option<Bytes>,
    /// What changed since the one before, as an event.
    part: Option<Bytes>,
    /// What follows from the configuration, with its generation.
    shape: Option<(u64, Shape)>,
    since: Since,
}

/// A place among the viewers.
struct Viewing<L: Look>(Rc<Hub<L>>);

impl<L: Look> Viewing<L> {
    fn count(hub: &Hub<L>, change: impl FnOnce(usize) -> usize) {
        hub.viewers.set(change(hub.viewers.get()));
        hub.look.metrics().dashboard_viewers(hub.viewers.get());
    }
}

impl<L: Look> Drop for Viewing<L> {
    fn drop(&mut self) {
        Self::count(&self.0, |count| count.saturating_sub(1));
    }
}

impl<L: Look> Hub<L> {
    pub(super) fn new(look: L, viewers_max: usize) -> Self {
        Self {
            look,
            seen: RefCell::default(),
            newest: watch::Sender::new(0),
            wanted: Notify::new(),
            viewers: Cell::new(0),
            viewers_max,
        }
    }

    pub(super) fn look(&self) -> &L {
        &self.look
    }

    /// Events for one more viewer; `None`: there are as many as may be. `cut` is told when it does
    /// not take them.
    pub(super) fn join(self: &Rc<Self>, cut: Rc<Notify>) -> Option<mpsc::Receiver<Bytes>> {
        if self.viewers.get() >= self.viewers_max {
            return None;
        }
        Viewing::count(self, |count| count + 1);
        let (pieces, taken) = mpsc::channel(1);
        spawn_local(feed(Viewing(self.clone()), pieces, cut));
        self.wanted.notify_one();
        Some(taken)
    }

    /// Makes states while somebody looks. Does not end.
    pub(super) async fn keep(self: Rc<Self>) {
        loop {
            self.wanted.notified().await;
            while self.viewers.get() > 0 {
                let due = self.seen.borrow().began.map(|began| began + EVERY);
                if let Some(due) = due {
                    sleep_until(due).await;
                }
                if self.viewers.get() > 0 {
                    self.take().await;
                }
            }
            // What nobody looks at takes no memory.
            let mut seen = self.seen.borrow_mut();
            let (number, began) = (seen.number, seen.began);
            *seen = Seen { number, began, ..Seen::default() };
        }
    }

    /// Takes the state of this moment.
    async fn take(&self) {
        self.seen.borrow_mut().began = Some(Instant::now());
        let asked = Request::Status(StatusOf::default());
        let reply = self.look.perform(asked, &own()).await;
        let Data::Status(status) = reply.data else { return };
        let mut seen = self.seen.borrow_mut();
        let whole = self.whole(*status, &mut seen);
        let part = seen.whole.as_ref().map(|old| patch(old, &whole).unwrap_or(Value::Null));
        seen.number += 1;
        seen.part = part.map(|part| event("part", seen.number, &part));
        seen.all = None;
        seen.whole = Some(whole);
        self.newest.send_replace(seen.number);
    }

    fn whole(&self, status: StatusReport, seen: &mut Seen) -> Value {
        let generation = status.generation;
        let shape = match seen.shape.take() {
            Some((of, shape)) if of == generation => shape,
            _ => self.look.shape(),
        };
        let beside = Beside {
            quorums: self.look.quorums(),
            certificates: self.look.shown_certificates(),
            events: self.look.events(0),
        };
        let whole = snapshot(status, &shape, beside, &mut seen.since);
        seen.shape = Some((generation, shape));
        whole
    }

    /// The next event for somebody who has the state `of`; `None`: there is nothing newer.
    fn next(&self, of: Option<u64>) -> Option<(u64, Bytes)> {
        let mut seen = self.seen.borrow_mut();
        let seen = &mut *seen;
        let (whole, number) = (seen.whole.as_ref()?, seen.number);
        if of == Some(number) {
            return None;
        }
        if let (Some(part), true) = (&seen.part, of.is_some_and(|of| of + 1 == number)) {
            return Some((number, part.clone()));
        }
        let all = seen.all.get_or_insert_with(|| event("all", number, whole));
        Some((number, all.clone()))
    }
}

/// Brings events to one viewer until it is gone.
async fn feed<L: Look>(viewing: Viewing<L>, pieces: mpsc::Sender<Bytes>, cut: Rc<Notify>) {
    let hub = &viewing.0;
    let mut newest = hub.newest.subscribe();
    let mut has = None;
    loop {
        newest.mark_unchanged();
        if let Some((number, piece)) = hub.next(has) {
            has = Some(number);
            match timeout(LATE, pieces.send(piece)).await {
                Ok(Ok(())) => continue,
                Ok(Err(_)) => return,
                Err(_) => {
                    hub.look.metrics().dashboard_refused(Unwelcome::Slow);
                    return cut.notify_one();
                }
            }
        }
        tokio::select! {
            changed = newest.changed() => if changed.is_err() { return },
            () = pieces.closed() => return,
        }
    }
}

/// Who asks for `status` here.
fn own() -> Peer {
    Peer { uid: None, user: None, pid: None, program: None, from: None }
}

/// A server-sent event (the HTML standard, section 9.2.5).
fn event(kind: &str, number: u64, data: &Value) -> Bytes {
    Bytes::from(format!("event: {kind}\nid: {number}\ndata: {data}\n\n"))
}
