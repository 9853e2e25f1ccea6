//! Probes: a thread that does nothing else asks every endpoint of every pool, again and again.
//!
//! A kind is a file with its code and tests; adding one is a line in [`Kind::prepare`].

mod tcp;
mod tls;

use crate::engine::{Order, Shared, reactor};
use crate::observe::{Event, Logger};
use crate::pool::{Endpoint, Pool, source_for};
use crate::relay::reason_of;
use eclusa_config::plan::{self, ProbeKind};
use eclusa_policy::verdict::{RiseFall, Verdict};
use eclusa_sys::socket::{connect, is_local_trouble};
use eclusa_wire::proxy_protocol;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Instant, sleep_until, timeout};

/// Pause between probes while a verdict is about to change.
const HURRY: Duration = Duration::from_millis(300);
/// A probe whose own timer fired this late says nothing of the endpoint: this process did not run.
const LATE: Duration = Duration::from_millis(100);

/// What asks the endpoints of one pool.
pub(crate) struct Prober {
    pool: Arc<Pool>,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Tcp,
    Tls(tls::Probe),
}

impl Kind {
    fn prepare(kind: &ProbeKind) -> Result<Option<Self>, String> {
        match kind {
            ProbeKind::None => Ok(None),
            ProbeKind::Tcp => Ok(Some(Self::Tcp)),
            ProbeKind::Tls { server_name, ca } => {
                let probe = tls::Probe::new(server_name.as_deref(), ca.as_deref())?;
                Ok(Some(Self::Tls(probe)))
            }
        }
    }
}

/// Loads what the probes need. Errors are for the operator.
pub(crate) fn prepare(shared: &Shared) -> Result<Vec<Prober>, String> {
    let mut probers = Vec::new();
    for pool in &shared.pools {
        if let Some(kind) = Kind::prepare(&pool.plan().probe.kind)? {
            probers.push(Prober { pool: pool.clone(), kind });
        }
    }
    Ok(probers)
}

/// The body of the probes' thread.
pub(crate) fn run(shared: Arc<Shared>, probers: Vec<Prober>, mut orders: watch::Receiver<Order>) {
    let Ok(runtime) = reactor() else {
        return shared.logger.event(Event::new("warning", "the probes cannot start"));
    };
    runtime.block_on(async move {
        for prober in probers {
            spawn_local(watch_pool(Rc::new(prober), shared.logger.clone()));
        }
        // An engine that is gone without a word wants an end, too.
        let _ = orders.wait_for(|order| *order == Order::Stop).await;
    });
}

/// Keeps a task for each endpoint that the pool has.
async fn watch_pool(prober: Rc<Prober>, logger: Logger) {
    let mut changes = prober.pool.changes();
    let mut tasks: HashMap<*const Endpoint, AbortHandle> = HashMap::new();
    loop {
        let endpoints = prober.pool.endpoints();
        tasks.retain(|known, task| {
            let stays = endpoints.iter().any(|endpoint| Arc::as_ptr(endpoint) == *known);
            if !stays {
                task.abort();
            }
            stays
        });
        for endpoint in endpoints.iter() {
            tasks.entry(Arc::as_ptr(endpoint)).or_insert_with(|| {
                let watching = watch_endpoint(prober.clone(), endpoint.clone(), logger.clone());
                spawn_local(watching).abort_handle()
            });
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Probes one endpoint until it is gone.
async fn watch_endpoint(prober: Rc<Prober>, endpoint: Arc<Endpoint>, logger: Logger) {
    let plan = &prober.pool.plan().probe;
    let mut counter = RiseFall::new(plan.rise, plan.fall);
    loop {
        let began = Instant::now();
        match prober.probe(&endpoint).await {
            Outcome::Void => {}
            Outcome::Success => {
                note(&prober.pool, &endpoint, counter.observe(true), "answered", &logger)
            }
            Outcome::Failure(reason) => {
                note(&prober.pool, &endpoint, counter.observe(false), &reason, &logger);
            }
        }
        let jitter = 0.9 + 0.2 * fastrand::f64();
        let interval = if counter.is_changing() { plan.interval.min(HURRY) } else { plan.interval };
        sleep_until(began + interval.mul_f64(jitter)).await;
    }
}

fn note(pool: &Pool, endpoint: &Endpoint, verdict: Option<Verdict>, reason: &str, logger: &Logger) {
    let Some(verdict) = verdict.filter(|verdict| pool.set_verdict(endpoint, *verdict)) else {
        return;
    };
    let (pool, name) = (&*pool.plan().name, endpoint.name());
    let event =
        Event::new("verdict", format!("{name} of pool {pool} is {}: {reason}", verdict.name()))
            .about("pool", pool)
            .about("endpoint", name)
            .about("address", endpoint.address().to_string())
            .about("verdict", verdict.name())
            .about("reason", reason);
    logger.event(event);
}

/// What one probe showed.
enum Outcome {
    Success,
    Failure(String),
    /// Nothing: this host was in trouble itself.
    Void,
}

impl Prober {
    async fn probe(&self, endpoint: &Endpoint) -> Outcome {
        let plan = self.pool.plan();
        let deadline = Instant::now() + plan.probe.timeout;
        let result = timeout(plan.probe.timeout, self.ask(endpoint)).await;
        match result {
            Ok(Ok(())) => Outcome::Success,
            Ok(Err(error)) if is_local_trouble(&error) => Outcome::Void,
            Ok(Err(error)) => Outcome::Failure(reason_of(&error).into_owned()),
            Err(_) if Instant::now() > deadline + LATE => Outcome::Void,
            Err(_) => Outcome::Failure(format!("no answer within {:?}", plan.probe.timeout)),
        }
    }

    /// Asks over the way that traffic takes: same source address, same PROXY header.
    async fn ask(&self, endpoint: &Endpoint) -> io::Result<()> {
        let (plan, address) = (self.pool.plan(), endpoint.address());
        if !self.pool.admits(address.ip()) {
            return Err(io::Error::other("the address is not in `upstreams_within`"));
        }
        let source = source_for(&plan.source, address, 0);
        let mut stream = TcpStream::from_std(connect(address, source)?.into())?;
        stream.writable().await?;
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        if let Some(send_proxy) = plan.send_proxy {
            stream.write_all(&local_header(send_proxy)).await?;
        }
        match &self.kind {
            Kind::Tcp => tcp::finish(stream),
            Kind::Tls(probe) => probe.handshake(stream, endpoint.host(), address.ip()).await,
        }
    }
}

/// A PROXY header that says: the balancer itself speaks.
fn local_header(send_proxy: plan::SendProxy) -> Vec<u8> {
    if send_proxy.version == 1 {
        return b"PROXY UNKNOWN\r\n".to_vec();
    }
    let mut header = Vec::new();
    proxy_protocol::encode_v2_local(&mut header);
    header
}
