//! What a session is for its worker: set up, relayed, closed.

use super::Scene;
use crate::engine::{Guards, Worker};
use crate::observe::{End, Record, Who};
use crate::relay::{Finished, Relay};
use crate::stage::{self, Run, Stage, Stages};
use eclusa_policy::balance::EARLY;
use eclusa_policy::verdict::Evidence;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

thread_local! {
    static STAGES: Stages<Scene, Option<Carried>> = const { RefCell::new(Vec::new()) };
}

/// Who carries a session that is set up, and what counts it meanwhile.
pub(super) struct Carried {
    pub(super) worker: Rc<Worker>,
    pub(super) relay: Relay,
    pub(super) guards: Guards,
}

/// Carries a session to its end. No async function: this is what a session at rest costs. What sets
/// it up is larger, and runs on a stage of the thread.
#[allow(clippy::large_enum_variant, reason = "a box would cost every session an allocation")]
pub(super) enum Carry {
    SettingUp(Run<Scene, Option<Carried>>),
    Relaying(Carried),
    /// Delivering what a broken side said; short, and rare.
    Closing(Pin<Box<dyn Future<Output = ()>>>),
    Over,
}

impl Future for Carry {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let carry = self.get_mut();
        loop {
            match carry {
                Self::SettingUp(run) => match ready!(Pin::new(run).poll(context)) {
                    Some(carried) => *carry = Self::Relaying(carried),
                    None => *carry = Self::Over,
                },
                Self::Relaying(carried) => {
                    let finished = ready!(Pin::new(&mut carried.relay).poll(context));
                    carry.leave_relay(finished);
                }
                Self::Closing(closing) => {
                    ready!(closing.as_mut().poll(context));
                    *carry = Self::Over;
                }
                Self::Over => return Poll::Ready(()),
            }
        }
    }
}

impl Carry {
    #[allow(clippy::boxed_local, reason = "so it comes from the task's place for it")]
    pub(super) fn begin(scene: Box<Scene>) -> Self {
        Self::SettingUp(stage::run(&STAGES, || Stage::build(super::set_up), *scene))
    }

    fn leave_relay(&mut self, finished: Finished) {
        let Self::Relaying(Carried { worker, relay, guards }) = std::mem::replace(self, Self::Over)
        else {
            return;
        };
        let opening = relay.watch().opening().take();
        let mut record = opening.map(Record::of);
        if let Some(record) = &mut record {
            record.first_byte = relay.first_byte().map(|at| at - record.accepted);
            if worker.wants_tcp_info() {
                record.tcp = relay.tcp_info();
            }
        }
        if finished.is_clean() {
            let bytes = relay.bytes();
            drop(relay);
            return relayed(&worker, record, bytes, finished.end);
        }
        *self = Self::Closing(Box::pin(async move {
            let bytes = relay.close(&finished).await;
            relayed(&worker, record, bytes, finished.end);
            drop(guards);
        }));
    }
}

/// A session that was relayed has ended.
fn relayed(worker: &Worker, record: Option<Record>, bytes: (u64, u64), end: End) {
    let Some(mut record) = record else { return };
    (record.bytes_up, record.bytes_down) = bytes;
    if end.who == Who::Endpoint {
        tell_early_end(worker, &record);
    }
    super::finish(worker, record, end, true);
}

/// An endpoint that ends sessions at once, or without a byte, gets fewer new ones for a while; one
/// that never answered is suspected.
fn tell_early_end(worker: &Worker, record: &Record) {
    let (Some(pool), Some(endpoint)) = (&record.pool, &record.endpoint) else { return };
    let answered = record.bytes_down > 0;
    if answered && record.accepted.elapsed() >= EARLY {
        return;
    }
    if pool.plan().early_ends_weigh {
        worker.pickers().ended_early(pool.id(), endpoint, worker.time());
    }
    if !answered {
        worker.signal(pool, endpoint, Evidence::EndedEarly { answered });
    }
}
