//! The listening sockets of a worker: how they open, fall silent and close without losing anybody.

use super::Worker;
use crate::listener::{Address, accept_loop, accept_the_rest};
use crate::signal::Closed;
use eclusa_sys::socket::hear_no_more;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long handshakes that have begun may take to complete before the listeners close.
const HANDSHAKES: Duration = Duration::from_millis(200);

/// A socket that a worker listens on, and the task that accepts from it.
struct Open {
    address: Arc<Address>,
    socket: Rc<OwnedFd>,
    accepting: Option<JoinHandle<()>>,
    /// It hears nothing new, and is closed then.
    ends: Option<tokio::time::Instant>,
    /// Dropped when it is closed: whoever ordered that waits for it.
    _closed: Option<Closed>,
}

/// The listening sockets of a worker.
#[derive(Default)]
pub(super) struct Listening(Vec<Open>);

impl Open {
    async fn accept_no_more(&mut self) {
        if let Some(task) = self.accepting.take() {
            task.abort();
            // Aborted on purpose, or over already.
            let _ = task.await;
        }
    }

    /// New connections begin no more, and what still waits is taken. A listener that is closed at
    /// once would reset what came between the last accept and its end.
    async fn hear_no_more(&mut self, worker: &Rc<Worker>) {
        self.accept_no_more().await;
        // Without it the listener closes all the same, with that gap.
        let _ = hear_no_more(self.socket.as_fd());
        accept_the_rest(worker, &self.address, &self.socket);
        self.ends.get_or_insert(tokio::time::Instant::now() + HANDSHAKES);
    }
}

impl Listening {
    pub(super) fn open(&mut self, worker: &Rc<Worker>, address: Arc<Address>, socket: OwnedFd) {
        let socket = Rc::new(socket);
        let accepting = accept_loop(worker.clone(), address.clone(), socket.clone());
        let accepting = Some(tokio::task::spawn_local(accepting));
        self.0.push(Open { address, socket, accepting, ends: None, _closed: None });
    }

    /// Begins to close what listens on an address.
    pub(super) async fn close(&mut self, worker: &Rc<Worker>, address: SocketAddr, closed: Closed) {
        for open in &mut self.0 {
            if open.address.address() == address && open.ends.is_none() {
                open._closed = Some(closed.clone());
                open.hear_no_more(worker).await;
            }
        }
    }

    pub(super) async fn close_all(&mut self, worker: &Rc<Worker>) {
        if worker.shared.sockets_stay {
            // Who waits is served by the next start.
            return self.leave().await;
        }
        for open in &mut self.0 {
            open.hear_no_more(worker).await;
        }
    }

    /// When the next socket is to be closed.
    pub(super) fn next_end(&self) -> Option<tokio::time::Instant> {
        self.0.iter().filter_map(|open| open.ends).min()
    }

    /// Closes the sockets whose time has come.
    pub(super) async fn end_due(&mut self, worker: &Rc<Worker>) {
        let now = tokio::time::Instant::now();
        for open in self.0.iter().filter(|open| open.ends.is_some_and(|at| at <= now)) {
            accept_the_rest(worker, &open.address, &open.socket);
        }
        self.0.retain(|open| open.ends.is_none_or(|at| at > now));
    }

    /// Takes the last ones and closes all sockets.
    pub(super) async fn end(&mut self, worker: &Rc<Worker>) {
        self.close_all(worker).await;
        self.0.clear();
    }

    /// Leaves the sockets to another thread or process that has them, too.
    pub(super) async fn leave(&mut self) {
        for open in &mut self.0 {
            open.accept_no_more().await;
        }
        self.0.clear();
    }

    pub(super) fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}
