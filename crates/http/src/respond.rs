//! Passes a response on, or changes over to another protocol.

use crate::answer::Answer;
use crate::carry::Tunnel;
use crate::edits::{apply, filled};
use crate::exchange::{Done, Run, Then};
use crate::forward::{Answered, Upload, Upstream};
use crate::h1::{Fault, Packer, Pump, Side, Way, write_all};
use crate::h2;
use crate::patience::{Mark, Taken, while_moving};
use crate::place::may_be_kept;
use crate::refusal;
use crate::rest::TOOK_NOTHING;
use crate::shared::Conduct;
use crate::spare;
use crate::stream::{Presence, Stream};
use eclusa_policy::rules::Edit;
use eclusa_proxy::layer7::{End, Pool, Step, Who, others_first};
use eclusa_wire::http1::{Body, Framing, Head, Persist, Version, write_response};
use eclusa_wire::http2::grpc::is_media;
use std::future::poll_fn;
use std::io;
use std::num::NonZeroU64;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

impl Run<'_> {
    /// Passes a response on.
    pub(crate) async fn respond(
        &mut self,
        head: &mut Head,
        pool: &Pool,
        answered: Answered,
        edits: &[Edit<'_>],
    ) -> Done {
        let Answered { mut response, mut upstream, mut upload } = answered;
        self.record.status = response.status();
        let connects = head.method() == b"CONNECT" && matches!(response.status(), 200..300);
        if let Some(why) = self.misunderstands(head, &response) {
            let end = End::abort(Who::Endpoint, Step::Answer, why);
            return self.answer(head, &Answer::page(502), edits, Some(end)).await;
        }
        if response.status() == 101 || connects {
            return Box::pin(self.change_over(head, &response, upstream)).await;
        }
        for edit in &*filled(edits, &self.record, true) {
            apply(&mut response, edit);
        }
        let packer = self.packer(head, &mut response);
        self.keep_at(head, &mut response, &upstream);
        let uploaded = matches!(upload, Upload::Whole);
        let begun = self.begin_down((head, &response), &upstream, uploaded, packer);
        let (mut down, keeps) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                let end = End::abort(Who::Client, Step::Data, error.to_string());
                return Done { end, then: Then::Close };
            }
        };
        let moved =
            self.move_down(head, &mut response, &mut upstream, &mut down, &mut upload).await;
        self.record.bytes.1 = down.sent();
        let fault = match moved {
            Some(Ok(())) => {
                self.served(pool, &response, upstream, uploaded);
                let then = match keeps {
                    true => Then::Again,
                    false if is_last_word(head) && self.client.is_quiet() => Then::Close,
                    false => Then::Part,
                };
                return Done { end: End::clean(Who::Endpoint), then };
            }
            Some(Err(Fault::Broken(Side::To, error))) => {
                upstream.abandon();
                let end = End::abort(Who::Client, Step::Data, error.to_string());
                return Done { end, then: Then::Close };
            }
            Some(Err(fault)) => {
                let endpoint = upstream.lease.endpoint();
                refusal::of_answer_body(&self.session.connection, &fault, pool, endpoint);
                End::abort(Who::Endpoint, Step::Data, in_words(&fault))
            }
            None if down.waits_for() == Side::To => {
                upstream.abandon();
                let why = self.http.too_slow(TOOK_NOTHING);
                let end = End::timeout(Who::Client, Step::Data, why);
                return Done { end, then: Then::Reset };
            }
            None => End::timeout(Who::Endpoint, Step::Data, "no byte of the response came"),
        };
        // Cut midway: the client must be able to tell, and the endpoint is to blame.
        self.conduct(pool, upstream.index).cut(upstream.lease.endpoint());
        upstream.abandon();
        let then = if self.is_told(head, &fault) { Then::Close } else { Then::Reset };
        Done { end: fault, then }
    }

    /// A response has come to its end, in good order.
    fn served(&self, pool: &Pool, response: &Head, upstream: Upstream, uploaded: bool) {
        if response.status() != 503 {
            self.conduct(pool, upstream.index).served(upstream.lease.endpoint());
        }
        if !uploaded {
            upstream.abandon();
        } else if response.rest().is_empty() && response.is_kept_alive() {
            upstream.give_back(self.session);
        }
    }

    /// Whether a client of gRPC could be told in trailers that its answer is broken off.
    fn is_told(&mut self, head: &Head, fault: &End) -> bool {
        let status = if fault.is_timeout() { 504 } else { 502 };
        let words = "the endpoint has broken off its answer";
        match self.client {
            Stream::Http2(stream) if h2::is_grpc(head) => stream.break_off(status, words).is_ok(),
            _ => false,
        }
    }

    /// Why the answer to an extended CONNECT is none: the client would take a 2xx for a WebSocket.
    fn misunderstands(&self, head: &Head, response: &Head) -> Option<&'static str> {
        if !matches!(self.client, Stream::Http2(_)) || !head.is_upgrade() {
            return None;
        }
        match response.status() {
            101 if h2::is_accepted(head, response) => None,
            101 => Some("`Sec-WebSocket-Accept` does not answer our key"),
            200..300 => Some("did not change over to the protocol that was asked for"),
            _ => None,
        }
    }

    /// How the endpoints of the pool at `index` behave.
    pub(crate) fn conduct<'p>(&'p self, pool: &'p Pool, index: usize) -> Conduct<'p> {
        let percent = self.site.pools.get(index).map_or(0, |pool| pool.http.retry_budget);
        Conduct { connection: &self.session.connection, pool, percent }
    }

    /// Gives the client the cookie that brings it back to this endpoint, where the pool has one.
    fn keep_at(&self, head: &Head, response: &mut Head, upstream: &Upstream) {
        let sticky = self.site.pools.get(upstream.index).and_then(|pool| pool.sticky.as_ref());
        let address = upstream.lease.endpoint().address();
        let cookie =
            sticky.and_then(|it| it.to_set(head, address, self.session.tls.get().is_some()));
        if let Some(cookie) = cookie {
            // A cookie that cannot be a field's value is left out; names were checked.
            if response.add(b"Set-Cookie", cookie.as_bytes()).is_ok() && may_be_kept(head, response)
            {
                // A cache that gave it to all would send all of them to one endpoint.
                let _ = response.add(b"Cache-Control", b"private");
            }
        }
    }

    /// The response on its way down, and whether the client's connection is kept after it.
    fn begin_down(
        &mut self,
        (head, response): (&Head, &Head),
        upstream: &Upstream,
        uploaded: bool,
        packer: Option<Box<Packer>>,
    ) -> io::Result<(Pump, bool)> {
        Ok(match self.client {
            Stream::Http2(_) => (self.begin_frames(response, upstream, packer)?, false),
            _ => self.begin_bytes((head, response), upstream, uploaded, packer),
        })
    }

    /// For the body of a response that comes from there.
    fn pump_of(&self, response: &Head, upstream: &Upstream, way: Way, first: Vec<u8>) -> Pump {
        let (body, limits) = (response.body(), self.http.limits);
        if matches!(upstream.stream, Stream::Http2(_)) {
            return Pump::framed(body, way, first, limits, None);
        }
        let pool = self.site.pools.get(upstream.index);
        let lenient = pool.map(|pool| pool.lenient).unwrap_or_default();
        Pump::new(body, way, first, (limits, lenient), None)
    }

    /// The same on a connection of HTTP/1.
    fn begin_bytes(
        &self,
        (head, response): (&Head, &Head),
        upstream: &Upstream,
        uploaded: bool,
        packer: Option<Box<Packer>>,
    ) -> (Pump, bool) {
        let old = head.version() == Version::Http10;
        let (body, way) = match response.body() {
            _ if packer.is_some() => (Body::Chunked, Way::Chunks),
            Body::Chunked | Body::UntilClose if old => (Body::UntilClose, Way::Plain),
            Body::Chunked | Body::UntilClose => (Body::Chunked, Way::Chunks),
            body => (body, Way::Plain),
        };
        let keeps = head.is_kept_alive()
            && uploaded
            && body != Body::UntilClose
            && !self.session.connection.is_leaving();
        let persist = match (keeps, old) {
            (false, _) => Persist::Close,
            (true, true) => Persist::KeepAlive,
            (true, false) => Persist::Implied,
        };
        let mut first = spare::buffer();
        let framing = Framing { body, persist, upgrade: None, te_trailers: false };
        write_response(response, &framing, &mut first);
        let down = self.pump_of(response, upstream, way, first);
        let down = match packer {
            None => down.spliced(|| self.session.connection.splice()),
            packer => down.packed(packer),
        };
        (if keeps || !is_last_word(head) { down } else { down.last() }, keeps)
    }

    /// The same on a stream of HTTP/2: its head is sent.
    fn begin_frames(
        &mut self,
        response: &Head,
        upstream: &Upstream,
        packer: Option<Box<Packer>>,
    ) -> io::Result<Pump> {
        let body = response.body();
        // What is compressed has another length.
        let told = if packer.is_some() { Body::Chunked } else { body };
        let Stream::Http2(stream) = self.client else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let ends = matches!(body, Body::None | Body::Length(0));
        stream.send_head(h2::of_response(response, told), ends)?;
        Ok(self.pump_of(response, upstream, Way::Frames, spare::buffer()).packed(packer))
    }

    /// Moves the response down; what is left of the request goes up meanwhile.
    async fn move_down(
        &mut self,
        head: &mut Head,
        response: &mut Head,
        upstream: &mut Upstream,
        down: &mut Pump,
        upload: &mut Upload,
    ) -> Option<Result<(), Fault>> {
        let connection = &self.session.connection;
        let patience = self.patience_with(response);
        let (client, endpoint) = (&mut *self.client, &mut upstream.stream);
        let sent = &mut self.record.bytes.1;
        let (mut seen, mut taken, floor) = (0, Taken::default(), self.http.floor);
        poll_fn(|context| {
            down.join(context, (endpoint, response), client);
            Poll::Ready(())
        })
        .await;
        // Streams are written by the task of their connection, which comes behind all that are ready: here
        // it would come between the head and the body.
        if client.socket().is_some() {
            others_first().await;
        }
        while_moving(self.alarm, |context| {
            let mut mark = Mark { moved: 0, patience };
            if let Upload::Running(up) = upload {
                let pumped = up.poll(context, (client, head), endpoint);
                mark.moved = up.progress();
                // Whatever became of it: the response is on its way.
                if let Poll::Ready(done) = pumped {
                    if let Err(fault) = done {
                        refusal::of_request_body(connection, &fault);
                    }
                    *upload = Upload::Refused;
                }
            }
            if let Poll::Ready(moved) = down.poll(context, (endpoint, response), client) {
                return Ok(moved);
            }
            if !matches!(upload, Upload::Running(_)) {
                match client.presence(context) {
                    Presence::Here => {}
                    Presence::Ended => {
                        mark.patience = patience.min(connection.half_closed_timeout());
                    }
                    Presence::Gone => {
                        let error = std::io::ErrorKind::ConnectionReset.into();
                        return Ok(Err(Fault::Broken(Side::To, error)));
                    }
                }
            }
            mark.moved = mark.moved.saturating_add(down.progress());
            if mark.moved != seen {
                seen = mark.moved;
                *sent = down.sent();
                connection.carried((0, *sent));
            }
            if down.waits_for() == Side::From {
                return Err(mark.into());
            }
            let taken = taken.of(client, down.sent());
            mark.moved = mark.moved.saturating_add(taken);
            Err(mark.at_least(floor, taken))
        })
        .await
    }

    /// How long the body of this response may rest: a stream of events, or of gRPC's messages, as long as a
    /// connection that was upgraded.
    fn patience_with(&self, response: &Head) -> Duration {
        let media = response.first(b"content-type").unwrap_or_default();
        let media = media.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        if !media.eq_ignore_ascii_case(b"text/event-stream") && !is_media(media) {
            return self.http.plan.body_timeout;
        }
        self.idle_timeout()
    }

    /// How long the body of this request may rest, and the least that must come of it a second.
    pub(crate) fn upload_patience(&self, head: &Head) -> (Duration, Option<NonZeroU64>) {
        if matches!(self.client, Stream::Http2(_)) && h2::is_grpc(head) {
            return (self.idle_timeout(), None);
        }
        (self.http.plan.body_timeout, self.http.floor)
    }

    /// How long a connection may rest that was upgraded, and a stream of messages.
    pub(crate) fn idle_timeout(&self) -> Duration {
        self.session.connection.idle_timeout().unwrap_or(Duration::from_secs(u32::MAX.into()))
    }

    /// Both sides speak another protocol from here on.
    async fn change_over(&mut self, head: &Head, response: &Head, upstream: Upstream) -> Done {
        if let Stream::Http2(stream) = self.client {
            // The extended CONNECT is answered so (RFC 8441, section 5); a CONNECT as well.
            self.record.status = 200;
            if let Err(error) = stream.open_tunnel(response) {
                let end = End::abort(Who::Client, Step::Data, error.to_string());
                return Done { end, then: Then::Close };
            }
            return into_tunnel(head, response, upstream);
        }
        let protocol = response.first(b"upgrade").map(<[u8]>::to_vec);
        let mut bytes = Vec::new();
        let upgrade = protocol.as_deref().filter(|_| response.status() == 101);
        write_response(response, &Framing { upgrade, ..Framing::default() }, &mut bytes);
        let written = timeout(self.http.plan.body_timeout, write_all(self.client, &bytes)).await;
        if !matches!(written, Ok(Ok(()))) {
            let end = End::abort(Who::Client, Step::Data, "did not take the answer");
            return Done { end, then: Then::Close };
        }
        self.record.bytes.1 = bytes.len() as u64;
        into_tunnel(head, response, upstream)
    }
}

fn into_tunnel(head: &Head, response: &Head, upstream: Upstream) -> Done {
    let (up, down) = (head.rest().to_vec(), response.rest().to_vec());
    let tunnel = Box::new(Tunnel { upstream, up, down, counted: Vec::new() });
    Done { end: End::clean(Who::Endpoint), then: Then::Upgraded(tunnel) }
}

/// Whether the client sends nothing more: it has asked for the end of the connection, with a request
/// that has no body (some clients of old send a line behind one).
fn is_last_word(head: &Head) -> bool {
    let has_body = !matches!(head.body(), Body::None | Body::Length(0));
    !head.is_kept_alive() && !has_body && head.rest().is_empty()
}

fn in_words(fault: &Fault) -> String {
    match fault {
        Fault::Broken(_, error) => error.to_string(),
        Fault::Early => "closed before its body was complete".into(),
        Fault::Refused(trouble) => trouble.reason.text().into(),
        Fault::TooLong => "the body is longer than may be".into(),
    }
}
