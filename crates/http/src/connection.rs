//! The story of one client connection: TLS, then exchange after exchange, or bytes.

use crate::carry;
use crate::exchange::{self, Next};
use crate::patience::Alarm;
use crate::reuse::{Kept, Key};
use crate::site::Site;
use crate::stream::Stream;
use crate::tls::accept::{Handshake, accept};
use crate::tls::failure::{self, Why};
use eclusa_policy::condition::ClientCertificate;
use eclusa_proxy::layer7::{Arrival, Connection, End, Step, Told, Who};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// A connection while it is served.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    pub(crate) tls: Option<Box<Shaken>>,
    /// A connection at rest to an endpoint that was told of this client, and serves no other.
    pub(crate) own: RefCell<Option<(Key, Kept)>>,
    /// What ends a wait that takes too long.
    pub(crate) alarm: Alarm,
}

/// What the handshake has agreed on.
pub(crate) struct Shaken {
    pub(crate) handshake: Handshake,
    pub(crate) server_name: Option<Arc<str>>,
    pub(crate) certificate: Option<ClientCertificate>,
    pub(crate) cipher: Arc<str>,
}

/// How a connection ended.
pub(crate) struct Over {
    pub(crate) end: End,
    /// Bytes up and down that no exchange has told of.
    pub(crate) bytes: (u64, u64),
    /// Records of exchanges have told all.
    pub(crate) told: bool,
}

/// Serves a connection to its end. The future is what a connection at rest costs: what it does not
/// need then is boxed.
pub(crate) fn serve(site: Arc<Site>, arrival: Arrival) -> Pin<Box<dyn Future<Output = ()>>> {
    let Arrival { client, first, connection } = arrival;
    let (own, alarm) = (RefCell::default(), Alarm::default());
    let mut session = Box::new(Session { connection, tls: None, own, alarm });
    Box::pin(async move {
        let opened = Box::pin(open(&site, &mut session, client, first)).await;
        let over = match opened {
            Err(end) => Over { end, bytes: (0, 0), told: false },
            Ok((client, first)) => serve_stream(&site, &session, client, first).await,
        };
        let Session { connection, .. } = *session;
        connection.finish(over.end, over.bytes, over.told);
    })
}

/// The end of what the operator ends.
pub(crate) fn end_by(told: Told) -> End {
    let why = match told {
        Told::Close => "closed by the operator",
        Told::Stop => "the service stops",
    };
    End::abort(Who::Operator, Step::Data, why)
}

/// What `future` yields, unless the operator ends the connection first.
pub(crate) async fn until_told<T>(
    connection: &Connection,
    future: impl Future<Output = T>,
) -> Result<T, Told> {
    let mut future = pin!(future);
    poll_fn(|context| {
        if let Some(told) = connection.poll_told(context) {
            return Poll::Ready(Err(told));
        }
        future.as_mut().poll(context).map(Ok)
    })
    .await
}

/// The client's stream, behind its handshake where there is one, and what it has said first.
async fn open(
    site: &Site,
    session: &mut Session,
    client: TcpStream,
    first: Vec<u8>,
) -> Result<(Stream, Vec<u8>), End> {
    let Some(tls) = &site.tls else { return Ok((Stream::Plain(client), first)) };
    let deadline = Instant::from_std(session.connection.accepted()) + tls.handshake_timeout;
    let shaking = accept(&tls.terminator, client, &first, deadline);
    let shaken = until_told(&session.connection, shaking).await;
    let (stream, handshake) = match shaken {
        Ok(Ok(done)) => done,
        Ok(Err(failure)) => return Err(end_of(failure)),
        Err(told) => return Err(end_by(told)),
    };
    let certificate = handshake.identity.as_ref().map(|identity| ClientCertificate {
        common_name: identity.common_name.clone(),
        dns_names: identity.dns_names.clone(),
        fingerprint: identity.fingerprint,
    });
    let server_name = handshake.server_name.as_deref().map(Arc::from);
    let cipher = handshake.cipher_name().into();
    session.tls = Some(Box::new(Shaken { server_name, certificate, cipher, handshake }));
    Ok((Stream::Client(Box::new(stream)), Vec::new()))
}

/// The end of a handshake that failed, in the words of the log.
fn end_of(failure: failure::Failure) -> End {
    let who = match failure.who {
        failure::Who::Client => Who::Client,
        failure::Who::Endpoint => Who::Endpoint,
        failure::Who::Proxy => Who::Proxy,
    };
    match failure.why {
        Why::Deadline => End::timeout(who, Step::Tls, failure.words),
        _ => End::abort(who, Step::Tls, failure.words),
    }
}

async fn serve_stream(
    site: &Arc<Site>,
    session: &Session,
    mut client: Stream,
    mut rest: Vec<u8>,
) -> Over {
    let Some(http) = &site.http else {
        return carried(session, Box::pin(carry::carry(site, session, client, rest))).await;
    };
    let mut number = 0;
    loop {
        number += 1;
        let waiting = exchange::wait(session, http, &mut client, &mut rest, number);
        let waited = until_told(&session.connection, waiting).await;
        if let Err(end) = waited.unwrap_or_else(|told| Err(end_by(told))) {
            client.say_goodbye();
            return Over { end, bytes: (0, 0), told: number > 1 };
        }
        // Boxed: a connection at rest must not carry the state of an exchange around.
        match Box::pin(exchange::run(session, &mut client, &mut rest, number)).await {
            Next::Again => {}
            Next::Close(end) => return Over { end, bytes: (0, 0), told: true },
            Next::Upgraded(tunnel) => {
                return carried(session, Box::pin(carry::tunnel(session, client, tunnel))).await;
            }
        }
    }
}

/// Bytes both ways, until both sides have ended or the operator ends them.
async fn carried(session: &Session, carrying: Pin<Box<impl Future<Output = Over>>>) -> Over {
    let over = until_told(&session.connection, carrying).await;
    over.unwrap_or_else(|told| Over { end: end_by(told), bytes: (0, 0), told: false })
}
