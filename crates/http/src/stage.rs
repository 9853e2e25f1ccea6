//! Where exchanges of HTTP/1 run. Their state is some kilobytes, which a connection at rest must not carry
//! around, and which would have to be allocated, moved and freed for each request. So there are a few stages
//! on a thread, and a connection has one for as long as an exchange of its runs.

use crate::connection::Session;
use crate::exchange::{self, Next};
use crate::stream::Stream;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

/// So many are kept for the exchanges to come: a burst leaves no more behind.
const KEPT: usize = 64;

thread_local! {
    static FREE: RefCell<Vec<Stage>> = const { RefCell::new(Vec::new()) };
}

/// What an exchange has of its connection.
pub(crate) struct Part {
    pub(crate) client: Stream,
    /// What the client has said already of the request; afterwards, of the next one.
    pub(crate) rest: Vec<u8>,
}

/// One exchange that is to run.
struct Scene {
    session: Rc<Session>,
    part: Part,
    number: u64,
}

#[derive(Default)]
struct Desk {
    next: Cell<Option<Scene>>,
    done: Cell<Option<(Next, Part)>>,
}

struct Stage {
    desk: Rc<Desk>,
    /// Runs one exchange after the other. One that panics takes its stage along.
    work: Pin<Box<dyn Future<Output = ()>>>,
}

/// Runs the next exchange of a connection, its request of this `number`: what comes after it, too, in the end.
pub(crate) async fn run(session: &Rc<Session>, part: Part, number: u64) -> (Next, Part) {
    let free = FREE.with_borrow_mut(Vec::pop);
    let mut stage = free.unwrap_or_else(Stage::build);
    stage.desk.next.set(Some(Scene { session: Rc::clone(session), part, number }));
    let done = poll_fn(|context| {
        // It never ends.
        let _ = stage.work.as_mut().poll(context);
        stage.desk.done.take().map_or(Poll::Pending, Poll::Ready)
    })
    .await;
    FREE.with_borrow_mut(|free| {
        if free.len() < KEPT {
            free.push(stage);
        }
    });
    done
}

impl Stage {
    fn build() -> Self {
        let desk = Rc::new(Desk::default());
        let work = Box::pin(work(Rc::clone(&desk)));
        Self { desk, work }
    }
}

async fn work(desk: Rc<Desk>) {
    loop {
        // Whoever has the stage polls it when there is something to run.
        let next = poll_fn(|_| desk.next.take().map_or(Poll::Pending, Poll::Ready));
        let Scene { session, mut part, number } = next.await;
        let after = exchange::run(&session, &mut part.client, &mut part.rest, number).await;
        drop(session);
        desk.done.set(Some((after, part)));
    }
}
