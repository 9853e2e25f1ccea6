//! A stream to an endpoint that speaks HTTP/2: on a connection that stands, or on a fresh one.

use super::upstream::{Connected, Unconnected, has_left, key};
use super::{Failed, Forward, Tried};
use crate::h1::HeadError;
use crate::h2::{Found, Http2, Links, Opening};
use crate::reuse::Key;
use crate::site::PoolSite;
use crate::stream::Stream;
use eclusa_config::plan::Multiplex;
use eclusa_proxy::layer7::{End, Endpoint, Lease, Reached, Step, Who, now};
use eclusa_wire::http1::Head;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

impl Forward<'_, '_> {
    /// As [`Self::connect`]; `kept`: whether a connection that stands will do.
    pub(super) async fn connect_http2(
        &self,
        (pool_site, plan): (&PoolSite, Multiplex),
        head: &Head,
        kept: bool,
        (lease, excluded): (Option<Lease>, Vec<SocketAddr>),
        note: &impl Fn(&Arc<Endpoint>),
    ) -> Result<Connected, Unconnected> {
        let lease = lease.or_else(|| self.connection().lease(self.pool, &excluded, self.wish));
        match self.standing((pool_site, plan), head, kept, lease) {
            Ok(connected) => {
                note(connected.upstream.lease.endpoint());
                Ok(connected)
            }
            // Boxed, as most find a connection that stands, and need not carry this around.
            Err(lease) => {
                let way = (lease, excluded);
                Box::pin(self.wait_or_open((pool_site, plan), head, kept, way, note)).await
            }
        }
    }

    /// A stream on a connection that stands, where one may be used (`kept`) and has room; else the lease.
    fn standing(
        &self,
        (pool_site, plan): (&PoolSite, Multiplex),
        head: &Head,
        kept: bool,
        mut lease: Option<Lease>,
    ) -> Result<Connected, Option<Lease>> {
        let Some(leased) = lease.take_if(|it| kept && !it.endpoint().is_drilled()) else {
            return Err(lease);
        };
        let key = key(pool_site, &leased, self.name_for(pool_site, head));
        match Links::of(self.connection()).standing(&key, plan) {
            Some(stream) => {
                Ok(self.connected(pool_site, (Stream::Http2(stream), leased), key, 1, true))
            }
            None => Err(Some(leased)),
        }
    }

    /// As [`Self::connect_http2`], where no connection that stands has room at once.
    async fn wait_or_open(
        &self,
        (pool_site, plan): (&PoolSite, Multiplex),
        head: &Head,
        kept: bool,
        (mut lease, excluded): (Option<Lease>, Vec<SocketAddr>),
        note: &impl Fn(&Arc<Endpoint>),
    ) -> Result<Connected, Unconnected> {
        let (connection, name) = (self.connection(), self.name_for(pool_site, head));
        let links = Links::of(connection);
        let mut opening = Opening::another();
        if let Some(leased) = lease.take_if(|it| kept && !it.endpoint().is_drilled()) {
            note(leased.endpoint());
            let key = key(pool_site, &leased, name.clone());
            match self.link(&links, &key, plan).await? {
                Ok(stream) => {
                    let stream = Stream::Http2(stream);
                    return Ok(self.connected(pool_site, (stream, leased), key, 1, true));
                }
                Err(right) => (opening, lease) = (right, Some(leased)),
            }
        }
        let waits = (self.run.client.socket(), Some(&self.run.queued));
        let reaching = connection.reach(self.pool, waits, excluded, lease, self.wish.key);
        let reached = self.while_wanted(Box::pin(reaching)).await;
        let Reached { stream, lease, tries } =
            reached.ok_or_else(has_left)?.map_err(super::upstream::failed)?;
        note(lease.endpoint());
        connection.keep_alive(&stream);
        let introduced = self.introduce(stream, pool_site, &lease, name.as_ref()).await;
        let key = key(pool_site, &lease, name);
        let opened = match introduced {
            Ok(stream) => links
                .open(key.clone(), (plan, self.run.http.limits), stream)
                .await
                .map_err(|error| super::ask::fell(HeadError::Broken(error), true, true)),
            Err(tried) => Err(tried),
        };
        // Whoever waits for it looks now.
        drop(opening);
        match opened {
            Ok(stream) => {
                let stream = Stream::Http2(stream);
                Ok(self.connected(pool_site, (stream, lease), key, tries, false))
            }
            Err(tried) => {
                let endpoint = Some(lease.endpoint().clone());
                Err(Unconnected { tried, endpoint, tries, reused: false, dial: Duration::ZERO })
            }
        }
    }

    /// A stream on a connection that stands, or the right to open one. Waits for one that somebody else is
    /// opening, and for room where all are full, as long as a dial may take. That there is no room is our
    /// own doing, and nothing that the endpoint is accused of.
    async fn link(
        &self,
        links: &Rc<Links>,
        key: &Key,
        plan: Multiplex,
    ) -> Result<Result<Box<Http2>, Opening>, Unconnected> {
        let deadline = Instant::from_std(now() + self.pool.plan().dial.timeout);
        let (mut is_late, mut waits) = (false, true);
        loop {
            let waiting = match links.find(key, plan, waits) {
                Found::Stream(stream) => return Ok(Ok(stream)),
                Found::Open(right) => return Ok(Err(right)),
                Found::Full(_) if is_late => return Err(self.full(plan)),
                Found::Full(waiting) => waiting,
                Found::Wait(waiting) => {
                    // Another time it opens one of its own.
                    waits = false;
                    waiting
                }
            };
            let waited = self.while_wanted(Box::pin(timeout_at(deadline, waiting.over()))).await;
            // In time or not: the next look tells.
            is_late = waited.ok_or_else(has_left)?.is_err();
        }
    }

    /// There was no room for the request for too long.
    fn full(&self, plan: Multiplex) -> Unconnected {
        let Multiplex { connections, streams, .. } = plan;
        let why = format!(
            "each of `connections` ({connections}) to the endpoint has `streams` ({streams}) requests"
        );
        let end = End::timeout(Who::Proxy, Step::Queue, why);
        let tried = Failed::Answer(503, end).into();
        Unconnected { tried, endpoint: None, tries: 0, reused: false, dial: Duration::ZERO }
    }

    /// Waits until the endpoint has said whether it takes an extended CONNECT, on a connection that is fresh.
    pub(super) async fn may_upgrade(&self, stream: &mut Http2) -> Result<(), Tried> {
        let patience = self.pool.plan().dial.timeout;
        let knows = std::future::poll_fn(|context| stream.poll_may_upgrade(context));
        if timeout(patience, knows).await == Ok(true) {
            return Ok(());
        }
        let why = "the endpoint takes no extended CONNECT (RFC 8441)";
        Err(Failed::Answer(502, End::abort(Who::Endpoint, Step::Answer, why)).into())
    }
}
