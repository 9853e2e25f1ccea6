//! What the judges of the pools say, for who observes and carries nothing.

use crate::pool::{Endpoint, Pool};
use eclusa_policy::time::Time;
use eclusa_policy::verdict::{Reason, Report};
use std::sync::Arc;
use tokio::sync::mpsc;

/// What may wait to be heard. What finds no place is lost as a word, not as a fact: who observes looks at
/// the reports of all endpoints every second.
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
pub(crate) struct Tap(mpsc::Sender<Judged>);

impl Tap {
    pub(super) fn new() -> (Self, mpsc::Receiver<Judged>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Never waits.
    pub(crate) fn tell(&self, judged: Judged) {
        let _ = self.0.try_send(judged);
    }
}
