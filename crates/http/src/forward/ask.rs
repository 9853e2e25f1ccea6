//! Sends a request to an endpoint and reads the head of its response.

use super::{Failed, Fell, Forward, Seen, Tried, Upload, Upstream};
use crate::h1::{Fault, HeadError, Pump, Side, Way, poll_head, write_all};
use crate::h2::{self, Http2};
use crate::patience::{Mark, Taken, while_moving};
use crate::refusal;
use crate::spare::{self, Lent};
use crate::stream::{Presence, Stream};
use eclusa_policy::verdict::{Evidence, ExchangeFault};
use eclusa_proxy::layer7::{Connection, End, Endpoint, Part, Pool, Refusal, Step, Who};
use eclusa_wire::http1::{
    Asked, Body, Framing, Head, Parser, Reason, Version, write_request, write_response,
};
use http::uri::Scheme;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

/// Responses before the real one: an endpoint that goes on like that is not understood.
const INTERIM_MAX: u32 = 64;

impl Forward<'_, '_> {
    /// Sends the request and reads the head of the response. The body goes up meanwhile, and may still
    /// be on its way when the head is there.
    pub(super) async fn ask(
        &mut self,
        head: &mut Head,
        upstream: &mut Upstream,
    ) -> Result<(Lent, Upload), Tried> {
        h2::tell_left(head, self.run.deadline);
        let upgrade = self.upgrade_of(head);
        let pump = match &mut upstream.stream {
            Stream::Http2(stream) => self.begin_frames(head, upgrade.as_deref(), stream).await?,
            _ => self.begin(head, upgrade.as_deref()),
        };
        self.hear(head, upstream, Upload::Running(Box::new(pump)), spare::head()).await
    }

    /// Reads the head of the response, of which some may be there; what is left of the request goes up
    /// meanwhile.
    pub(super) async fn hear(
        &mut self,
        head: &mut Head,
        upstream: &mut Upstream,
        mut upload: Upload,
        mut response: Lent,
    ) -> Result<(Lent, Upload), Tried> {
        let upgrade = self.upgrade_of(head);
        let asked = Asked::by(head, upgrade.is_some());
        for number in 0..INTERIM_MAX {
            let read = self.read_head(head, upstream, &mut upload, &mut response, asked).await;
            read.map_err(|tried| if number == 0 { tried } else { tried.answered() })?;
            self.connection().heard(&upstream.lease);
            let status = response.status();
            if status == 101 && !is_asked_for(&response, upgrade.as_deref()) {
                let (bytes, reason) = (response.bytes(), Reason::UpgradeUnasked);
                let refusal = Refusal { reason, part: Part::Head, bytes, at: bytes.len() };
                self.connection().refused_answer(refusal, self.pool, upstream.lease.endpoint());
                let why = "a 101 to a protocol that was not asked for";
                return Err(Tried::Fell(misled(why.into(), false, ExchangeFault::Garbage)));
            }
            if status >= 200 || status == 101 {
                return Ok((response, upload));
            }
            self.pass_interim(head, &response).await?;
            response.recycle();
        }
        let why = "more interim responses than can be meant".into();
        Err(Tried::Fell(misled(why, false, ExchangeFault::Garbage)))
    }

    /// The request on its way.
    fn begin(&self, head: &Head, upgrade: Option<&[u8]>) -> Pump {
        let mut first = spare::buffer();
        write(head, upgrade, &mut first);
        let way = if head.body() == Body::Chunked { Way::Chunks } else { Way::Plain };
        self.upload(head, way, first).spliced(|| self.connection().splice())
    }

    /// The request on its way to an endpoint that speaks HTTP/2: its head is sent.
    async fn begin_frames(
        &self,
        head: &Head,
        upgrade: Option<&[u8]>,
        stream: &mut Http2,
    ) -> Result<Pump, Tried> {
        if upgrade.is_some() {
            self.may_upgrade(stream).await?;
        }
        let tls = self.run.site.pools.get(self.index).is_some_and(|pool| pool.tls.is_some());
        let scheme = if tls { Scheme::HTTPS } else { Scheme::HTTP };
        let goes_on = upgrade.is_some() || head.method() == b"CONNECT";
        let ends = !goes_on && matches!(head.body(), Body::None | Body::Length(0));
        let sent = stream.send_request(head, upgrade, (scheme, ends));
        sent.map_err(|error| fell(HeadError::Broken(error), true, true))?;
        // What comes behind a change of protocols goes on over the same stream.
        let way = if goes_on { Way::Plain } else { Way::Frames };
        Ok(self.upload(head, way, spare::buffer()))
    }

    fn upload(&self, head: &Head, way: Way, first: Vec<u8>) -> Pump {
        let http = self.run.http;
        let most = http.plan.body_max.map(|most| most.0);
        match self.run.client {
            Stream::Http2(_) => Pump::framed(head.body(), way, first, http.limits, most),
            _ => Pump::new(head.body(), way, first, (http.limits, http.lenient), most),
        }
    }

    /// Reads the next head of the endpoint; the body goes up meanwhile.
    async fn read_head(
        &mut self,
        head: &mut Head,
        upstream: &mut Upstream,
        upload: &mut Upload,
        response: &mut Head,
        asked: Asked,
    ) -> Result<(), Tried> {
        let http = self.run.http;
        let pool = self.run.site.pools.get(self.index);
        let lenient = pool.map(|pool| pool.lenient).unwrap_or_default();
        let patience = self.response_timeout();
        let limits = (&http.limits, lenient);
        let mut parser = Parser::response(asked, http.limits, lenient);
        let (connection, pool) = (self.connection(), self.pool);
        let endpoint = upstream.lease.endpoint();
        let (upload_patience, floor) = self.run.upload_patience(head);
        let (client, stream) = (&mut *self.run.client, &mut upstream.stream);
        let (mut moved, mut taken, mut sent) = (0, 0, 0);
        let mut taken_by_endpoint = Taken::default();
        let is_framed = matches!(stream, Stream::Http2(_));
        let read = while_moving(self.run.alarm, |context| {
            let mut mark = Mark { moved: u64::MAX, patience };
            let mut rate = None;
            if let Upload::Running(pump) = upload {
                let pumped = pump.poll(context, (client, head), stream);
                (moved, taken, sent) = (pump.moved(), pump.taken(), pump.sent());
                mark = Mark { moved: pump.progress(), patience: upload_patience };
                match pump.waits_for() {
                    Side::From => rate = floor,
                    Side::To => mark.moved += taken_by_endpoint.of(stream, sent),
                }
                match pumped {
                    Poll::Pending => {}
                    Poll::Ready(Ok(())) => *upload = Upload::Whole,
                    // The endpoint may have answered before it closed.
                    Poll::Ready(Err(Fault::Broken(Side::To, _))) => *upload = Upload::Refused,
                    Poll::Ready(Err(fault)) => {
                        refusal::of_request_body(connection, &fault);
                        return Ok(Err(of_client(fault).into()));
                    }
                }
            }
            if !matches!(upload, Upload::Running(_)) {
                rate = None;
                let presence = client.presence(context);
                let Some(patience) = patience_with(presence, connection, patience) else {
                    return Ok(Err(left().into()));
                };
                mark = Mark { moved: u64::MAX, patience };
            }
            let polled = match stream {
                Stream::Http2(stream) => stream.poll_head(context, response, asked, limits),
                _ => poll_head(context, stream, &mut parser, response),
            };
            match polled {
                Poll::Ready(read) => Ok(read.map_err(|error| {
                    let what = (&error, &**response.buffer(), parser.position());
                    tell_refused(connection, (pool, endpoint), what);
                    let unsent = if is_framed { is_unprocessed(&error) } else { sent == 0 };
                    let nothing = unsent && taken == 0 && response.buffer().is_empty();
                    fell(error, taken == 0, nothing)
                })),
                Poll::Pending => Err(mark.at_least(rate, taken)),
            }
        });
        let read = read.await;
        self.run.record.bytes.0 = moved.max(self.run.record.bytes.0);
        read.unwrap_or_else(|| Err(self.late(upload, patience, &upstream.stream)))
    }

    /// How long the head of a response may take.
    pub(super) fn response_timeout(&self) -> Duration {
        let pool = self.run.site.pools.get(self.index);
        pool.map_or(Duration::ZERO, |pool| pool.http.response_timeout)
    }

    /// Nothing has moved for too long.
    fn late(&self, upload: &Upload, patience: Duration, stream: &Stream) -> Tried {
        if let Upload::Running(pump) = upload
            && pump.waits_for() == Side::From
        {
            let why = self.run.http.too_slow("sent no byte of the body");
            return Failed::Answer(408, End::timeout(Who::Client, Step::Data, why)).into();
        }
        if let Stream::Http2(stream) = stream {
            stream.doubt();
        }
        let why = match upload {
            Upload::Running(_) => "the endpoint takes no more of the body".to_owned(),
            _ => format!("no response within {patience:?}"),
        };
        let end = End::timeout(Who::Endpoint, Step::Answer, why);
        let evidence = Some(Evidence::Exchange(ExchangeFault::Late));
        Tried::Fell(Fell { end, status: 504, seen: Seen::Much, evidence })
    }

    /// The protocols of `Upgrade` that are passed on; `None`: it is not.
    pub(super) fn upgrade_of(&self, head: &Head) -> Option<Vec<u8>> {
        let allowed = &self.run.http.plan.upgrades;
        let wanted = head.upgrade_protocols().filter(|protocol| {
            allowed.iter().any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(protocol))
        });
        let wanted: Vec<_> = wanted.collect();
        (!wanted.is_empty()).then(|| wanted.join(b", ".as_slice()))
    }

    /// Passes a 1xx on, to clients that know of them.
    async fn pass_interim(&mut self, head: &Head, response: &Head) -> Result<(), Tried> {
        if head.version() == Version::Http10 {
            return Ok(());
        }
        if let Stream::Http2(stream) = self.run.client {
            let sent = stream.send_interim(h2::of_response(response, Body::None));
            let end =
                |error: std::io::Error| End::abort(Who::Client, Step::Answer, error.to_string());
            return sent.map_err(|error| Failed::Client(end(error)).into());
        }
        let mut bytes = Vec::new();
        write_response(response, &Framing::of(response), &mut bytes);
        let patience = self.run.http.plan.body_timeout;
        match timeout(patience, write_all(self.run.client, &bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                let end = End::abort(Who::Client, Step::Answer, error.to_string());
                Err(Failed::Client(end).into())
            }
            Err(_) => {
                let end = End::timeout(Who::Client, Step::Answer, "takes no interim response");
                Err(Failed::Client(end).into())
            }
        }
    }
}

/// Writes the head of a request.
pub(super) fn write(head: &Head, upgrade: Option<&[u8]>, bytes: &mut Vec<u8>) {
    write_request(head, &Framing { upgrade, ..Framing::of(head) }, bytes);
}

/// Whether each protocol that a 101 changes to is among those that were asked for.
fn is_asked_for(response: &Head, upgrade: Option<&[u8]>) -> bool {
    let Some(upgrade) = upgrade else { return false };
    let mut asked = upgrade.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let mut answered = response.upgrade_protocols().peekable();
    answered.peek().is_some()
        && answered.all(|protocol| asked.clone().any(|asked| asked.eq_ignore_ascii_case(protocol)))
        && asked.next().is_some()
}

/// The request's body is not whole.
fn of_client(fault: Fault) -> Failed {
    let end = |why: String| End::abort(Who::Client, Step::Data, why);
    match fault {
        Fault::Broken(_, error) => Failed::Client(end(error.to_string())),
        Fault::Early => Failed::Client(end("closed before its body was complete".into())),
        Fault::Refused(trouble) => {
            let reason = trouble.reason;
            Failed::Answer(reason.status(), end(reason.text().into()))
        }
        Fault::TooLong => Failed::Answer(413, end("the body is longer than `body_max`".into())),
    }
}

pub(super) fn left() -> Failed {
    Failed::Client(End::abort(Who::Client, Step::Answer, "left before the response came"))
}

/// How long there is to wait with a client that is there, or listens at most; `None`: it has gone.
fn patience_with(
    presence: Presence,
    connection: &Connection,
    patience: Duration,
) -> Option<Duration> {
    match presence {
        Presence::Here => Some(patience),
        Presence::Ended => Some(patience.min(connection.half_closed_timeout())),
        Presence::Gone => None,
    }
}

/// Tells of a head that the codec has refused, of which these bytes came, the last read at this place.
fn tell_refused(
    connection: &Connection,
    (pool, endpoint): (&Pool, &Endpoint),
    (error, bytes, at): (&HeadError, &[u8], usize),
) {
    if let HeadError::Refused(reason) = error {
        let refusal = Refusal { reason: *reason, part: Part::Head, bytes, at };
        connection.refused_answer(refusal, pool, endpoint);
    }
}

/// Whether the endpoint has surely done nothing.
fn is_unprocessed(error: &HeadError) -> bool {
    matches!(error, HeadError::Broken(error) if h2::is_unprocessed(error))
}

/// The head of the response did not come, or is none. `only_head`: nothing of a body was sent; what came
/// is no answer, and the client got nothing of it; `nothing`: not even the head was sent.
pub(super) fn fell(error: HeadError, only_head: bool, nothing: bool) -> Tried {
    // Somebody is there who will not answer this: a client that asks for what is wrong must not put an
    // endpoint out by it.
    let is_word = matches!(&error, HeadError::Broken(error) if h2::is_reset_by_peer(error));
    let (why, fault) = match error {
        HeadError::Closed { began: false } => {
            ("closed without a response".into(), ExchangeFault::Empty)
        }
        HeadError::Closed { began: true } => {
            ("closed within the head of its response".into(), ExchangeFault::Empty)
        }
        HeadError::Broken(error) => {
            let is_late = error.kind() == std::io::ErrorKind::TimedOut;
            (error.to_string(), if is_late { ExchangeFault::Late } else { ExchangeFault::Empty })
        }
        HeadError::Refused(reason) => (reason.text().to_owned(), ExchangeFault::Garbage),
    };
    let mut fell = misled(why, only_head, fault);
    if nothing {
        fell.seen = Seen::Nothing;
    }
    if is_word {
        fell.evidence = None;
    }
    Tried::Fell(fell)
}

impl Tried {
    /// Something was answered, so that nobody else is asked.
    fn answered(mut self) -> Self {
        if let Self::Fell(fell) = &mut self {
            fell.seen = Seen::Much;
        }
        self
    }
}

pub(super) fn misled(why: String, only_head: bool, fault: ExchangeFault) -> Fell {
    let end = End::abort(Who::Endpoint, Step::Answer, why);
    let seen = if only_head { Seen::Head } else { Seen::Much };
    Fell { end, status: 502, seen, evidence: Some(Evidence::Exchange(fault)) }
}
