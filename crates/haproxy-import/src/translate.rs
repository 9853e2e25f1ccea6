//! From what haproxy.cfg says to the text of a configuration.

mod access;
mod action;
mod apiserver;
mod captured;
mod changed;
mod comments;
mod compression;
mod counting;
mod criterion;
mod edge;
mod forwarded;
mod general;
mod known;
mod listener;
mod log;
mod names;
mod numbers;
mod observed;
mod pool;
mod probe;
mod rules;
mod secure;
mod template;
mod times;
mod tuning;
mod write;

pub use criterion::How;

pub(crate) use apiserver::apiserver;
pub(crate) use criterion::comparison;
pub(crate) use edge::edge;
pub(crate) use names::Names;

use crate::Host;
use crate::model::{Config, Proxy};
use crate::sections::Sources;

/// What is translated, and from where.
#[derive(Clone, Copy)]
pub(crate) struct Work<'w> {
    pub(crate) config: &'w Config,
    pub(crate) sources: &'w Sources,
    pub(crate) host: &'w dyn Host,
    /// For `eclusa-apiserver`.
    pub(crate) masters: bool,
    /// Something will ask `/vip`.
    pub(crate) vip: bool,
}

/// Whether clients are served at a section, and not HAProxy's page of figures alone.
pub(crate) fn serves(work: Work<'_>, index: usize) -> bool {
    edge::is_served(work, index)
}

impl<'w> Work<'w> {
    /// The section that a name leads to.
    pub(crate) fn back(&self, name: &str) -> Option<usize> {
        self.config.backs.get(name).copied()
    }

    pub(crate) fn proxy(&self, index: usize) -> &'w Proxy {
        &self.config.proxies[index]
    }

    /// Where clients of a section go in the end, when no route takes them, with the line that says so.
    pub(crate) fn usual(&self, front: usize) -> (Option<usize>, usize) {
        let proxy = self.proxy(front);
        if let Some(set) = proxy.words.get("default_backend") {
            let name = set.value.first().map(String::as_str).unwrap_or_default();
            return (self.back(name), set.line);
        }
        let own = proxy.is_back()
            && (!proxy.endpoints.is_empty() || proxy.words.contains_key("dispatch"));
        (own.then_some(front), proxy.head)
    }

    /// All sections that clients of one may come to.
    pub(crate) fn reached(&self, front: usize) -> Vec<usize> {
        let routes = self.proxy(front).routes.iter().filter_map(|route| self.back(&route.pool));
        let mut all: Vec<usize> = routes.chain(self.usual(front).0).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}
