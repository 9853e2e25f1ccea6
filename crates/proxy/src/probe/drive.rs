//! One endpoint: sleeps until its next probe is due, and begins it. A probe is a task of its own,
//! so that a fresh dial can start beside an answer that does not come.

use super::watch::{Member, Watch};
use super::{fresh, kept};
use crate::admin::AdminState;
use eclusa_policy::verdict::{Evidence, Way};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Instant, sleep_until};

/// From the start of a probe to the start of the next at least: traffic that hurries probes with
/// every session must not make a storm of them.
const APART: Duration = Duration::from_millis(50);
/// Probes of one endpoint that may be under way: the oldest gives way.
const AT_ONCE: usize = 16;

/// The probes of an endpoint that are under way.
#[derive(Default)]
pub(super) struct UnderWay(RefCell<VecDeque<AbortHandle>>);

impl UnderWay {
    fn begin(&self, probe: impl Future<Output = ()> + 'static) {
        let mut under_way = self.0.borrow_mut();
        under_way.retain(|task| !task.is_finished());
        if under_way.len() >= AT_ONCE
            && let Some(oldest) = under_way.pop_front()
        {
            oldest.abort();
        }
        under_way.push_back(spawn_local(probe).abort_handle());
    }

    fn end(&self) {
        self.0.borrow_mut().drain(..).for_each(|task| task.abort());
    }
}

/// What a probe belongs to, and where what it sees goes.
#[derive(Clone)]
pub(super) struct Probing {
    pub(super) watch: Rc<Watch>,
    pub(super) member: Rc<Member>,
}

impl Probing {
    /// Hands evidence to the judge, the moment that it is seen.
    pub(super) fn see(&self, evidence: Evidence) {
        self.watch.observe(self.member.endpoint.key(), &evidence);
    }

    /// Whether our own link is down, over which the endpoint was asked from the address `local`:
    /// then its silence says nothing. To be asked only when it was silent.
    pub(super) fn is_cut_off(&self, local: Option<IpAddr>) -> bool {
        local.is_some_and(|local| self.watch.link.is_down(local))
    }
}

/// Probes one endpoint until it is forgotten.
pub(super) async fn drive(watch: Rc<Watch>, member: Rc<Member>) {
    let key = member.endpoint.key();
    let probing = Probing { watch: watch.clone(), member: member.clone() };
    let mut earliest = Instant::now();
    while let Some(next) = watch.next_probe(key) {
        let due = Instant::now() + next.at.since(watch.shared.time());
        tokio::select! {
            biased;
            () = sleep_until(due.max(earliest)) => {}
            () = member.moved.notified() => continue,
        }
        if watch.forget_if_idle(&member) {
            break;
        }
        if member.endpoint.admin() == AdminState::Maint {
            // Nobody asks what is out of service; its end in silence alarms nobody.
            member.moved.notified().await;
            continue;
        }
        earliest = Instant::now() + APART;
        let connection = member.kept.borrow().clone().filter(|_| next.way == Way::Kept);
        if let Some(connection) = connection {
            watch.started(key, Way::Kept);
            member.under_way.begin(kept::probe(probing.clone(), connection));
        } else {
            watch.started(key, Way::Fresh);
            member.under_way.begin(fresh::probe(probing.clone()));
        }
    }
    member.under_way.end();
    member.kept.take();
}
