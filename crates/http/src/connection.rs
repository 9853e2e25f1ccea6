//! The story of one client connection: TLS, then exchange after exchange, or bytes.

use crate::carry;
use crate::exchange::{self, Next};
use crate::limit::Place;
use crate::patience::Alarm;
use crate::rest::{Rest, Rested};
use crate::reuse::{Kept, Key};
use crate::site::{Http, Site};
use crate::stream::Stream;
use crate::tls::accept::{Handshake, accept};
use crate::tls::failure::{self, Why};
use eclusa_policy::condition::ClientCertificate;
use eclusa_proxy::layer7::{Arrival, Connection, End, Handshake as Counted, Step, Told, Who};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use tokio::time::Instant;

/// A connection while it is served.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    pub(crate) tls: Option<Box<Shaken>>,
    /// A connection at rest to an endpoint that was told of this client, and serves no other.
    pub(crate) own: RefCell<Option<Box<(Key, Kept)>>>,
    /// What ends a wait that takes too long.
    pub(crate) alarm: Alarm,
    /// Counts for its client network.
    _place: Option<Place>,
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
    let Arrival { client, mut first, connection } = arrival;
    let entered = site.http.as_ref().map_or(Ok(None), |http| http.limiter.enter(&connection));
    let place = match entered {
        Ok(place) => place,
        Err(end) => {
            drop(client);
            connection.finish(end, (0, 0), false);
            return Box::pin(std::future::ready(()));
        }
    };
    let (tls, own, alarm) = (None, RefCell::default(), Alarm::default());
    let mut session = Box::new(Session { connection, tls, own, alarm, _place: place });
    let mut client = Some(Stream::Plain(client));
    Box::pin(async move {
        let opened = Box::pin(open(&site, &mut session, &mut client, &mut first)).await;
        let over = match opened {
            Err(end) => Over { end, bytes: (0, 0), told: false },
            // By reference: what is handed over by value is there twice.
            Ok(()) => serve_stream(&site, &session, &mut client, &mut first).await,
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

/// What `future` yields, unless the operator ends the connection first. It is pinned by whoever has it: an
/// async function would carry it around twice.
pub(crate) fn until_told<'a, T>(
    connection: &'a Connection,
    mut future: impl Future<Output = T> + Unpin + 'a,
) -> impl Future<Output = Result<T, Told>> + 'a {
    poll_fn(move |context| {
        if let Some(told) = connection.poll_told(context) {
            return Poll::Ready(Err(told));
        }
        Pin::new(&mut future).poll(context).map(Ok)
    })
}

/// Puts the client's stream behind its handshake where there is one; it has said `first`.
async fn open(
    site: &Site,
    session: &mut Session,
    client: &mut Option<Stream>,
    first: &mut Vec<u8>,
) -> Result<(), End> {
    let Some(tls) = &site.tls else { return Ok(()) };
    let Some(Stream::Plain(plain)) = client.take() else { return Ok(()) };
    let first = std::mem::take(first);
    let deadline = Instant::from_std(session.connection.accepted()) + tls.handshake_timeout;
    let shaking = pin!(accept(&tls.terminator, plain, &first, deadline));
    let shaken = until_told(&session.connection, shaking).await;
    let (stream, handshake) = match shaken {
        Ok(Ok(done)) => done,
        Ok(Err(failure)) => {
            session.connection.shaken(outcome_of(failure.why));
            return Err(end_of(failure));
        }
        Err(told) => return Err(end_by(told)),
    };
    session.connection.shaken(match handshake.resumed {
        true => Counted::Resumed,
        false => Counted::Full,
    });
    let certificate = handshake.identity.as_ref().map(|identity| ClientCertificate {
        common_name: identity.common_name.clone(),
        dns_names: identity.dns_names.clone(),
        fingerprint: identity.fingerprint,
    });
    let server_name = handshake.server_name.as_deref().map(Arc::from);
    let cipher = handshake.cipher_name().into();
    session.tls = Some(Box::new(Shaken { server_name, certificate, cipher, handshake }));
    *client = Some(Stream::Client(Box::new(stream)));
    Ok(())
}

/// How a handshake that failed is counted.
fn outcome_of(why: Why) -> Counted {
    match why {
        Why::Deadline => Counted::Deadline,
        Why::Closed => Counted::Closed,
        Why::NotTls => Counted::NotTls,
        Why::Malformed => Counted::Malformed,
        Why::Incompatible => Counted::Incompatible,
        Why::UnknownName => Counted::UnknownName,
        Why::Certificate => Counted::Certificate,
        Why::Alert => Counted::Alert,
        Why::Other => Counted::Other,
    }
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
    client: &mut Option<Stream>,
    rest: &mut Vec<u8>,
) -> Over {
    let Some(http) = &site.http else {
        let first = std::mem::take(rest);
        return match client.take() {
            Some(client) => {
                carried(session, Box::pin(carry::carry(site, session, client, first))).await
            }
            None => gone(),
        };
    };
    let mut number = 0;
    while let Some(stream) = client {
        number += 1;
        if let Err(end) = before(session, http, (stream, rest), number).await {
            stream.say_goodbye();
            return Over { end, bytes: (0, 0), told: number > 1 };
        }
        // Boxed: a connection at rest must not carry the state of an exchange around.
        match Box::pin(exchange::run(session, stream, rest, number)).await {
            Next::Again => {}
            Next::Close(end) => return Over { end, bytes: (0, 0), told: true },
            Next::Upgraded(tunnel) => {
                let Some(client) = client.take() else { break };
                return carried(session, Box::pin(carry::tunnel(session, client, tunnel))).await;
            }
        }
    }
    gone()
}

/// The rest before an exchange.
async fn before(
    session: &Session,
    http: &Http,
    (stream, inbox): (&mut Stream, &mut Vec<u8>),
    number: u64,
) -> Result<(), End> {
    let connection = &session.connection;
    let mut rest = Rest::new(connection, http, number);
    let rested = poll_fn(|context| match connection.poll_told(context) {
        Some(told) => Poll::Ready(Err(end_by(told))),
        None => rest.poll(context, connection, stream, inbox),
    });
    match rested.await? {
        Rested::Came => Ok(()),
        Rested::Late => {
            let late = Box::pin(rest.late(connection, (stream, http), number));
            Err(until_told(connection, late).await.unwrap_or_else(end_by))
        }
    }
}

/// The end of a connection that is not there: none is ever served like this.
fn gone() -> Over {
    Over { end: End::clean(Who::Client), bytes: (0, 0), told: true }
}

/// Bytes both ways, until both sides have ended or the operator ends them.
async fn carried(session: &Session, carrying: Pin<Box<impl Future<Output = Over>>>) -> Over {
    let over = until_told(&session.connection, carrying).await;
    over.unwrap_or_else(|told| Over { end: end_by(told), bytes: (0, 0), told: false })
}
