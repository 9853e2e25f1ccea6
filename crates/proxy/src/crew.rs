//! Tasks that are kept. A task costs its allocation, aligned to two cache lines, and several moves of what it
//! runs; where thousands a second begin and end that is a good part of what they cost. So a task that has done
//! its job waits for the next one of its kind, a few on each thread.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread::LocalKey;
use tokio::task::spawn_local;

/// So many of a kind wait for jobs to come: a burst leaves no more behind.
const KEPT: usize = 64;

/// Those of a thread that wait for a `Job`.
pub type Crew<Job> = RefCell<Vec<Rc<Desk<Job>>>>;

/// Where a task finds its next job.
pub struct Desk<Job> {
    job: Cell<Option<Job>>,
    /// Wakes the task; none: it is gone, with its runtime.
    waker: RefCell<Option<Waker>>,
}

/// Begins `job` as a task of this thread: one that has nothing to do, or a new one.
///
/// # Panics
/// Outside of a runtime for local tasks.
pub fn spawn<Job: 'static, Work: Future<Output = ()> + Unpin + 'static>(
    crew: &'static LocalKey<Crew<Job>>,
    begin: fn(Job) -> Work,
    job: Job,
) {
    while let Some(desk) = crew.with_borrow_mut(Vec::pop) {
        if let Some(waker) = &*desk.waker.borrow() {
            desk.job.set(Some(job));
            return waker.wake_by_ref();
        }
    }
    let desk = Rc::new(Desk { job: Cell::new(Some(job)), waker: RefCell::new(None) });
    spawn_local(Member { crew, begin, desk, work: None });
}

/// A task. One that panics does no further job.
struct Member<Job: 'static, Work> {
    crew: &'static LocalKey<Crew<Job>>,
    begin: fn(Job) -> Work,
    desk: Rc<Desk<Job>>,
    work: Option<Work>,
}

impl<Job: 'static, Work: Future<Output = ()> + Unpin> Future for Member<Job, Work> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let member = self.get_mut();
        if member.work.is_none() {
            // None: woken by what its last job has left behind.
            member.work = member.desk.job.take().map(member.begin);
        }
        let Some(work) = &mut member.work else { return Poll::Pending };
        if Pin::new(work).poll(context).is_pending() {
            return Poll::Pending;
        }
        member.work = None;
        member.desk.waker.borrow_mut().get_or_insert_with(|| context.waker().clone());
        member.crew.with_borrow_mut(|free| {
            if free.len() == KEPT {
                return Poll::Ready(());
            }
            free.push(Rc::clone(&member.desk));
            Poll::Pending
        })
    }
}

impl<Job, Work> Drop for Member<Job, Work> {
    fn drop(&mut self) {
        self.desk.waker.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::ready;
    use tokio::task::{LocalSet, yield_now};

    thread_local! {
        static CREW: Crew<u32> = const { RefCell::new(Vec::new()) };
        static DONE: RefCell<Vec<(u32, Option<tokio::task::Id>)>> = const { RefCell::new(Vec::new()) };
    }

    fn work(number: u32) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            yield_now().await;
            assert_ne!(number, 13);
            DONE.with_borrow_mut(|done| done.push((number, tokio::task::try_id())));
        })
    }

    async fn settle() {
        for _ in 0..8 {
            yield_now().await;
        }
    }

    fn tasks() -> Vec<tokio::task::Id> {
        let mut tasks: Vec<_> = DONE.take().into_iter().filter_map(|(_, task)| task).collect();
        tasks.dedup();
        tasks
    }

    #[tokio::test]
    async fn jobs_one_after_the_other_are_done_by_one_task_and_those_at_once_by_their_own() {
        let one_by_one = async {
            for number in 0..10 {
                spawn(&CREW, work, number);
                settle().await;
            }
        };
        LocalSet::new().run_until(one_by_one).await;
        assert_eq!(DONE.with_borrow(Vec::len), 10);
        assert_eq!(tasks().len(), 1);
        let at_once = async {
            for number in 100..200 {
                spawn(&CREW, work, number);
            }
            settle().await;
            assert_eq!(CREW.with_borrow(Vec::len), KEPT, "the others have ended");
        };
        LocalSet::new().run_until(at_once).await;
        assert_eq!(
            tasks().len(),
            100,
            "and the task of another runtime, which is gone, has done none"
        );
    }

    #[tokio::test]
    async fn a_job_that_panics_ends_its_task_alone() {
        let local = LocalSet::new();
        let jobs = async {
            for number in [12, 13, 14] {
                spawn(&CREW, work, number);
                settle().await;
            }
        };
        local.run_until(jobs).await;
        let done: Vec<u32> =
            DONE.with_borrow(|done| done.iter().map(|(number, _)| *number).collect());
        assert_eq!(done, [12, 14]);
        assert_eq!(tasks().len(), 2);
    }

    #[tokio::test]
    async fn a_job_that_has_nothing_to_wait_for_is_done_at_once() {
        let at_once = async {
            spawn(&CREW, |_| ready(()), 1);
            settle().await;
            assert_eq!(CREW.with_borrow(Vec::len), 1);
        };
        LocalSet::new().run_until(at_once).await;
    }
}
