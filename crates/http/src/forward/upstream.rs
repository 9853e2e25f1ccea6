//! A connection to an endpoint: one that is kept, or a fresh one.

use super::{Failed, Fell, Forward, Seen, Tried};
use crate::connection::Session;
use crate::reuse::{Idle, Kept, Key};
use crate::site::PoolSite;
use crate::stream::{Presence, Stream};
use eclusa_policy::verdict::{DialFault, Evidence, ExchangeFault};
use eclusa_proxy::layer7::{
    End, Endpoint, Lease, Reached, Step, Unreached, Who, poll_room, reset_on_close,
};
use eclusa_wire::http1::Head;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
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
    /// The exchange ends in its midst. Closing in good order would leave our port in TIME_WAIT for a minute,
    /// and clients that break off could use up all that there are towards an endpoint.
    pub(crate) fn abandon(self) {
        // A stream of HTTP/2 that is dropped is reset by itself.
        self.stream.socket().map(reset_on_close);
    }

    /// The exchange is over, in good order: another may use the connection.
    pub(crate) fn give_back(self, session: &Session) {
        let Self { stream, key, kept_at_most, .. } = self;
        if matches!(stream, Stream::Http2(_)) {
            // Its connection is everybody's.
            return;
        }
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
        if let Some(plan) = pool_site.http.http2 {
            let way = (lease, excluded);
            return self.connect_http2((pool_site, plan), head, kept.is_some(), way, note).await;
        }
        let name = self.name_for(pool_site, head);
        let is_of_client = self.pool.plan().send_proxy.is_some();
        let connected = |stream, lease: Lease, tries, reused| {
            let key = key(pool_site, &lease, name.clone());
            self.connected(pool_site, (stream, lease), key, tries, reused)
        };
        let mut lease = lease.or_else(|| connection.lease(self.pool, &excluded, self.wish));
        if let Some(leased) = &lease {
            note(leased.endpoint());
            let key = key(pool_site, leased, name.clone());
            let kept = kept.filter(|_| !leased.endpoint().is_drilled());
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
        if self.run.client.socket().is_none() {
            // A client may have a hundred requests at once, and each may want a connection.
            poll_fn(poll_room).await;
        }
        let waits = (self.run.client.socket(), Some(&self.run.queued));
        // Boxed, as most exchanges find a connection that is kept, and need not carry this around.
        let reaching = connection.reach(self.pool, waits, excluded, lease, self.wish.key);
        let reached = self.while_wanted(Box::pin(reaching)).await;
        let Reached { stream, lease, tries } = reached.ok_or_else(has_left)?.map_err(failed)?;
        note(lease.endpoint());
        match Box::pin(self.introduce(stream, pool_site, &lease, name.as_ref())).await {
            Ok(stream) => Ok(connected(stream, lease, tries, false)),
            Err(tried) => {
                let endpoint = Some(lease.endpoint().clone());
                Err(Unconnected { tried, endpoint, tries, reused: false, dial: Duration::ZERO })
            }
        }
    }

    /// The server name of the TLS to the endpoint, where the request decides on it.
    pub(super) fn name_for(&self, pool_site: &PoolSite, head: &Head) -> Option<Arc<str>> {
        let tls = pool_site.tls.as_ref()?;
        tls.name(&String::from_utf8_lossy(head.host()).to_ascii_lowercase())
    }

    /// A connection that was found.
    pub(super) fn connected(
        &self,
        pool_site: &PoolSite,
        (stream, lease): (Stream, Lease),
        key: Key,
        tries: u32,
        reused: bool,
    ) -> Connected {
        let is_of_client = self.pool.plan().send_proxy.is_some();
        let (index, kept_at_most) = (self.index, pool_site.http.idle_connections);
        let upstream = Upstream { stream, lease, index, key, kept_at_most, is_of_client };
        Connected { upstream, tries, reused }
    }

    /// What `future` yields; `None` once the client has left. Of one with a connection of its own that is
    /// for whoever waits to see.
    pub(super) async fn while_wanted<T>(
        &self,
        mut future: Pin<Box<impl Future<Output = T>>>,
    ) -> Option<T> {
        let client = &*self.run.client;
        poll_fn(|context| {
            if client.socket().is_none() && client.presence(context) == Presence::Gone {
                return Poll::Ready(None);
            }
            future.as_mut().poll(context).map(Some)
        })
        .await
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
        let queue = self.run.queued.spent();
        let record = &mut self.run.record;
        record.times.queue = queue;
        record.tries += tries;
        record.reused = reused;
        record.endpoint = endpoint;
    }

    /// What an endpoint gets before the first request: the PROXY header, TLS.
    pub(super) async fn introduce(
        &self,
        mut stream: TcpStream,
        pool_site: &PoolSite,
        lease: &Lease,
        name: Option<&Arc<str>>,
    ) -> Result<Stream, Tried> {
        let patience = self.pool.plan().dial.timeout;
        let fell = |end, evidence| {
            Tried::Fell(Fell { end, status: 502, seen: Seen::Nothing, evidence: Some(evidence) })
        };
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
        let wants_h2 = pool_site.http.http2.is_some();
        match tls.connect(stream, Instant::now() + patience).await {
            Ok((_, agreed)) if wants_h2 && agreed.alpn.as_deref() != Some(b"h2") => {
                let why = "the endpoint has not chosen HTTP/2 (ALPN)";
                let end = End::abort(Who::Endpoint, Step::Dial, why);
                Err(fell(end, Evidence::Exchange(ExchangeFault::Tls)))
            }
            Ok((secured, _)) => Ok(Stream::Endpoint(Box::new(secured))),
            Err(failure) => {
                let end = End::abort(Who::Endpoint, Step::Dial, failure.words);
                Err(fell(end, Evidence::Exchange(ExchangeFault::Tls)))
            }
        }
    }
}

pub(super) fn key(pool: &PoolSite, lease: &Lease, name: Option<Arc<str>>) -> Key {
    Key { pool: pool.id, address: lease.endpoint().address(), name }
}

/// The client has left before an endpoint was reached.
pub(super) fn has_left() -> Unconnected {
    let tried = super::ask::left().into();
    Unconnected { tried, endpoint: None, tries: 0, reused: false, dial: Duration::ZERO }
}

/// No endpoint was reached: that is 502 where one was tried, 504 where it kept silent, and 503 where
/// there was none to try.
pub(super) fn failed(unreached: Unreached) -> Unconnected {
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
