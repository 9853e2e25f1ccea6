//! The admin socket: orders and questions from the operator, answered one line for one line.
//!
//! | file | what |
//! |---|---|
//! | `request`, `reply`, `status`, `refused`, `planned`, `explain`, `events`, `save` | what can be asked, and what is answered |
//! | `drill` | drills: what is ordered, and what came of it |
//! | `audit` | what the log says of a change: who, from where, what, before, after, why |
//! | `bounds` | what a request may carry; requests in words |
//! | `protocol` | both as lines of JSON; what is wrong with a line |
//! | `socket` | the file of the socket: stale ones, mode, group |
//! | `serve` | its clients: how many, how patient |
//! | `peer` | who asks |
//! | `audit` | what the log says of an order |
//! | `edit` | a configuration file with other endpoints and weights |
//! | `state` | what was ordered, kept across restarts |
//! | `client` | the commands that speak to it |
//!
//! What the requests mean is the business of whoever implements [`Operate`].

mod audit;
mod bounds;
pub mod client;
mod drill;
mod edit;
mod events;
mod explain;
mod moment;
mod peer;
mod planned;
mod protocol;
mod refused;
mod reply;
mod request;
mod save;
mod serve;
mod socket;
mod state;
mod status;
#[cfg(test)]
mod tests;

pub(crate) use audit::{By, event as audited};
pub(crate) use drill::{DrillConnections, DrillPool, DrillReport, DrillStart, DrillVerdict};
pub(crate) use events::{EventTable, Told};
pub(crate) use explain::{
    CandidateReport, Explain, Explanation, PoolReport, TriedReport, WhyReport,
};
pub(crate) use moment::{Moment, in_words};
pub(crate) use peer::Peer;
pub(crate) use planned::{Action, Item, PlanReport};
pub(crate) use refused::{RefusedMessage, RefusedTable};
pub(crate) use reply::{Closed, Data, Outcome, ReloadReport, Reply, Session, SessionTable};
pub(crate) use request::{
    AdminState, EndpointAdd, EndpointRemove, EndpointReset, EndpointSet, EndpointWeight, PlanOf,
    Reload, Request, Rollback, SessionClose, SessionFilter, SessionList, Sort, StatusOf,
};
pub(crate) use save::{SaveOrder, SaveReport};
pub(crate) use serve::{Client, Cut, Desk, Next, Patience, Serving, serve};
pub(crate) use socket::{Role, Socket};
pub(crate) use state::directory as state_directory;
pub(crate) use state::{Amended, Dropped, File, Kept, Order, Override, State, first_line};
pub(crate) use status::{
    AdminStatus, CertificateStatus, EndpointStatus, LastReload, ListenerStatus, OverrideStatus,
    PoolStatus, StatusReport, UnconfirmedStatus, WorkerStatus,
};

use crate::observe::Recent;
use std::sync::Arc;

/// Does what requests ask for.
pub(crate) trait Operate: 'static {
    /// Does what `request` asks for and tells what came of it. Requests that change something come
    /// one after another; a question may come while one of them, or another question, is still being
    /// worked on. Called on the control thread, which must not be blocked for longer than a reload
    /// takes (a second). What `request` carries is within its bounds ([`Request`]); whether the
    /// pools, endpoints and sessions it names exist is for the implementation to find out. The
    /// future is not dropped before its end when the client goes away.
    fn perform(&self, request: Request, by: &Peer) -> impl Future<Output = Reply>;

    /// The last events, for those who follow them; `None`: nobody can.
    fn recent(&self) -> Option<Arc<Recent>> {
        None
    }
}
