//! The seats of the workers: what others know of a worker, and what outlives a thread that got
//! stuck and was replaced.

use super::worker::Accepted;
use crate::signal::Command;
use arc_swap::ArcSwap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use tokio::sync::mpsc;

/// Which of the threads that sit on a seat, one after the other, a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Incarnation(u32);

impl Incarnation {
    /// From 0.
    pub(crate) fn number(self) -> u32 {
        self.0
    }
}

/// The seat of one worker: on cache lines of its own, read by all.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Seat {
    /// Sessions, those on their way to it included.
    sessions: AtomicU32,
    incarnation: AtomicU32,
    /// It has closed its listeners, as a stop asks.
    deaf: AtomicBool,
    /// Sessions that a stop has ended.
    stopped: AtomicU32,
    /// Fresh connections on their way to it. The queue is the seat's: what was handed to a thread that
    /// got stuck is served by the next.
    handover: mpsc::Sender<Accepted>,
    handed_over: Mutex<mpsc::Receiver<Accepted>>,
    commands: ArcSwap<mpsc::Sender<Command>>,
}

impl Seat {
    /// A seat for so many connections on their way to it at most.
    pub(super) fn new(queue: usize, commands: mpsc::Sender<Command>) -> Self {
        let (handover, handed_over) = mpsc::channel(queue);
        Self {
            sessions: AtomicU32::new(0),
            incarnation: AtomicU32::new(0),
            deaf: AtomicBool::new(false),
            stopped: AtomicU32::new(0),
            handover,
            handed_over: Mutex::new(handed_over),
            commands: ArcSwap::from_pointee(commands),
        }
    }

    /// Gives the seat to another thread, which the returned incarnation is for.
    pub(super) fn replace(&self, commands: mpsc::Sender<Command>) -> Incarnation {
        self.commands.store(Arc::new(commands));
        Incarnation(self.incarnation.fetch_add(1, Ordering::AcqRel) + 1)
    }

    pub(super) fn incarnation(&self) -> Incarnation {
        Incarnation(self.incarnation.load(Ordering::Acquire))
    }

    /// Sessions at this moment, those on their way to it included.
    pub(crate) fn sessions(&self) -> u32 {
        self.sessions.load(Ordering::Relaxed)
    }

    pub(super) fn enter(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn leave(&self) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether the seat is still that of an incarnation.
    pub(super) fn is_of(&self, incarnation: Incarnation) -> bool {
        self.incarnation() == incarnation
    }

    pub(super) fn set_deaf(&self) {
        self.deaf.store(true, Ordering::Release);
    }

    pub(super) fn count_stopped(&self, sessions: u32) {
        self.stopped.fetch_add(sessions, Ordering::Relaxed);
    }

    /// Sessions that a stop has ended: they had not ended by themselves.
    pub(super) fn stopped(&self) -> u32 {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(super) fn is_deaf(&self) -> bool {
        self.deaf.load(Ordering::Acquire)
    }

    /// The way for fresh connections.
    pub(super) fn handover(&self) -> &mpsc::Sender<Accepted> {
        &self.handover
    }

    /// The next fresh connection, for the thread of this incarnation; nothing for one that was
    /// replaced.
    pub(super) async fn handed_over(&self, incarnation: Incarnation) -> Option<Accepted> {
        poll_fn(|context| match self.is_of(incarnation) {
            true => self.queue().poll_recv(context),
            false => Poll::Pending,
        })
        .await
    }

    /// The next fresh connection, if there is one now.
    pub(super) fn take_handed_over(&self) -> Option<Accepted> {
        self.queue().try_recv().ok()
    }

    /// Held for a look alone: a thread that is stuck does not hold it.
    fn queue(&self) -> MutexGuard<'_, mpsc::Receiver<Accepted>> {
        self.handed_over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a command; it comes back where the thread's queue is full, and is gone with a thread
    /// that has ended (it has no sessions left).
    pub(crate) fn command(&self, command: Command) -> Result<(), Command> {
        match self.commands.load().try_send(command) {
            Err(mpsc::error::TrySendError::Full(command)) => Err(command),
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
        }
    }
}
