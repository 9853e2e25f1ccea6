//! Where exchanges run. Their state is some kilobytes, which would have to be allocated, moved and freed for each
//! request, and which a connection at rest must not carry around. So there are a few stages on a thread, and
//! an exchange has one for as long as it runs.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::thread::LocalKey;

/// So many of a kind are kept for the exchanges to come: a burst leaves no more behind.
const KEPT: usize = 64;

/// Those of a thread, for exchanges that are begun with a `Scene` and yield `Done`.
pub(crate) type Stages<Scene, Done> = RefCell<Vec<Stage<Scene, Done>>>;

/// What is given to a stage, and what it yields.
struct Desk<Scene, Done> {
    next: Cell<Option<Scene>>,
    done: Cell<Option<Done>>,
}

/// One stage.
pub(crate) struct Stage<Scene, Done> {
    desk: Rc<Desk<Scene, Done>>,
    /// Runs one exchange after the other. One that panics takes its stage along.
    work: Pin<Box<dyn Future<Output = ()>>>,
}

impl<Scene: 'static, Done: 'static> Stage<Scene, Done> {
    /// Where `play` runs what is given to it.
    pub(crate) fn build(play: impl AsyncFn(Scene) -> Done + 'static) -> Self {
        let desk = Rc::new(Desk { next: Cell::new(None), done: Cell::new(None) });
        let given = Rc::clone(&desk);
        let work = Box::pin(async move {
            loop {
                // Whoever has the stage polls it when there is something to run.
                let next = poll_fn(|_| given.next.take().map_or(Poll::Pending, Poll::Ready));
                let done = play(next.await).await;
                given.done.set(Some(done));
            }
        });
        Self { desk, work }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Done> {
        // It never ends.
        let _ = self.work.as_mut().poll(context);
        self.desk.done.take().map_or(Poll::Pending, Poll::Ready)
    }
}

/// Runs `scene` on one of the thread's stages, or on a new one.
pub(crate) async fn run<Scene: 'static, Done: 'static>(
    stages: &'static LocalKey<Stages<Scene, Done>>,
    build: fn() -> Stage<Scene, Done>,
    scene: Scene,
) -> Done {
    let mut stage = stages.with_borrow_mut(Vec::pop).unwrap_or_else(build);
    stage.desk.next.set(Some(scene));
    let done = poll_fn(|context| stage.poll(context)).await;
    stages.with_borrow_mut(|free| {
        if free.len() < KEPT {
            free.push(stage);
        }
    });
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::{LocalSet, yield_now};

    thread_local! {
        static STAGES: Stages<u32, u32> = const { RefCell::new(Vec::new()) };
        static BUILT: Cell<u32> = const { Cell::new(0) };
    }

    fn build() -> Stage<u32, u32> {
        BUILT.set(BUILT.get() + 1);
        Stage::build(async |number| {
            yield_now().await;
            assert_ne!(number, 13);
            number + 1
        })
    }

    #[tokio::test]
    async fn one_after_the_other_has_the_same_stage_and_those_at_once_have_their_own() {
        for number in 0..10 {
            assert_eq!(run(&STAGES, build, number).await, number + 1);
        }
        assert_eq!(BUILT.get(), 1);
        let both = tokio::join!(run(&STAGES, build, 1), run(&STAGES, build, 2));
        assert_eq!((both, BUILT.get()), ((2, 3), 2));
        assert_eq!(STAGES.with_borrow(Vec::len), 2, "both are free again");
    }

    #[tokio::test]
    async fn what_is_given_up_or_panics_gives_no_stage_back() {
        let mut given_up = Box::pin(run(&STAGES, build, 1));
        assert!(poll_fn(|context| Poll::Ready(given_up.as_mut().poll(context))).await.is_pending());
        drop(given_up);
        assert_eq!(STAGES.with_borrow(Vec::len), 0);
        let tasks = LocalSet::new();
        let panics = tasks.spawn_local(run(&STAGES, build, 13));
        assert!(tasks.run_until(panics).await.is_err());
        assert_eq!(STAGES.with_borrow(Vec::len), 0);
        assert_eq!(run(&STAGES, build, 1).await, 2);
    }
}
