//! What the streams of one connection share: who runs, who waits for the connection to take more, and
//! whether the operator ends it.

use eclusa_proxy::layer7::Told;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::sync::Notify;

/// Bytes of data that all streams of a connection together leave in h2 before the connection must take
/// them: what is over waits with its endpoint.
const QUEUED_MAX: usize = 128 << 10;

/// The streams of a connection.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// How each stream is woken.
    wakers: RefCell<Slab<Option<Waker>>>,
    /// How whoever drives the connection is woken.
    driver: RefCell<Option<Waker>>,
    /// Bytes that streams gave to h2 since the connection had taken all.
    queued: Cell<usize>,
    told: Cell<Option<Told>>,
    /// The peer has sent its settings.
    heard: Cell<bool>,
    /// It keeps silent where something was due: no more streams.
    doubted: Cell<bool>,
    /// Streams that were begun, and heads and pieces of data that they have taken.
    begun: Cell<u64>,
    said: Cell<u64>,
    /// The peer is gone without a word.
    lost: Cell<bool>,
    /// Told when there is room for one more.
    room: Option<Rc<Notify>>,
}

/// The lane of one stream.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    lanes: Rc<Lanes>,
    key: usize,
}

/// Streams of a connection that are no crowd: the turns of more wait until there is room for them.
const FEW: usize = 16;

/// The right to a lane; dropped = the stream is over.
#[derive(Debug)]
pub(super) struct Taken(Lane);

impl Lanes {
    /// Those of a connection of which `room` is told that it has room for one more.
    pub(super) fn telling(room: &Rc<Notify>) -> Self {
        Self { room: Some(Rc::clone(room)), ..Self::default() }
    }

    /// A lane for one more.
    pub(super) fn take(self: &Rc<Self>) -> Taken {
        let key = self.wakers.borrow_mut().insert(None);
        self.begun.set(self.begun.get().wrapping_add(1));
        Taken(Lane { lanes: Rc::clone(self), key })
    }

    /// How many streams are served.
    pub(super) fn len(&self) -> usize {
        self.wakers.borrow().len()
    }

    /// Remembers how whoever drives the connection is woken when the last stream is over.
    pub(super) fn drive_by(&self, waker: &Waker) {
        let mut driver = self.driver.borrow_mut();
        if !driver.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *driver = Some(waker.clone());
        }
    }

    /// The connection has taken everything.
    pub(super) fn drained(&self) {
        if self.queued.take() >= QUEUED_MAX {
            self.wake_all();
        }
    }

    /// The peer has sent its settings.
    pub(super) fn hear(&self) {
        if !self.heard.replace(true) {
            self.wake_all();
        }
    }

    /// Whether no more streams are to be opened, as the peer keeps silent.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubted.get()
    }

    /// How many were begun so far, and what they have taken.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.begun.get(), self.said.get())
    }

    /// The peer is gone without a word: the connection is about to end.
    pub(super) fn lose(&self) {
        self.lost.set(true);
    }

    /// The operator ends them all.
    pub(super) fn tell(&self, told: Told) {
        self.told.set(Some(told));
        self.wake_all();
    }

    /// Has all streams look at the connection again.
    pub(super) fn wake_all(&self) {
        for (_, waker) in &*self.wakers.borrow() {
            waker.iter().for_each(Waker::wake_by_ref);
        }
    }
}

impl Lane {
    /// Whether there are so many that all of them at once would be felt by others.
    pub(super) fn is_crowded(&self) -> bool {
        self.lanes.len() > FEW
    }

    /// What the operator tells the stream to do; else `context` is woken when it is told.
    pub(super) fn poll_told(&self, context: &mut Context<'_>) -> Option<Told> {
        if let Some(waker) = self.lanes.wakers.borrow_mut().get_mut(self.key)
            && !waker.as_ref().is_some_and(|known| known.will_wake(context.waker()))
        {
            *waker = Some(context.waker().clone());
        }
        self.lanes.told.get()
    }

    /// Ready when the connection takes more data of its streams.
    pub(super) fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.lanes.queued.get() < QUEUED_MAX {
            return Poll::Ready(());
        }
        self.poll_told(context);
        Poll::Pending
    }

    /// Ready when the peer has sent its settings.
    pub(super) fn poll_heard(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.lanes.heard.get() {
            return Poll::Ready(());
        }
        self.poll_told(context);
        Poll::Pending
    }

    /// The peer keeps silent: no more streams.
    pub(super) fn doubt(&self) {
        self.lanes.doubted.set(true);
    }

    /// The stream has taken a head, or data.
    pub(super) fn said(&self) {
        self.lanes.said.set(self.lanes.said.get().wrapping_add(1));
    }

    /// What has really broken the stream, where that is not what h2 says.
    pub(super) fn explain(&self, error: io::Error) -> io::Error {
        if !self.lanes.lost.get() {
            return error;
        }
        io::Error::new(io::ErrorKind::TimedOut, "the endpoint has answered no PING")
    }

    /// So many bytes go to h2.
    pub(super) fn queue(&self, bytes: usize) {
        self.lanes.queued.set(self.lanes.queued.get().saturating_add(bytes));
    }
}

impl Taken {
    /// The lane.
    pub(super) fn lane(&self) -> Lane {
        self.0.clone()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Lane { lanes, key } = &self.0;
        let mut wakers = lanes.wakers.borrow_mut();
        wakers.try_remove(*key);
        lanes.room.iter().for_each(|room| room.notify_one());
        if wakers.is_empty()
            && let Some(driver) = &*lanes.driver.borrow()
        {
            driver.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn streams_wait_while_the_connection_has_enough_and_go_on_when_it_has_not() {
        let (lanes, woken) = (Rc::new(Lanes::default()), Arc::new(Woken::default()));
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let (first, second) = (lanes.take(), lanes.take());
        first.lane().queue(QUEUED_MAX - 1);
        assert!(second.lane().poll_room(&mut context).is_ready());
        second.lane().queue(1);
        assert!(second.lane().poll_room(&mut context).is_pending());
        lanes.drained();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "who waits is woken, and nobody else");
        assert!(second.lane().poll_room(&mut context).is_ready());
        lanes.drained();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "nobody waited");
    }

    #[test]
    fn the_driver_is_woken_when_the_last_stream_is_over_and_streams_when_they_are_told() {
        let (lanes, woken) = (Rc::new(Lanes::default()), Arc::new(Woken::default()));
        let waker = Waker::from(Arc::clone(&woken));
        lanes.drive_by(&waker);
        let (first, second) = (lanes.take(), lanes.take());
        let mut context = Context::from_waker(&waker);
        assert_eq!(second.lane().poll_told(&mut context), None);
        drop(first);
        assert_eq!((lanes.len(), woken.0.load(Ordering::Relaxed)), (1, 0));
        lanes.tell(Told::Stop);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(second.lane().poll_told(&mut context), Some(Told::Stop));
        drop(second);
        assert_eq!((lanes.len(), woken.0.load(Ordering::Relaxed)), (0, 2));
    }
}
