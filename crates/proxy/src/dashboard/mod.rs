//! The dashboard: one page that shows how everything is, live, over HTTP on the program's first
//! thread, beside the admin socket and with its code for orders.
//!
//! | file | what |
//! |---|---|
//! | `page.html`, `page.css`, `icon.svg` | the page: as it is served, nothing is built |
//! | `base.js`, `state.js`, `network.js`, `rest.js`, `page.js` | its script, in the order in which it is loaded |
//! | `serve` | its sockets and connections: how many, how patient |
//! | `patient` | a connection that is cut when its other end takes nothing |
//! | `answer` | what each path says |
//! | `content` | bodies of answers, and the headers that all of them have |
//! | `guard` | who is let in: names, origins, the token |
//! | `live` | the state of everything, once a second for all who look, and what changed of it |
//! | `snapshot` | that state as the page reads it |
//!
//! Nothing is made while nobody looks, and nothing for each viewer but the bytes on its way.

mod answer;
mod content;
mod guard;
mod live;
mod patient;
mod serve;
mod snapshot;
#[cfg(test)]
mod tests;

pub(crate) use serve::{Places, Serving, serve};
pub(crate) use snapshot::{Past, PoolQuorum, Shape, ShapeListener, ShapePart, ShapeRoute};

use crate::admin::{CertificateStatus, Operate};
use crate::observe::metrics::Metrics;
use crate::observe::{Event, Happened};
use std::sync::Arc;

/// What the page shows beside `status`, of whoever does what requests ask for.
pub(crate) trait Look: Operate {
    /// What follows from the configuration alone; it changes with its generation.
    fn shape(&self) -> Shape;
    /// The masters of each pool, where pools are of masters.
    fn quorums(&self) -> Vec<PoolQuorum>;
    /// The certificates that listeners show.
    fn shown_certificates(&self) -> Vec<CertificateStatus>;
    /// Events after the one of this number, oldest first.
    fn events(&self, after: u64) -> Vec<Arc<Happened>>;
    /// The last results of an endpoint's probes, oldest first; `None`: there is no such endpoint.
    fn history(&self, pool: &str, endpoint: &str) -> Option<Vec<Past>>;
    /// Writes an event to the log.
    fn tell(&self, event: Event);
    /// Where refusals are counted.
    fn metrics(&self) -> &Metrics;
}
