//! Listeners: what is prepared of them once, and the loop that accepts.

use crate::engine::{Accepted, Worker};
use crate::layer7::{Service, Services};
use crate::observe::metrics::{ListenerCells, Metrics};
use crate::pool::Pool;
use crate::relay::Limits;
use arc_swap::ArcSwap;
use eclusa_config::plan::{self, Peek};
use eclusa_policy::condition::{Counted, World};
use eclusa_policy::network::NetworkSet;
use eclusa_policy::route::RouteTable;
use eclusa_sys::reactor::watch_readable;
use eclusa_sys::socket::{accept, hear_again, is_lost_before_accept};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;

/// Connections taken in a row before other sessions have their turn.
const ACCEPTS_PER_TURN: u32 = 4;
/// Pause after the host ran out of descriptors or memory: an accept that fails at once would spin.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(100);

/// An address that is listened on. What is spoken there can change with a reload; the sockets stay.
#[derive(Debug)]
pub(crate) struct Address {
    address: SocketAddr,
    listener: ArcSwap<Listener>,
    gone: AtomicBool,
}

impl Address {
    pub(crate) fn new(listener: Arc<Listener>) -> Arc<Self> {
        let (address, gone) = (listener.address, AtomicBool::new(false));
        Arc::new(Self { address, listener: ArcSwap::new(listener), gone })
    }

    /// No listener has it any more.
    pub(crate) fn set_gone(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the sessions that begin now find there.
    pub(crate) fn listener(&self) -> Arc<Listener> {
        self.listener.load_full()
    }

    pub(crate) fn set_listener(&self, listener: Arc<Listener>) {
        self.listener.store(listener);
    }
}

/// What is spoken at an address: the plan, and what its sessions need of it.
#[derive(Debug)]
pub(crate) struct Listener {
    plan: Arc<plan::Listener>,
    address: SocketAddr,
    routes: Arc<RouteTable>,
    /// The pools, by the index that routes name them by.
    pools: Arc<Vec<Arc<Pool>>>,
    proxy_from: Arc<NetworkSet>,
    limits: Arc<Limits>,
    cells: Arc<ListenerCells>,
    /// Who serves its connections, if not this crate.
    service: Option<Arc<dyn Service>>,
}

/// What conditions of connections that nobody looks into ask; only requests are counted.
impl World for Listener {
    fn available(&self, pool: usize, enough: usize) -> usize {
        self.pools.get(pool).map_or(0, |pool| pool.available(enough))
    }

    fn counted(&self, _: usize, _: IpAddr) -> Counted {
        Counted::default()
    }

    fn count(&self, _: usize, _: IpAddr) {}
}

impl Listener {
    /// Prepares a listener, once for each of its addresses.
    pub(crate) fn prepare(
        plan: &plan::Listener,
        pools: &Arc<Vec<Arc<Pool>>>,
        metrics: &Metrics,
        services: &Services,
    ) -> Vec<Arc<Self>> {
        let cells = metrics.listener(&plan.name);
        let service = services.get(&plan.name).cloned();
        let routes = plan.routes.iter().map(|route| (route.when.clone(), route.target.clone()));
        let routes = Arc::new(RouteTable::new(routes));
        let proxy_from = plan.proxy_from.iter().flatten().copied();
        let proxy_from: Arc<NetworkSet> = Arc::new(proxy_from.collect());
        let limits = Arc::new(Limits {
            idle: plan.idle_timeout,
            half_closed: plan.half_closed_timeout,
            dead_peer: plan.dead_peer,
        });
        let plan = Arc::new(plan.clone());
        let prepare = |listen: &plan::ListenAddress| {
            Arc::new(Self {
                plan: plan.clone(),
                address: listen.address,
                routes: routes.clone(),
                pools: pools.clone(),
                proxy_from: proxy_from.clone(),
                limits: limits.clone(),
                cells: cells.clone(),
                service: service.clone(),
            })
        };
        plan.addresses.iter().map(prepare).collect()
    }

    pub(crate) fn plan(&self) -> &plan::Listener {
        &self.plan
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn routes(&self) -> &RouteTable {
        &self.routes
    }

    /// The pool that a route names.
    pub(crate) fn pool(&self, index: usize) -> Option<Arc<Pool>> {
        self.pools.get(index).cloned()
    }

    /// Where its sessions are counted.
    pub(crate) fn cells(&self) -> Arc<ListenerCells> {
        self.cells.clone()
    }

    pub(crate) fn service(&self) -> Option<&Arc<dyn Service>> {
        self.service.as_ref()
    }

    /// The service that gets a connection from `peer` without anything to be read before.
    pub(crate) fn service_at_once(&self, peer: IpAddr) -> Option<Arc<dyn Service>> {
        let reads = self.plan.peek != Peek::None || self.expects_proxy_header(peer);
        self.service.as_ref().filter(|service| !reads && !service.passes(None)).cloned()
    }

    pub(crate) fn limits(&self) -> Arc<Limits> {
        self.limits.clone()
    }

    /// Whether `peer` must send a PROXY header first.
    pub(crate) fn expects_proxy_header(&self, peer: IpAddr) -> bool {
        !self.proxy_from.is_empty() && self.proxy_from.contains(peer)
    }
}

/// Accepts connections until the worker stops.
///
/// A permit, which stands for the descriptors of both sides, is taken before `accept`: at the limit
/// a client waits in the kernel's queue; nobody is accepted and then closed.
pub(crate) async fn accept_loop(worker: Rc<Worker>, address: Arc<Address>, socket: Rc<OwnedFd>) {
    let socket = match watch_readable(socket) {
        Ok(socket) => socket,
        Err(error) => return worker.local_trouble(&error),
    };
    let mut in_a_row = 0;
    loop {
        let Ok(mut ready) = socket.readable().await else { return };
        let Some(permit) = worker.permit().await else { return };
        match ready.try_io(|socket| accept(socket.as_fd())) {
            // Nothing there after all: the permit goes back.
            Err(_would_block) => continue,
            Ok(Ok(connection)) => worker.place(taken(&worker, &address, connection, permit)),
            Ok(Err(error)) => {
                drop(permit);
                if !is_lost_before_accept(&error) {
                    worker.local_trouble(&error);
                    tokio::time::sleep(SHORTAGE_PAUSE).await;
                }
            }
        }
        in_a_row += 1;
        if in_a_row % ACCEPTS_PER_TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Takes what still waits in the kernel's queue of a socket that is about to be closed: closing it
/// would reset these clients.
pub(crate) fn accept_the_rest(worker: &Rc<Worker>, address: &Arc<Address>, socket: &OwnedFd) {
    while let Some(permit) = worker.permit_now() {
        match accept(socket.as_fd()) {
            Ok(connection) => {
                // Fails only on a socket that is already gone.
                let _ = hear_again(connection.0.as_fd());
                worker.place(taken(worker, address, connection, permit));
            }
            Err(error) if is_lost_before_accept(&error) => {}
            Err(_) => return,
        }
    }
}

fn taken(
    worker: &Worker,
    address: &Arc<Address>,
    (socket, peer): (OwnedFd, SocketAddr),
    permit: OwnedSemaphorePermit,
) -> Accepted {
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let guards = worker.count(permit);
    Accepted { socket, peer, address: address.clone(), at: Instant::now(), guards }
}
