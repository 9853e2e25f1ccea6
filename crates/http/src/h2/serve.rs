//! A client's HTTP/2 connection: its streams are served as they come, each by a task of its own on the
//! same thread; one task drives the connection. It runs behind the streams that were ready before it, so
//! that what they have to say goes out together.

use super::exchange::{self, Scene};
use super::gathered::Gathered;
use super::guard::{Guard, Watch};
use super::lanes::Lanes;
use super::stream::Http2;
use crate::connection::{Over, Session, end_by, finish};
use crate::patience::part;
use crate::site::Http;
use crate::stream::Stream;
use bytes::Bytes;
use eclusa_config::plan;
use eclusa_proxy::layer7::{Connection, End, Step, Who, now};
use eclusa_wire::http2::Limits;
use h2::server::{Builder, Connection as Multiplexed, Handshake, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// How an HTTP/2 connection begins without TLS (RFC 9113, section 3.4). No request of HTTP/1 has that
/// method.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Requests that are taken up before others have their turn.
const TAKEN_PER_TURN: u32 = 32;
/// How long a client has to close a connection that we have said goodbye on, and the same to take the rest
/// of it.
const LINGER: Duration = Duration::from_secs(3);
/// What a client that still sends is given to read why its connection ends.
const PARTING: Duration = Duration::from_secs(1);
const PARTING_BYTES: u64 = 1 << 20;

/// Streams that were reset, by either side, and are remembered: what comes for them meanwhile is no mistake.
const RESET_REMEMBERED: usize = 64;
/// Requests that were reset before they were served.
/// More than the guard lets through in a turn: it judges them by more than their number.
const RESET_PENDING_MAX: usize = 64;
/// The longest frame, as RFC 9113 (section 4.2) has it, and the longest header block of short heads.
const FRAME_MAX: u32 = 16 << 10;
const BLOCK_MAX: u32 = 64 << 10;
/// Mistakes of a client that end one stream each, before they end the connection.
const MISTAKES_MAX: usize = 1_024;
/// Bytes of data that one stream has in h2.
const SEND_BUFFER: usize = 64 << 10;

/// Whether what a client has said first begins an HTTP/2 connection; `None`: more has to come to tell.
pub(crate) fn begins(first: &[u8]) -> Option<bool> {
    let length = first.len().min(4);
    match first.get(..length) == PREFACE.get(..length) {
        true if length < 4 => None,
        is_preface => Some(is_preface),
    }
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// The client was told to open no more streams.
    Leaving,
    /// It was told that this is the end.
    Closing,
}

/// Who drives a connection.
struct Driver<'a> {
    session: &'a Rc<Session>,
    http: &'a Http,
    line: Gathered,
    /// Tells what the client was cut for.
    watch: Watch,
    lanes: Rc<Lanes>,
    stage: Stage,
    /// Since when no stream is served.
    idle: Option<Instant>,
    /// Streams so far.
    number: u64,
}

/// Serves a connection to its end. `first` was read of it.
pub(crate) async fn serve(
    http: &Http,
    plan: plan::Http2,
    session: Rc<Session>,
    (stream, first): (Stream, Vec<u8>),
) {
    let line = Gathered::new(stream, first);
    let guard = Guard::new(line.share(), limits(http));
    let watch = guard.watch();
    let handshake = builder(http, plan).handshake::<_, Bytes>(guard);
    let lanes = Rc::new(Lanes::default());
    let mut driver = Driver {
        session: &session,
        http,
        line,
        watch,
        lanes,
        stage: Stage::Open,
        idle: None,
        number: 0,
    };
    let end = match driver.shake(Box::pin(handshake)).await {
        Ok(mut h2) => {
            let end = poll_fn(|context| driver.poll(context, &mut h2)).await;
            drop(h2);
            end
        }
        Err(end) => end,
    };
    let Driver { line, lanes, number, .. } = driver;
    // Streams that were under way notice by themselves that their connection is gone.
    over(&session.connection, &lanes).await;
    if let Some(mut stream) = line.into_stream() {
        leave(&mut stream, &end).await;
    }
    finish(session, Over { end, bytes: (0, 0), told: number > 0 });
}

/// What h2 is to keep to.
fn builder(http: &Http, plan: plan::Http2) -> Builder {
    let size = |size: plan::ByteSize| u32::try_from(size.0).unwrap_or(u32::MAX);
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(plan.streams_max)
        .initial_window_size(size(plan.stream_window))
        .initial_connection_window_size(size(plan.connection_window))
        .max_header_list_size(u32::try_from(http.limits.head()).unwrap_or(u32::MAX))
        .max_concurrent_reset_streams(RESET_REMEMBERED)
        .max_pending_accept_reset_streams(RESET_PENDING_MAX)
        .max_local_error_reset_streams(Some(MISTAKES_MAX))
        .max_send_buffer_size(SEND_BUFFER);
    if http.plan.upgrades.iter().any(|protocol| &**protocol == "websocket") {
        builder.enable_connect_protocol();
    }
    builder
}

/// What clients are cut for at once: frames that are longer than we allow, and blocks so long that their
/// heads cannot be worth an answer.
fn limits(http: &Http) -> Limits {
    let head = u32::try_from(http.limits.head()).unwrap_or(u32::MAX);
    Limits::new(FRAME_MAX, head.saturating_mul(2).max(BLOCK_MAX))
}

/// What is under h2.
type Io = Guard<Gathered>;
type H2 = Multiplexed<Io, Bytes>;

impl Driver<'_> {
    fn connection(&self) -> &Connection {
        &self.session.connection
    }

    /// Waits for the client's preface.
    async fn shake(&mut self, mut shaking: Pin<Box<Handshake<Io, Bytes>>>) -> Result<H2, End> {
        self.rest();
        poll_fn(|context| {
            if let Some(told) = self.connection().poll_told(context) {
                return Poll::Ready(Err(end_by(told)));
            }
            let shaken = shaking.as_mut().poll(context);
            if let Poll::Ready(Err(error)) = self.line.poll_out(context) {
                return Poll::Ready(Err(End::abort(Who::Client, Step::Head, error.to_string())));
            }
            match shaken {
                Poll::Ready(Ok(h2)) => Poll::Ready(Ok(h2)),
                Poll::Ready(Err(error)) => Poll::Ready(Err(self.end_of(error))),
                Poll::Pending if self.is_over() => Poll::Ready(Err(self.late())),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Moves on until the connection is at its end.
    fn poll(&mut self, context: &mut Context<'_>, h2: &mut H2) -> Poll<End> {
        if let Some(told) = self.connection().poll_told(context) {
            self.lanes.tell(told);
            return Poll::Ready(end_by(told));
        }
        self.lanes.drive_by(context.waker());
        self.stay(h2);
        let mut ended = self.accept(context, h2);
        if ended.is_pending() && self.look_at_rest(h2) {
            ended = self.accept(context, h2);
        }
        match self.line.poll_out(context) {
            Poll::Ready(Ok(())) => self.lanes.drained(),
            Poll::Ready(Err(error)) if ended.is_pending() => {
                let end = End::abort(Who::Client, Step::Data, error.to_string());
                return Poll::Ready(end);
            }
            Poll::Ready(Err(_)) | Poll::Pending => {}
        }
        if ended.is_pending() && self.stage == Stage::Closing && self.is_over() {
            return Poll::Ready(self.late());
        }
        ended
    }

    /// Takes up the requests that have come.
    fn accept(&mut self, context: &mut Context<'_>, h2: &mut H2) -> Poll<End> {
        for _ in 0..TAKEN_PER_TURN {
            match h2.poll_accept(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(self.closed()),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(self.end_of(error)),
                Poll::Ready(Some(Ok((request, respond)))) => self.begin(request, respond),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Begins an exchange.
    fn begin(&mut self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        // One stream goes by the permit of its connection.
        let is_first = self.lanes.len() == 0;
        let permit = if is_first { None } else { self.connection().permit_stream() };
        if permit.is_none() && !is_first {
            // Nothing was done: the client may ask again.
            return respond.send_reset(Reason::REFUSED_STREAM);
        }
        self.number += 1;
        let taken = self.lanes.take();
        let (head, body) = request.into_parts();
        let request = Box::new(Request::from_parts(head, ()));
        let client = Stream::Http2(Box::new(Http2::new(taken.lane(), respond, body)));
        let (session, number) = (Rc::clone(self.session), self.number);
        let scene = Scene { session, request, client, taken, permit, number };
        exchange::begin_task(scene);
    }

    /// Notes whether the connection rests.
    fn rest(&mut self) {
        if self.idle.is_none() {
            self.idle = Some(now());
            self.connection().wake_after(Some(self.patience()));
        }
    }

    fn patience(&self) -> Duration {
        match self.stage {
            Stage::Open if self.number == 0 => self.http.plan.head_timeout,
            Stage::Open => self.http.plan.keep_alive_timeout,
            Stage::Leaving | Stage::Closing => LINGER,
        }
    }

    fn is_over(&self) -> bool {
        self.idle.is_some_and(|since| now() - since >= self.patience())
    }

    /// Says goodbye where our side wants to leave: what is under way is finished.
    fn stay(&mut self, h2: &mut H2) {
        if self.stage == Stage::Open && self.connection().is_leaving() {
            h2.graceful_shutdown();
            self.go_on_to(Stage::Leaving);
        }
    }

    fn go_on_to(&mut self, stage: Stage) {
        self.stage = stage;
        self.idle = None;
    }

    /// Looks whether the connection has rested for too long; says whether h2 has something to say for it.
    fn look_at_rest(&mut self, h2: &mut H2) -> bool {
        if self.lanes.len() > 0 && self.stage != Stage::Closing {
            if self.idle.take().is_some() {
                self.connection().wake_after(None);
            }
            return false;
        }
        let is_over = self.is_over();
        match self.stage {
            Stage::Open if is_over && self.number > 0 => {
                h2.graceful_shutdown();
                self.go_on_to(Stage::Leaving);
            }
            Stage::Open | Stage::Leaving if is_over => {
                h2.abrupt_shutdown(Reason::NO_ERROR);
                self.go_on_to(Stage::Closing);
            }
            _ => {}
        }
        self.rest();
        is_over
    }

    /// The end of a connection that was closed in good order.
    fn closed(&self) -> End {
        if let Some(flood) = self.watch.flood() {
            return self.http.limiter.flooded(self.connection(), flood);
        }
        match (self.stage, self.number) {
            (Stage::Open, _) => End::clean(Who::Client),
            (_, 0) if !self.connection().is_leaving() => self.late(),
            _ => End::clean(Who::Proxy),
        }
    }

    /// The end of one that has rested for too long, or did not take our goodbye.
    fn late(&self) -> End {
        if self.number > 0 || self.connection().is_leaving() {
            return End::clean(Who::Proxy);
        }
        let why = format!("no request within {:?}", self.http.plan.head_timeout);
        End::timeout(Who::Client, Step::Head, why)
    }

    /// The end of one that h2 has given up.
    fn end_of(&self, error: h2::Error) -> End {
        if let Some(flood) = self.watch.flood() {
            return self.http.limiter.flooded(self.connection(), flood);
        }
        if error.is_io() && self.lanes.len() == 0 {
            // Between messages nothing can be cut short: TLS need not be ended in form.
            let is_end =
                error.get_io().is_some_and(|it| it.kind() == std::io::ErrorKind::UnexpectedEof);
            if is_end {
                return End::clean(Who::Client);
            }
        }
        let step = if self.number == 0 { Step::Head } else { Step::Data };
        End::abort(Who::Client, step, error.to_string())
    }
}

/// Waits until no stream is served any more.
async fn over(connection: &Connection, lanes: &Lanes) {
    poll_fn(|context| {
        lanes.drive_by(context.waker());
        if let Some(told) = connection.poll_told(context) {
            lanes.tell(told);
        }
        if lanes.len() == 0 { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Leaves a connection that h2 is through with.
async fn leave(stream: &mut Stream, end: &End) {
    match end.who() {
        Who::Operator => stream.reset_on_close(),
        // Why it ends is written: to close while there is something to read, or before that comes which is on
        // its way, resets the connection, and that may overtake it.
        _ if !end.is_clean() || !stream.is_quiet() => part(stream, PARTING, PARTING_BYTES).await,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preface_is_told_from_requests_by_its_first_bytes() {
        for length in 1..4 {
            assert_eq!(begins(&PREFACE[..length]), None);
        }
        assert_eq!(begins(&PREFACE[..4]), Some(true));
        assert_eq!(begins(PREFACE), Some(true));
        for request in ["G", "POST / HTTP/1.1", "PUT", "PRX", "PRIO * HTTP/1.1", "\r\n"] {
            assert_eq!(begins(request.as_bytes()), Some(false), "{request}");
        }
    }
}
