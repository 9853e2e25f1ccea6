//! Where what is short and large runs: exchanges, and the setting up of sessions. Their state is some kilobytes,
//! which would have to be allocated, moved and freed for each of them, and which a connection at rest must not
//! carry around. So there are a few stages on a thread, and an exchange has one for as long as it runs.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::thread::LocalKey;

/// So many of a kind are kept for the exchanges to come: a burst leaves no more behind.
const KEPT: usize = 64;

/// Those of a thread, for what is begun with a `Scene` and yields `Done`.
pub type Stages<Scene, Done> = RefCell<Vec<Stage<Scene, Done>>>;

/// What is given to a stage, and what it yields.
struct Desk<Scene, Done> {
    next: Cell<Option<Scene>>,
    done: Cell<Option<Done>>,
}

/// One stage.
pub struct Stage<Scene, Done> {
    desk: Rc<Desk<Scene, Done>>,
    /// Runs one scene after the other. One that panics takes its stage along.
    work: Pin<Box<dyn Future<Output = ()>>>,
}

impl<Scene: 'static, Done: 'static> Stage<Scene, Done> {
    /// Where `play` runs what is given to it.
    pub fn build(play: impl AsyncFn(Scene) -> Done + 'static) -> Self {
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

/// A scene on its stage, which goes back to those of the thread when it is over.
pub struct Run<Scene: 'static, Done: 'static> {
    stages: &'static LocalKey<Stages<Scene, Done>>,
    stage: Option<Stage<Scene, Done>>,
}

impl<Scene: 'static, Done: 'static> Future for Run<Scene, Done> {
    type Output = Done;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Done> {
        let Some(stage) = &mut self.stage else { return Poll::Pending };
        let done = ready!(stage.poll(context));
        let (stages, stage) = (self.stages, self.stage.take());
        stages.with_borrow_mut(|free| {
            if free.len() < KEPT {
                free.extend(stage);
            }
        });
        Poll::Ready(done)
    }
}

/// Runs `scene` on one of the thread's stages, or on a new one.
pub fn run<Scene: 'static, Done: 'static>(
    stages: &'static LocalKey<Stages<Scene, Done>>,
    build: fn() -> Stage<Scene, Done>,
    scene: Scene,
) -> Run<Scene, Done> {
    let stage = stages.with_borrow_mut(Vec::pop).unwrap_or_else(build);
    stage.desk.next.set(Some(scene));
    Run { stages, stage: Some(stage) }
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
