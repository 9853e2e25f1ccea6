//! A connection to an endpoint: one that is kept, or a fresh one.

use super::{Failed, Fell, Forward, Seen, Tried};
use crate::connection::Session;
use crate::reuse::{Idle, Kept, Key};
use crate::site::PoolSite;
use crate::stream::Stream;
use eclusa_policy::verdict::{DialFault, Evidence, ExchangeFault};
use eclusa_proxy::layer7::{End, Endpoint, Lease, Reached, Step, Unreached, Who};
use eclusa_wire::http1::Head;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// A connection to an endpoint, for one exchange.
pub(crate) struct Upstream {
    pub(crate) stream: Stream,
    pub(crate) lease: Lease,
    /// The pool's index in the plan.
    pub(crate) index: usize,
    key: Key,
    kept_at_most: usize,
    /// The endpoint was told of the client when it was made: it serves no other.
    is_of_client: bool,
}

impl Upstream {
    /// The exchange is over, in good order: another may use the connection.
    pub(crate) fn give_back(self, session: &Session) {
        let Self { stream, key, kept_at_most, .. } = self;
        if !self.is_of_client {
            return Idle::of(&session.connection).put(key, stream, kept_at_most);
        }
        if kept_at_most > 0 {
            *session.own.borrow_mut() = Some(Box::new((key, Kept::new(stream))));
        }
    }
}

/// A connection to an endpoint that was found.
pub(super) struct Connected {
    pub(super) upstream: Upstream,
    /// Endpoints that were dialled for it, or asked over a kept connection.
    pub(super) tries: u32,
    /// It is a kept one.
    pub(super) reused: bool,
}

/// No connection, or one that came to nothing.
pub(super) struct Unconnected {
    pub(super) tried: Tried,
    /// The endpoint that was tried last.
    pub(super) endpoint: Option<Arc<Endpoint>>,
    pub(super) tries: u32,
    pub(super) reused: bool,
    /// What of that time went into the connection, where that was not the caller's to count.
    pub(super) dial: Duration,
}

impl Forward<'_, '_> {
    /// A connection to an endpoint: one that has rested for less than `kept` where there is one, else
    /// a fresh one. `lease`: to this endpoint; none of `excluded`. `note` hears which it is going to be.
    pub(super) async fn connect(
        &self,
        head: &Head,
        kept: Option<Duration>,
        (lease, excluded): (Option<Lease>, Vec<SocketAddr>),
        note: &impl Fn(&Arc<Endpoint>),
    ) -> Result<Connected, Unconnected> {
        let connection = self.connection();
        let Some(pool_site) = self.run.site.pools.get(self.index) else {
            let end = End::abort(Who::Proxy, Step::Route, "the pool is gone");
            let tried = Failed::Answer(503, end).into();
            return Err(Unconnected {
                tried,
                endpoint: None,
                tries: 0,
                reused: false,
                dial: Duration::ZERO,
            });
        };
        let name = pool_site
            .tls
            .as_ref()
            .and_then(|tls| tls.name(&String::from_utf8_lossy(head.host()).to_ascii_lowercase()));
        let is_of_client = self.pool.plan().send_proxy.is_some();
        let connected = |stream, lease: Lease, tries, reused| {
            let key = key(pool_site, &lease, name.clone());
            let (index, kept_at_most) = (self.index, pool_site.http.idle_connections);
            let upstream = Upstream { stream, lease, index, key, kept_at_most, is_of_client };
            Connected { upstream, tries, reused }
        };
        let mut lease = lease.or_else(|| connection.lease(self.pool, &excluded, self.wish));
        if let Some(leased) = &lease {
            note(leased.endpoint());
            let key = key(pool_site, leased, name.clone());
            let found = kept.and_then(|age| {
                if !is_of_client {
                    return Idle::of(connection).take(&key, age);
                }
                let own = self.run.session.own.borrow_mut().take();
                own.filter(|own| own.0 == key).and_then(|own| own.1.take(age))
            });
            match (found, lease.take()) {
                (Some(stream), Some(leased)) => return Ok(connected(stream, leased, 1, true)),
                (_, unused) => lease = unused,
            }
        }
        let client = self.run.client.socket();
        // Boxed, as most exchanges find a connection that is kept, and need not carry this around.
        let reaching = connection.reach(self.pool, client, excluded, lease, self.wish.key);
        let Reached { stream, lease, tries } = Box::pin(reaching).await.map_err(failed)?;
        note(lease.endpoint());
        match Box::pin(self.introduce(stream, pool_site, &lease, name.as_ref())).await {
            Ok(stream) => Ok(connected(stream, lease, tries, false)),
            Err(tried) => {
                let endpoint = Some(lease.endpoint().clone());
                Err(Unconnected { tried, endpoint, tries, reused: false, dial: Duration::ZERO })
            }
        }
    }

    /// Notes a connection in the record.
    pub(super) fn note(&mut self, connected: Connected) -> Upstream {
        let Connected { upstream, tries, reused } = connected;
        self.note_tries(tries, reused, Some(upstream.lease.endpoint().clone()));
        upstream
    }

    /// Notes in the record what came to nothing.
    pub(super) fn note_lost(&mut self, lost: Unconnected) -> Tried {
        let Unconnected { tried, endpoint, tries, reused, dial } = lost;
        self.run.record.times.dial += dial;
        self.note_tries(tries, reused, endpoint);
        tried
    }

    fn note_tries(&mut self, tries: u32, reused: bool, endpoint: Option<Arc<Endpoint>>) {
        let queue = self.connection().queued();
        let record = &mut self.run.record;
        record.times.queue = queue;
        record.tries += tries;
        record.reused = reused;
        record.endpoint = endpoint;
    }

    /// What an endpoint gets before the first request: the PROXY header, TLS.
    async fn introduce(
        &self,
        mut stream: TcpStream,
        pool_site: &PoolSite,
        lease: &Lease,
        name: Option<&Arc<str>>,
    ) -> Result<Stream, Tried> {
        let patience = self.pool.plan().dial.timeout;
        let fell =
            |end, evidence| Tried::Fell(Fell { end, status: 502, seen: Seen::Nothing, evidence });
        let header = self.connection().proxy_header(self.pool);
        if !header.is_empty() {
            let written = timeout(patience, stream.write_all(&header)).await;
            if let Err(error) = written.unwrap_or_else(|late| Err(late.into())) {
                let end = End::abort(Who::Endpoint, Step::Dial, error.to_string());
                return Err(fell(end, Evidence::DialFailed(DialFault::Reset)));
            }
        }
        let Some(origin) = &pool_site.tls else { return Ok(Stream::Plain(stream)) };
        let tls = origin.endpoint(lease.endpoint().address(), name);
        match tls.connect(stream, Instant::now() + patience).await {
            Ok((secured, _)) => Ok(Stream::Endpoint(Box::new(secured))),
            Err(failure) => {
                let end = End::abort(Who::Endpoint, Step::Dial, failure.words);
                Err(fell(end, Evidence::Exchange(ExchangeFault::Tls)))
            }
        }
    }
}

fn key(pool: &PoolSite, lease: &Lease, name: Option<Arc<str>>) -> Key {
    Key { pool: pool.id, address: lease.endpoint().address(), name }
}

/// No endpoint was reached: that is 502 where one was tried, 504 where it kept silent, and 503 where
/// there was none to try.
fn failed(unreached: Unreached) -> Unconnected {
    let Unreached { end, endpoint, tries } = unreached;
    let status = match end.step() {
        Step::Dial if end.is_timeout() => 504,
        Step::Dial if tries > 0 => 502,
        _ => 503,
    };
    let failed = match end.who() {
        Who::Client => Failed::Client(end),
        _ => Failed::Answer(status, end),
    };
    Unconnected { tried: failed.into(), endpoint, tries, reused: false, dial: Duration::ZERO }
}
