//! Whether this host should hold the address that it shares with another: it lets go only where
//! that helps, when it reaches no endpoint and the other host does.
//!
//! The other is asked for `/reach`, which answers for itself and asks nobody: two hosts that ask each
//! other do not loop.

use super::Site;
use crate::observe::view::Reach;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::spawn_local;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Without an endpoint for so long this host would let go.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often this host looks at its own endpoints.
const LOOK: Duration = Duration::from_millis(250);
/// How often the peer is asked while no endpoint is reached, and how long it may take.
const ASK: Duration = Duration::from_secs(1);
/// What the peer said counts for so long.
const FRESH: Duration = Duration::from_secs(3);

/// What is known of both hosts.
pub(super) struct Vip {
    peer: Option<Arc<str>>,
    /// Since when this host reaches no endpoint.
    lost: Cell<Option<Instant>>,
    /// When the peer last said that it reaches one.
    peer_reaches: Cell<Option<Instant>>,
}

impl Vip {
    pub(super) fn new(peer: Option<Arc<str>>) -> Self {
        Self { peer, lost: Cell::default(), peer_reaches: Cell::default() }
    }

    /// Whether to hold the address, and why.
    pub(super) fn answer(&self) -> Result<String, String> {
        let within = |at: Option<Instant>, time| at.is_some_and(|at| at.elapsed() < time);
        let Some(lost) = self.lost.get() else {
            return Ok("this host reaches its endpoints, or none was asked".to_owned());
        };
        if within(Some(lost), PATIENCE) {
            return Ok(format!("no endpoint is reached, for less than {PATIENCE:?}"));
        }
        if !within(self.peer_reaches.get(), FRESH) {
            return Ok("no endpoint is reached, and nobody is known who would".to_owned());
        }
        Err("no endpoint is reached, and the peer reaches one".to_owned())
    }
}

/// Looks at the endpoints, and asks the peer while none is reached.
pub(super) async fn watch(site: Rc<Site>) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut asked: Option<Instant> = None;
    loop {
        looks.tick().await;
        let vip = &site.vip;
        let reach = site.shared.view().reach();
        match reach {
            Reach::One | Reach::Unknown => vip.lost.set(None),
            Reach::None => vip.lost.set(Some(vip.lost.get().unwrap_or_else(Instant::now))),
        }
        let reaches = (reach != Reach::Unknown).then_some(reach == Reach::One);
        site.shared.metrics.set_reach(reaches);
        let due = asked.is_none_or(|at| at.elapsed() >= ASK);
        if vip.lost.get().is_some() && due && vip.peer.is_some() {
            asked = Some(Instant::now());
            spawn_local(ask(site.clone()));
        }
    }
}

async fn ask(site: Rc<Site>) {
    let Some(peer) = &site.vip.peer else { return };
    let reaches = timeout(ASK, reaches(peer)).await;
    if matches!(reaches, Ok(Ok(true))) {
        site.vip.peer_reaches.set(Some(Instant::now()));
    } else if matches!(reaches, Ok(Ok(false))) {
        site.vip.peer_reaches.set(None);
    }
}

/// Whether the peer says that it reaches an endpoint.
async fn reaches(peer: &str) -> Result<bool, Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(peer).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let carrying = spawn_local(connection);
    let request = Request::get("/reach").header(HOST, peer).body(Empty::<Bytes>::new())?;
    let status = sender.send_request(request).await.map(|response| response.status());
    carrying.abort();
    Ok(status? == StatusCode::OK)
}
