//! The control thread: what is asked of the engine and ordered from outside runs here, on one
//! reactor, away from the workers and from the probes. A task for each concern; none may block for
//! long.

use crate::engine::{Order, Shared, reactor};
use crate::observe::http;
use eclusa_config::plan::Observe;
use std::net::TcpListener;
use std::sync::Arc;
use tokio::sync::watch;

/// What the thread begins with.
pub(crate) struct Setup {
    pub(crate) shared: Arc<Shared>,
    pub(crate) observe: Observe,
    /// A socket for each of `observe`'s addresses.
    pub(crate) sockets: Vec<TcpListener>,
    pub(crate) orders: watch::Receiver<Order>,
}

/// The body of the thread; ends with the engine.
pub(crate) fn run(setup: Setup) {
    let Setup { shared, observe, sockets, orders } = setup;
    let runtime = match reactor() {
        Ok(runtime) => runtime,
        Err(error) => return shared.warn(format!("nobody can ask or order anything: {error}")),
    };
    runtime.block_on(async move {
        // Each concern begins its tasks here.
        http::start(&shared, sockets, observe);
        http::until_stopped(orders).await;
    });
}
