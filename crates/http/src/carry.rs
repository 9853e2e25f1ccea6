//! Bytes both ways: TCP in TLS that ends here, and connections that were upgraded.

use crate::connection::{Over, Session};
use crate::counters::Held;
use crate::duplex::both;
use crate::forward::Upstream;
use crate::site::Site;
use crate::stream::Stream;
use eclusa_policy::condition::Facts;
use eclusa_proxy::layer7::{End, Reached, Step, Who};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};

/// A connection that was upgraded, and what each side said beyond its head.
pub(crate) struct Tunnel {
    pub(crate) upstream: Upstream,
    pub(crate) up: Vec<u8>,
    pub(crate) down: Vec<u8>,
    /// Where the request counts that has opened it.
    pub(crate) counted: Vec<Held>,
}

/// Carries an upgraded connection to its end.
pub(crate) async fn tunnel(session: &Session, client: Stream, tunnel: Box<Tunnel>) -> Over {
    let Tunnel { upstream, up, down, counted: _counted } = *tunnel;
    // Kept to the end: the endpoint carries this connection.
    let Upstream { stream, lease: _lease, .. } = upstream;
    let (end, bytes) = both(&session.connection, (client, up), (stream, down)).await;
    Over { end, bytes, told: false }
}

/// Carries what a client says in TLS to an endpoint of the pool that a route names.
pub(crate) async fn carry(
    site: &Arc<Site>,
    session: &Session,
    mut client: Stream,
    first: Vec<u8>,
) -> Over {
    let connection = &session.connection;
    let over = |end: End| Over { end, bytes: (0, 0), told: false };
    let snapshot = connection.snapshot();
    let facts = Facts {
        client_certificate: session.tls.get().and_then(|tls| tls.certificate.as_ref()),
        world: snapshot.world(),
        ..Facts::of_connection(
            connection.client().ip(),
            connection.destination(),
            connection.server_name(),
        )
    };
    let target = site.routes.choose(&facts, &mut ());
    let index = target.map(|target| target.pool(fastrand::u64(..)));
    let chosen = index.and_then(|index| Some((site.pools.get(index)?, snapshot.pool(index)?)));
    let Some((pool_site, pool)) = chosen else {
        return over(End::abort(Who::Proxy, Step::Route, "no route takes this connection"));
    };
    let reached = connection.reach(&pool, (client.socket(), None), Vec::new(), None, None).await;
    let Reached { mut stream, lease, .. } = match reached {
        Ok(reached) => reached,
        Err(unreached) => {
            client.reset_on_close();
            return over(unreached.end);
        }
    };
    let patience = pool.plan().dial.timeout;
    let header = connection.proxy_header(&pool);
    let written = timeout(patience, stream.write_all(&header)).await;
    if let Err(error) = written.unwrap_or_else(|late| Err(late.into())) {
        return over(End::abort(Who::Endpoint, Step::Dial, error.to_string()));
    }
    let endpoint = match &pool_site.tls {
        None => Stream::Plain(stream),
        Some(origin) => {
            let name = connection.server_name().and_then(|name| origin.name(name));
            let tls = origin.endpoint(lease.endpoint().address(), name.as_ref());
            match tls.connect(stream, Instant::now() + patience).await {
                Ok((secured, _)) => Stream::Endpoint(Box::new(secured)),
                Err(failure) => {
                    return over(End::abort(Who::Endpoint, Step::Dial, failure.words));
                }
            }
        }
    };
    let (end, bytes) = both(connection, (client, first), (endpoint, Vec::new())).await;
    Over { end, bytes, told: false }
}
