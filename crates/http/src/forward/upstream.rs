//! A connection to an endpoint: one that is kept, or a fresh one.

use super::{Failed, Fell, Forward, Seen, Tried};
use crate::connection::Session;
use crate::reuse::{Idle, Kept, Key};
use crate::site::PoolSite;
use crate::stream::Stream;
use eclusa_policy::verdict::{DialFault, Evidence};
use eclusa_proxy::layer7::{End, Lease, Reached, Step, Unreached, Who};
use eclusa_wire::http1::Head;
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
            return session.connection.shared::<Idle>().put(key, stream, kept_at_most);
        }
        if kept_at_most > 0 {
            *session.own.borrow_mut() = Some((key, Kept::new(stream)));
        }
    }
}

impl Forward<'_, '_> {
    /// A connection to an endpoint: one that has rested for less than `kept` where there is one, else
    /// a fresh one. `lease`: to this endpoint.
    pub(super) async fn upstream(
        &mut self,
        head: &Head,
        kept: Option<Duration>,
        mut lease: Option<Lease>,
    ) -> Result<Upstream, Tried> {
        let (connection, site) = (self.connection(), self.run.site);
        let Some(pool_site) = site.pools.get(self.index) else {
            let end = End::abort(Who::Proxy, Step::Route, "the pool is gone");
            return Err(Failed::Answer(503, end).into());
        };
        let name = pool_site
            .tls
            .as_ref()
            .and_then(|tls| tls.name(&String::from_utf8_lossy(head.host()).to_ascii_lowercase()));
        let is_of_client = self.pool.plan().send_proxy.is_some();
        let upstream = |stream, lease: Lease| {
            let key = key(pool_site, &lease, name.clone());
            let (index, kept_at_most) = (self.index, pool_site.http.idle_connections);
            Upstream { stream, lease, index, key, kept_at_most, is_of_client }
        };
        if let Some(age) = kept {
            lease = lease.or_else(|| connection.lease(self.pool, &self.excluded));
            if let Some(leased) = &lease {
                let key = key(pool_site, leased, name.clone());
                let found = if is_of_client {
                    let own = self.run.session.own.borrow_mut().take();
                    own.filter(|own| own.0 == key).and_then(|own| own.1.take(age))
                } else {
                    connection.shared::<Idle>().take(&key, age)
                };
                if let (Some(stream), Some(leased)) = (found, lease.take_if(|_| true)) {
                    self.run.record.tries += 1;
                    self.run.record.reused = true;
                    self.run.record.endpoint = Some(leased.endpoint().clone());
                    return Ok(upstream(stream, leased));
                }
            }
        }
        let client = self.run.client.socket();
        // Boxed, as most exchanges find a connection that is kept, and need not carry this around.
        let reaching = connection.reach(self.pool, client, self.excluded.clone(), lease);
        let reached = Box::pin(reaching).await;
        self.run.record.times.queue = connection.queued();
        let Reached { stream, lease, tries } = reached.map_err(|unreached| {
            self.run.record.tries += unreached.tries;
            failed(unreached, &mut self.run.record.endpoint)
        })?;
        self.run.record.tries += tries;
        self.run.record.endpoint = Some(lease.endpoint().clone());
        let introducing = self.introduce(stream, pool_site, &lease, name.as_ref());
        let stream = Box::pin(introducing).await?;
        Ok(upstream(stream, lease))
    }

    /// What an endpoint gets before the first request: the PROXY header, TLS.
    async fn introduce(
        &self,
        mut stream: TcpStream,
        pool_site: &PoolSite,
        lease: &Lease,
        name: Option<&std::sync::Arc<str>>,
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
                Err(fell(end, Evidence::DialFailed(DialFault::Reset)))
            }
        }
    }
}

fn key(pool: &PoolSite, lease: &Lease, name: Option<std::sync::Arc<str>>) -> Key {
    Key { pool: pool.id, address: lease.endpoint().address(), name }
}

/// No endpoint was reached: that is 502 where one was tried, 504 where it kept silent, and 503 where
/// there was none to try.
fn failed(
    unreached: Unreached,
    endpoint: &mut Option<std::sync::Arc<eclusa_proxy::layer7::Endpoint>>,
) -> Tried {
    *endpoint = unreached.endpoint;
    let end = unreached.end;
    if end.who() == Who::Client {
        return Failed::Client(end).into();
    }
    let status = match end.step() {
        Step::Dial if end.is_timeout() => 504,
        Step::Dial if unreached.tries > 0 => 502,
        _ => 503,
    };
    Failed::Answer(status, end).into()
}
