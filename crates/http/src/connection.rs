//! The story of one client connection: TLS, then exchange after exchange, or bytes.

use crate::carry;
use crate::exchange::{self, Next};
use crate::h1::poll_more;
use crate::h2;
use crate::limit::Place;
use crate::patience::Alarm;
use crate::rest::{Rest, Rested};
use crate::reuse::{Kept, Key};
use crate::shared::Shared;
use crate::site::{Http, Site};
use crate::stream::Stream;
use crate::tls::accept::{Handshake, accept};
use crate::tls::failure::{self, Why};
use eclusa_policy::condition::ClientCertificate;
use eclusa_proxy::layer7::{Arrival, Connection, End, Handshake as Counted, Step, Told, Who};
use eclusa_proxy::stage::{self, Stage, Stages};
use std::cell::{OnceCell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

/// Requests that a client has sent ahead and that are answered before others have their turn.
const IN_A_ROW: u32 = 16;

/// A connection while it is served.
pub(crate) struct Session {
    pub(crate) connection: Connection,
    pub(crate) tls: OnceCell<Box<Shaken>>,
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

/// An exchange of HTTP/1 that is to run.
struct Scene {
    session: Rc<Session>,
    client: Stream,
    /// What the client has said already of the request.
    rest: Vec<u8>,
    number: u64,
}

/// What comes after it; the client, and what that has said of the next one.
type Played = (Next, Stream, Vec<u8>);

thread_local! {
    static STAGES: Stages<Scene, Played> = const { RefCell::new(Vec::new()) };
}

#[allow(clippy::large_futures, reason = "a stage is boxed as such, and kept")]
fn build_stage() -> Stage<Scene, Played> {
    Stage::build(async |scene: Scene| {
        let Scene { session, mut client, mut rest, number } = scene;
        let next = exchange::run(&session, &mut client, &mut rest, number).await;
        (next, client, rest)
    })
}

/// How a connection ended.
pub(crate) struct Over {
    pub(crate) end: End,
    /// Bytes up and down that no exchange has told of.
    pub(crate) bytes: (u64, u64),
    /// Records of exchanges have told all.
    pub(crate) told: bool,
}

/// What came of serving a connection as HTTP/1, or as bytes.
enum Served {
    Over(Over),
    /// It begins as HTTP/2 does.
    Http2,
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
    let (tls, own, alarm) = (OnceCell::new(), RefCell::default(), Alarm::default());
    let session = Rc::new(Session { connection, tls, own, alarm, _place: place });
    let mut client = Some(Stream::Plain(client));
    Box::pin(async move {
        let opened = Box::pin(open(&site, &session, &mut client, &mut first)).await;
        let over = match opened {
            Err(end) => Over { end, bytes: (0, 0), told: false },
            Ok(()) if is_http2(&session) => {
                return serve_http2(&site, session, client, first).await;
            }
            // By reference: what is handed over by value is there twice.
            Ok(()) => match serve_stream(&site, &session, &mut client, &mut first).await {
                Served::Over(over) => over,
                Served::Http2 => return serve_http2(&site, session, client, first).await,
            },
        };
        finish(session, over);
    })
}

/// The connection is at its end, and nobody else has it.
pub(crate) fn finish(session: Rc<Session>, over: Over) {
    if let Some(Session { connection, .. }) = Rc::into_inner(session) {
        connection.finish(over.end, over.bytes, over.told);
    }
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
    session: &Session,
    client: &mut Option<Stream>,
    first: &mut Vec<u8>,
) -> Result<(), End> {
    let Some(tls) = &site.tls else { return Ok(()) };
    let Some(Stream::Plain(plain)) = client.take() else { return Ok(()) };
    let first = std::mem::take(first);
    let deadline = Instant::from_std(session.connection.accepted()) + tls.handshake_timeout;
    let shared = session.connection.shared::<Shared>();
    let turn = shared.gate.turn(session.connection.client().ip().into(), tls.handshakes_max);
    let shaking = pin!(accept(&tls.terminator, plain, &first, turn, deadline));
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
    // It is shaken once.
    let _ = session.tls.set(Box::new(Shaken { server_name, certificate, cipher, handshake }));
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
        Why::Busy => Counted::Busy,
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

/// Whether the client has chosen HTTP/2.
fn is_http2(session: &Session) -> bool {
    session.tls.get().is_some_and(|tls| tls.handshake.alpn.as_deref() == Some(b"h2"))
}

/// Serves it from here on. Boxed: others must not carry its state around.
fn serve_http2(
    site: &Arc<Site>,
    session: Rc<Session>,
    client: Option<Stream>,
    first: Vec<u8>,
) -> Pin<Box<dyn Future<Output = ()>>> {
    let site = Arc::clone(site);
    Box::pin(async move {
        let http = site.http.as_ref().and_then(|http| Some((http, http.plan.http2?)));
        match (http, client) {
            (Some((http, plan)), Some(client)) => {
                h2::serve(http, plan, session, (client, first)).await;
            }
            // Never: it is offered only where it is spoken.
            _ => finish(session, Over { end: End::clean(Who::Proxy), bytes: (0, 0), told: false }),
        }
    })
}

async fn serve_stream(
    site: &Arc<Site>,
    session: &Rc<Session>,
    client: &mut Option<Stream>,
    rest: &mut Vec<u8>,
) -> Served {
    let Some(http) = &site.http else {
        let first = std::mem::take(rest);
        return Served::Over(match client.take() {
            Some(client) => {
                carried(session, Box::pin(carry::carry(site, session, client, first))).await
            }
            None => gone(),
        });
    };
    let (mut number, mut in_a_row) = (0, 0);
    while let Some(stream) = client {
        number += 1;
        if let Err(end) = before(session, http, (stream, rest), number).await {
            stream.say_goodbye();
            return Served::Over(Over { end, bytes: (0, 0), told: number > 1 });
        }
        if number == 1 && may_be_http2(http, stream, rest) {
            match Box::pin(is_preface(session, http, (stream, rest))).await {
                Ok(true) => return Served::Http2,
                Ok(false) => {}
                Err(end) => return Served::Over(Over { end, bytes: (0, 0), told: false }),
            }
        }
        let Some(stream) = client.take() else { break };
        let said = std::mem::take(rest);
        let scene = Scene { session: Rc::clone(session), client: stream, rest: said, number };
        let (next, stream, said) = stage::run(&STAGES, build_stage, scene).await;
        (*client, *rest) = (Some(stream), said);
        match next {
            Next::Again if rest.is_empty() => in_a_row = 0,
            Next::Again => {
                in_a_row += 1;
                if in_a_row == IN_A_ROW {
                    in_a_row = 0;
                    yield_now().await;
                }
            }
            Next::Close(end) => return Served::Over(Over { end, bytes: (0, 0), told: true }),
            Next::Upgraded(tunnel) => {
                let Some(client) = client.take() else { break };
                let carrying = Box::pin(carry::tunnel(session, client, tunnel));
                return Served::Over(carried(session, carrying).await);
            }
        }
    }
    Served::Over(gone())
}

/// Whether a client without TLS may have begun with the preface of HTTP/2.
fn may_be_http2(http: &Http, stream: &Stream, first: &[u8]) -> bool {
    http.plan.http2.is_some()
        && matches!(stream, Stream::Plain(_))
        && h2::begins(first) != Some(false)
}

/// Whether it has; as many bytes are waited for as it takes to tell.
async fn is_preface(
    session: &Session,
    http: &Http,
    (stream, inbox): (&mut Stream, &mut Vec<u8>),
) -> Result<bool, End> {
    let reading = poll_fn(|context| {
        loop {
            if let Some(is_preface) = h2::begins(inbox) {
                return Poll::Ready(Ok(is_preface));
            }
            match ready!(poll_more(context, stream, inbox)) {
                // What is there may be the beginning of a request of HTTP/1: that is answered.
                Ok(0) => return Poll::Ready(Ok(false)),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    });
    let reading = timeout(http.plan.head_timeout, reading);
    match until_told(&session.connection, pin!(reading)).await {
        Ok(Ok(Ok(is_preface))) => Ok(is_preface),
        Ok(Ok(Err(error))) => Err(End::abort(Who::Client, Step::Head, error.to_string())),
        Ok(Err(_)) => Ok(false),
        Err(told) => Err(end_by(told)),
    }
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
