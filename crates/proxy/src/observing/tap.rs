//! What the judges of the pools say, for who observes and carries nothing.

use crate::pool::{Endpoint, Pool};
use eclusa_policy::time::Time;
use eclusa_policy::verdict::{Reason, Report};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// What may wait to be heard. What finds no place is counted and told. A report is seen all the same: who
/// observes looks at those of all endpoints every second; orders to reset stand nowhere else.
const WAITING: usize = 1024;

/// Something that a judge said.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) at: Time,
    pub(crate) pool: Arc<Pool>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) what: What,
}

/// What it was.
#[derive(Debug)]
pub(crate) enum What {
    /// The report of the endpoint is another.
    Changed(Report),
    /// An order that nobody carries out here: reset the sessions that stand on it.
    Reset(Reason),
    /// The end of that order.
    Spare,
}

/// The end that the probes' thread speaks into.
#[derive(Clone, Debug)]
pub(crate) struct Tap(mpsc::Sender<Judged>, Arc<AtomicU64>);

impl Tap {
    /// The tap, what comes out of it, and how much was lost.
    pub(super) fn new() -> (Self, mpsc::Receiver<Judged>, Arc<AtomicU64>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        (Self(sender, Arc::clone(&lost)), receiver, lost)
    }

    /// Never waits.
    pub(crate) fn tell(&self, judged: Judged) {
        if self.0.try_send(judged).is_err() {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
}
