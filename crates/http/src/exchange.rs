//! The story of one exchange: head → screen → rules → route → forward → response → one record.

use crate::answer::Answer;
use crate::carry::Tunnel;
use crate::connection::{Session, end_by, until_told};
use crate::counters::Around;
use crate::edits::{edit, filled};
use crate::forward::{Failed, Forward};
use crate::forwarded;
use crate::h1::{HeadError, poll_head, write_all};
use crate::patience::{Alarm, part};
use crate::request::Seen;
use crate::rest::{TOOK_NOTHING, takes_the_rest};
use crate::site::{Http, Site};
use crate::spare;
use crate::stream::Stream;
use eclusa_policy::condition::{Asked, Facts};
use eclusa_policy::rules::{Context, Decision, Edit, End as RuleEnd, Id, Scheme, Spoken};
use eclusa_proxy::layer7::{
    Connection, End, Exchange, ExchangeTimes, Part, Pool, QueueTime, Refusal, Step, Who, hostname,
    now,
};
use eclusa_wire::http1::{Body, Head, Leniency, Parser, Version};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::error::Elapsed;
use tokio::time::{timeout, timeout_at};

/// What a client that still sends is given to read an answer before the connection is closed: to close
/// while there is something to read resets it, and that may overtake the answer.
pub(crate) const PARTING: Duration = Duration::from_secs(2);
/// Bytes of it that are thrown away meanwhile.
const PARTING_BYTES: u64 = 8 << 20;

/// What comes after an exchange.
pub(crate) enum Next {
    /// The connection is kept.
    Again,
    /// It ends.
    Close(End),
    /// It speaks another protocol from here on.
    Upgraded(Box<Tunnel>),
}

/// How an exchange ended.
pub(crate) struct Done {
    pub(crate) end: End,
    pub(crate) then: Then,
}

/// What becomes of its connection.
pub(crate) enum Then {
    /// It is kept.
    Again,
    /// It is closed.
    Close,
    /// It is closed once the client had the time to read what it was sent.
    Part,
    /// It is reset: the client must not take what it has for the whole.
    Reset,
    /// It speaks another protocol from here on.
    Upgraded(Box<Tunnel>),
}

/// One exchange under way.
pub(crate) struct Run<'a> {
    pub(crate) session: &'a Session,
    pub(crate) site: &'a Site,
    pub(crate) http: &'a Http,
    pub(crate) client: &'a mut Stream,
    pub(crate) record: Box<Exchange>,
    /// What ends a wait that takes too long.
    pub(crate) alarm: &'a Alarm,
    /// How long it has waited for endpoints at their limit.
    pub(crate) queued: QueueTime,
    /// When its client, which calls in gRPC, waits no longer.
    pub(crate) deadline: Option<Instant>,
}

/// Runs the next exchange of a connection, of which the first bytes lie in `rest`; there is what comes
/// after it, too, in the end.
#[allow(clippy::large_futures, reason = "an exchange is boxed as a whole")]
pub(crate) async fn run(
    session: &Session,
    client: &mut Stream,
    rest: &mut Vec<u8>,
    number: u64,
) -> Next {
    let began = now();
    let mut head = spare::head();
    let head = &mut *head;
    std::mem::swap(head.buffer(), rest);
    spare::give_back(std::mem::take(rest));
    let connection = &session.connection;
    let snapshot = connection.snapshot();
    let site = snapshot.service().and_then(|service| service.as_any().downcast_ref::<Site>());
    let Some((site, http)) = site.and_then(|site| Some((site, site.http.as_ref()?))) else {
        // A reload has made something else of the listener.
        return Next::Close(End::clean(Who::Proxy));
    };
    let read = {
        let reading = pin!(read(http, (connection, client), head, began + http.plan.head_timeout));
        until_told(connection, reading).await
    };
    let (record, alarm) = (begin(session, head, number), &session.alarm);
    let (queued, deadline) = (QueueTime::default(), None);
    let mut run = Run { session, site, http, client, record, alarm, queued, deadline };
    run.record.times.head = now() - began;
    let done = match read {
        Ok(Ok(())) => {
            let serving = pin!(run.serve(head, |index| snapshot.pool(index)));
            until_told(connection, serving).await
        }
        Ok(Err(Unread::Broken(end))) => Ok(Done { end, then: Then::Close }),
        Ok(Err(Unread::Refused(answer, end))) => {
            Ok(run.answer(head, &answer, &[], Some(end)).await)
        }
        Err(told) => Err(told),
    };
    let done = done.unwrap_or_else(|told| Done { end: end_by(told), then: Then::Reset });
    run.record.end = done.end.clone();
    run.record.times.total = now() - began;
    connection.exchanged(&run.record);
    spare::give_back_record(run.record);
    if matches!(done.then, Then::Again) && !head.rest().is_empty() {
        rest.extend_from_slice(head.rest());
    }
    leave(connection, http, client, done).await
}

/// Does with the connection what is to be done after an exchange.
async fn leave(connection: &Connection, http: &Http, client: &mut Stream, done: Done) -> Next {
    match done.then {
        Then::Again => return Next::Again,
        Then::Upgraded(tunnel) => return Next::Upgraded(tunnel),
        Then::Close => client.say_goodbye(),
        Then::Reset => client.reset_on_close(),
        Then::Part => {
            Box::pin(part(client, PARTING, PARTING_BYTES)).await;
            let taken = until_told(connection, Box::pin(takes_the_rest(client, http))).await;
            match taken {
                Ok(true) => {}
                Ok(false) => {
                    let why = http.too_slow(TOOK_NOTHING);
                    return Next::Close(End::timeout(Who::Client, Step::Data, why));
                }
                Err(told) => {
                    client.reset_on_close();
                    return Next::Close(end_by(told));
                }
            }
        }
    }
    Next::Close(done.end)
}

/// Why there is no request.
enum Unread {
    /// The connection ended or broke within it.
    Broken(End),
    /// It is answered, and the connection closed.
    Refused(Answer, End),
}

async fn read(
    http: &Http,
    (connection, client): (&Connection, &mut Stream),
    head: &mut Head,
    deadline: Instant,
) -> Result<(), Unread> {
    let mut parser = Parser::request(http.limits, http.lenient);
    let reading = poll_fn(|context| poll_head(context, client, &mut parser, head));
    let broken = |why: String| Unread::Broken(End::abort(Who::Client, Step::Head, why));
    match timeout_at(deadline.into(), reading).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(HeadError::Closed { .. })) => {
            Err(broken("closed before its request was complete".into()))
        }
        Ok(Err(HeadError::Broken(error))) => Err(broken(error.to_string())),
        Ok(Err(HeadError::Refused(reason))) => {
            let (part, at) = (Part::Head, parser.position());
            connection.refused_request(Refusal { reason, part, bytes: head.buffer(), at });
            let end = End::abort(Who::Client, Step::Head, reason.text());
            Err(Unread::Refused(Answer::refused(reason), end))
        }
        Err(_) => {
            let why = format!("head not complete within {:?}", http.plan.head_timeout);
            Err(Unread::Refused(Answer::page(408), End::timeout(Who::Client, Step::Head, why)))
        }
    }
}

/// The record of an exchange, as far as the head tells.
pub(crate) fn begin(session: &Session, head: &Head, number: u64) -> Box<Exchange> {
    let connection = &session.connection;
    let mut spare = spare::record();
    // The texts of an exchange that is over lend their memory.
    let mut lent = |text: fn(&mut Exchange) -> &mut String| {
        spare.as_mut().map(|spare| std::mem::take(text(spare))).unwrap_or_default()
    };
    let exchange = Exchange {
        id: connection.exchange_id(number),
        listener: Arc::clone(connection.listener()),
        client: connection.client(),
        peer: connection.peer(),
        local: connection.local(),
        server_name: session.tls.get().and_then(|tls| tls.server_name.clone()),
        tls: session.tls.get().map(|tls| (tls.handshake.version_name(), tls.cipher.clone())),
        version: match head.version() {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
            Version::Http2 => "HTTP/2.0",
        },
        method: text(lent(|spare| &mut spare.method), head.method()),
        host: text(lent(|spare| &mut spare.host), head.authority()),
        target: text(lent(|spare| &mut spare.target), head.target()),
        headers: Vec::new(),
        status: 0,
        pool: None,
        endpoint: None,
        tries: 0,
        reused: false,
        times: ExchangeTimes::default(),
        bytes: (0, 0),
        end: End::clean(Who::Client),
    };
    let Some(mut spare) = spare else { return Box::new(exchange) };
    *spare = exchange;
    spare
}

/// A part of a head, in a text that is no longer needed.
fn text(mut text: String, bytes: &[u8]) -> String {
    text.clear();
    match std::str::from_utf8(bytes) {
        Ok(bytes) => text.push_str(bytes),
        Err(_) => text.push_str(&String::from_utf8_lossy(bytes)),
    }
    text
}

/// Bytes of a header field that the log has at most.
const LOGGED_MAX: usize = 256;

/// The first header field of each of these names, as far as it goes into the log; empty: there is none.
fn logged(head: &Head, names: &[Arc<str>]) -> Vec<(Arc<str>, String)> {
    let field = |name: &Arc<str>| {
        let value = head.first(name.as_bytes()).unwrap_or_default();
        let value = String::from_utf8_lossy(value.get(..LOGGED_MAX).unwrap_or(value));
        (Arc::clone(name), value.into_owned())
    };
    names.iter().map(field).collect()
}

impl Run<'_> {
    /// Serves a request whose head was read.
    #[allow(clippy::large_futures, reason = "an exchange is boxed as a whole")]
    pub(crate) async fn serve(
        &mut self,
        head: &mut Head,
        pool: impl Fn(usize) -> Option<Arc<Pool>>,
    ) -> Done {
        self.record.headers = logged(head, &self.http.plan.log_headers);
        let limited = self.http.limiter.request(&self.session.connection);
        if let Some((answer, end)) = limited.or_else(|| self.screen(head)) {
            return self.answer(head, &answer, &[], Some(end)).await;
        }
        let (http, site, connection) = (self.http, self.site, &self.session.connection);
        let around = Around::new(&pool, &site.kept.counters, connection);
        let id = self.record.id;
        let (decision, target) = {
            let seen = Seen::new(head);
            let asked = Asked::new(&seen);
            let tls = self.session.tls.get();
            let facts = Facts {
                source: connection.client().ip(),
                destination: connection.destination(),
                server_name: connection.server_name(),
                client_certificate: tls.and_then(|tls| tls.certificate.as_ref()),
                request: Some(&asked),
                world: &around,
            };
            let context = Context {
                facts,
                client_port: connection.client().port(),
                scheme: if tls.is_some() { Scheme::Https } else { Scheme::Http },
                id: Id(&id),
                spoken: self.spoken(),
            };
            let decision = match self.decide(&http.plan.rules, &context).await {
                Ok(decision) => decision,
                Err(Failed::Client(end)) => return Done { end, then: Then::Close },
                Err(Failed::Answer(status, end)) => {
                    return self.answer(head, &Answer::page(status), &[], Some(end)).await;
                }
            };
            let target = decision.end.is_none().then(|| site.routes.choose(&facts, &mut ()));
            (decision, target.flatten())
        };
        if decision.end == Some(RuleEnd::Close) {
            let end = End::abort(Who::Proxy, Step::Route, "closed by a rule");
            let is_stream = matches!(self.client, Stream::Http2(_));
            return Done { end, then: if is_stream { Then::Reset } else { Then::Close } };
        }
        if let Some(end) = &decision.end {
            let answer = Answer::of_rule(end, http).unwrap_or_else(|| Answer::page(500));
            return self.answer(head, &answer, &decision.response, None).await;
        }
        let chosen = target.map(|target| target.pool(fastrand::u64(..)));
        let Some((index, pool)) = chosen.and_then(|index| Some((index, pool(index)?))) else {
            let end = End::abort(Who::Proxy, Step::Route, "no route takes this request");
            return self.answer(head, &Answer::page(404), &decision.response, Some(end)).await;
        };
        let mut done = self.forward(head, (&pool, index), &decision).await;
        if let Then::Upgraded(tunnel) = &mut done.then {
            tunnel.counted = around.into_held();
        }
        done
    }

    /// In which versions the client speaks, and with whom.
    fn spoken(&self) -> Spoken<'static> {
        let version = self.record.version;
        Spoken {
            http: version.strip_prefix("HTTP/").unwrap_or(version),
            tls: self.session.tls.get().map_or("", |tls| tls.handshake.version_name()),
            hostname: hostname(),
        }
    }

    /// What is refused whatever rules and routes say.
    fn screen(&self, head: &Head) -> Option<(Answer, End)> {
        let refuse = |status, why: &'static str| {
            Some((Answer::page(status), End::abort(Who::Client, Step::Head, why)))
        };
        if head.method() == b"CONNECT" && !self.http.plan.connect {
            return refuse(405, "CONNECT is not allowed");
        }
        if head.host().is_empty() && !self.http.lenient.allows(Leniency::HostEmpty) {
            return refuse(400, "a request without a host");
        }
        if let (Some(shaken), Some(tls)) = (self.session.tls.get(), &self.site.tls) {
            let host = String::from_utf8_lossy(head.host()).to_ascii_lowercase();
            if tls.strict && !shaken.handshake.fits(&host) {
                return refuse(421, "the connection's certificate is for another host");
            }
        }
        let declared = if let Body::Length(length) = head.body() { length } else { 0 };
        if self.http.plan.body_max.is_some_and(|most| declared > most.0) {
            return refuse(413, "the body is longer than `body_max`");
        }
        None
    }

    #[allow(clippy::large_futures, reason = "an exchange is boxed as a whole")]
    async fn forward(
        &mut self,
        head: &mut Head,
        (pool, index): (&Arc<Pool>, usize),
        decision: &Decision<'_>,
    ) -> Done {
        self.record.pool = Some(Arc::clone(pool));
        edit(head, decision);
        forwarded::tell(head, self.session, self.http);
        let answered = Forward::new(self, pool, index).run(head).await;
        match answered {
            Ok(answered) => self.respond(head, pool, answered, &decision.response).await,
            Err(Failed::Client(end)) => Done { end, then: Then::Close },
            Err(Failed::Answer(status, end)) => {
                self.answer(head, &Answer::page(status), &decision.response, Some(end)).await
            }
        }
    }

    /// Answers without an endpoint. `end`: why, where that is somebody's fault.
    pub(crate) async fn answer(
        &mut self,
        head: &Head,
        answer: &Answer,
        edits: &[Edit<'_>],
        end: Option<End>,
    ) -> Done {
        let edits = &*filled(edits, &self.record, false);
        if matches!(self.client, Stream::Http2(_)) {
            return Box::pin(self.answer_in_frames(head, answer, edits, end)).await;
        }
        let has_body = !matches!(head.body(), Body::None | Body::Length(0));
        // What comes after CONNECT may be of another protocol.
        let keeps = head.is_kept_alive()
            && !has_body
            && head.method() != b"CONNECT"
            && !self.session.connection.is_leaving()
            && !matches!(answer.status, 400 | 408);
        let bytes = answer.to_bytes(head, &self.site.pages, edits, !keeps);
        self.record.status = answer.status;
        let written = timeout(self.http.plan.body_timeout, write_all(self.client, &bytes)).await;
        self.record.bytes.1 = bytes.len() as u64;
        Done::of_answer(written, end, if keeps { Then::Again } else { Then::Part })
    }
}

impl Done {
    /// After an answer of our own that was `written`, or not in time. `end`: why it was given, where that
    /// is somebody's fault.
    pub(crate) fn of_answer(
        written: Result<io::Result<()>, Elapsed>,
        end: Option<End>,
        then: Then,
    ) -> Self {
        match written {
            Ok(Ok(())) => Self { end: end.unwrap_or_else(|| End::clean(Who::Proxy)), then },
            Ok(Err(error)) => {
                let end = End::abort(Who::Client, Step::Data, error.to_string());
                Self { end, then: Then::Close }
            }
            Err(_) => {
                let end = End::timeout(Who::Client, Step::Data, "did not take the answer");
                Self { end, then: Then::Reset }
            }
        }
    }
}
