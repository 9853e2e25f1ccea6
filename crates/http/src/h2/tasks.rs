//! Tasks that run one exchange after the other. The state of an exchange is some kilobytes: to have that
//! allocated, moved and freed again would be a tenth of what a small request costs.

use super::exchange;
use super::lanes::Taken;
use super::stream::Http2;
use crate::connection::Session;
use crate::patience::Alarm;
use eclusa_proxy::layer7::{StreamPermit, poll_room, turn};
use http::Request;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker, ready};
use tokio::task::spawn_local;

/// So many tasks of a thread are kept for the exchanges to come: a burst leaves no more behind.
const KEPT: usize = 64;

thread_local! {
    /// Those that rest. A task that is gone, with its runtime, has taken its desk along.
    static RESTING: RefCell<Vec<Weak<Desk>>> = const { RefCell::new(Vec::new()) };
}

/// One exchange, and what goes with it.
pub(super) struct Job {
    pub(super) session: Rc<Session>,
    pub(super) request: Request<()>,
    pub(super) stream: Http2,
    pub(super) taken: Taken,
    pub(super) permit: Option<StreamPermit>,
    /// Which one of its connection it is.
    pub(super) number: u64,
}

/// Where a task finds its next job.
#[derive(Default)]
struct Desk {
    job: Cell<Option<Job>>,
    waker: Cell<Option<Waker>>,
}

/// Has a task of this thread run the exchange.
pub(super) fn begin(job: Job) {
    while let Some(desk) = RESTING.with_borrow_mut(Vec::pop) {
        let Some(desk) = desk.upgrade() else { continue };
        desk.job.set(Some(job));
        if let Some(waker) = desk.waker.take() {
            waker.wake();
        }
        return;
    }
    spawn_local(work(job));
}

#[allow(clippy::large_futures, reason = "the task is boxed as such, and kept")]
async fn work(first: Job) {
    let desk = Rc::new(Desk { job: Cell::new(Some(first)), waker: Cell::default() });
    // No timer is set anew for each exchange.
    let alarm = Alarm::default();
    loop {
        poll_fn(|context| desk.poll_job(context)).await.run(&alarm).await;
        let rests = RESTING.with_borrow_mut(|resting| {
            let rests = resting.len() < KEPT;
            if rests {
                resting.push(Rc::downgrade(&desk));
            }
            rests
        });
        if !rests {
            return;
        }
    }
}

impl Desk {
    fn poll_job(&self, context: &mut Context<'_>) -> Poll<Job> {
        if let Some(job) = self.job.take() {
            return Poll::Ready(job);
        }
        self.waker.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Job {
    async fn run(self, alarm: &Alarm) {
        let Self { session, request, stream, taken, permit, number } = self;
        let network = session.connection.client().ip().into();
        {
            let running = exchange::run(&session, request, (stream, taken.lane()), number, alarm);
            let mut running = pin!(running);
            let one = taken.lane();
            poll_fn(|context| {
                turn(network, || {
                    if one.is_crowded() {
                        ready!(poll_room(context));
                    }
                    running.as_mut().poll(context)
                })
            })
            .await;
        }
        // Before the connection is told that this stream is over.
        drop((session, permit));
        drop(taken);
    }
}
