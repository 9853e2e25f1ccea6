//! One stream of a connection, as one side of an exchange: heads and trailers as such, data with
//! back-pressure both ways.

use super::fields;
use super::grpc;
use super::lanes::{Lane, Taken};
use crate::h1::HeadError;
use crate::stream::Presence;
use bytes::{Buf, Bytes};
use eclusa_wire::http1::{Asked, Head, Lenient, Limits, Reason as Refused, Trailers};
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// So much goes into h2 at once: a frame.
const PIECE: usize = 16 << 10;

/// So much is read for one that has not taken any yet, and for one that could take none. So much of a request's
/// body also goes into h2 with its head, whatever the windows allow: h2 tells of no room before it has sent
/// the head, and a small message would need a second turn and a second write.
const LEAST: usize = 4 << 10;
const TASTE: usize = 256;

/// One stream.
pub(crate) struct Http2 {
    lane: Lane,
    send: RefCell<Sending>,
    /// An endpoint's response, as long as it has not come.
    answer: Option<ResponseFuture>,
    /// What it was asked to change over to.
    upgrade: Option<Box<Upgrade>>,
    receive: Option<RecvStream>,
    /// What came and is not taken.
    piece: Bytes,
    /// Bytes of data that were taken.
    read: u64,
    /// The peer has taken data.
    flows: bool,
    /// The request goes to an endpoint with a body, of which h2 has nothing.
    is_begun: bool,
    /// Of a connection to an endpoint: this stream is one of those that are under way.
    _taken: Option<Taken>,
}

/// What an endpoint is asked to change over to.
pub(super) struct Upgrade {
    pub(super) protocol: Vec<u8>,
    /// The key of a WebSocket, that HTTP/1 wants to have answered.
    pub(super) key: Option<Vec<u8>>,
}

/// Our half of the stream.
struct Sending {
    state: State,
    /// The last piece of data: kept until it is known whether it is the last of all, so that no empty
    /// frame has to say so.
    held: Bytes,
}

enum State {
    /// No response has been sent.
    Respond(SendResponse<Bytes>),
    /// No request has been sent.
    Ask(SendRequest<Bytes>),
    /// Its body goes.
    Body(SendStream<Bytes>),
    /// All is sent, or it is reset.
    Over,
}

impl fmt::Debug for Http2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2").field("lane", &self.lane).finish_non_exhaustive()
    }
}

impl Http2 {
    /// A client's stream.
    pub(super) fn new(lane: Lane, respond: SendResponse<Bytes>, receive: RecvStream) -> Self {
        let send = Sending { state: State::Respond(respond), held: Bytes::new() };
        Self {
            lane,
            send: RefCell::new(send),
            answer: None,
            upgrade: None,
            receive: Some(receive),
            piece: Bytes::new(),
            read: 0,
            flows: false,
            is_begun: false,
            _taken: None,
        }
    }

    /// A stream to an endpoint, that is yet to be opened.
    pub(super) fn to_endpoint(taken: Taken, ask: SendRequest<Bytes>) -> Self {
        let send = Sending { state: State::Ask(ask), held: Bytes::new() };
        Self {
            lane: taken.lane(),
            send: RefCell::new(send),
            answer: None,
            upgrade: None,
            receive: None,
            piece: Bytes::new(),
            read: 0,
            flows: false,
            is_begun: false,
            _taken: Some(taken),
        }
    }

    /// Whether the client still wants the answer; `context` is woken when it does not.
    pub(crate) fn presence(&self, context: &mut Context<'_>) -> Presence {
        let polled = match &mut self.send.borrow_mut().state {
            State::Respond(respond) => respond.poll_reset(context),
            State::Body(body) => body.poll_reset(context),
            State::Ask(_) | State::Over => return Presence::Here,
        };
        if polled.is_ready() { Presence::Gone } else { Presence::Here }
    }

    /// Whether the endpoint takes an extended CONNECT, once its settings have come.
    pub(crate) fn poll_may_upgrade(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let State::Ask(ask) = &self.send.get_mut().state else { return Poll::Ready(false) };
        if ask.is_extended_connect_protocol_enabled() {
            return Poll::Ready(true);
        }
        ready!(self.lane.poll_heard(context));
        Poll::Ready(ask.is_extended_connect_protocol_enabled())
    }

    /// The endpoint keeps silent: no more requests over this connection.
    pub(crate) fn doubt(&self) {
        self.lane.doubt();
    }

    /// Sends the head of a request to an endpoint. `ends`: nothing follows.
    ///
    /// # Errors
    /// The connection is gone, or takes no more requests.
    pub(crate) fn send_request(
        &mut self,
        head: &Head,
        upgrade: Option<&[u8]>,
        (scheme, ends): (http::uri::Scheme, bool),
    ) -> io::Result<()> {
        let send = self.send.get_mut();
        let State::Ask(ask) = &mut send.state else { return Err(over()) };
        let unfit = || io::Error::other("the request has no form in HTTP/2");
        let request = fields::of_request(head, upgrade, scheme).ok_or_else(unfit)?;
        let (answer, body) = ask.send_request(request, ends).map_err(broken)?;
        self.upgrade = upgrade.map(|protocol| {
            let key = head.first(b"sec-websocket-key").map(<[u8]>::to_vec);
            Box::new(Upgrade { protocol: protocol.to_vec(), key })
        });
        send.state = if ends { State::Over } else { State::Body(body) };
        self.is_begun = !ends;
        self.answer = Some(answer);
        Ok(())
    }

    /// Reads the next head of an endpoint's: a 1xx, or that of its response.
    ///
    /// # Errors
    /// The stream is reset, the connection gone, or the head none that can be passed on.
    pub(crate) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        head: &mut Head,
        asked: Asked,
        limits: (&Limits, Lenient),
    ) -> Poll<Result<(), HeadError>> {
        let Some(answer) = &mut self.answer else {
            return Poll::Ready(Err(HeadError::Broken(over())));
        };
        let failed = |error| HeadError::Broken(self.lane.explain(broken(error)));
        if let Some(interim) = ready!(answer.poll_informational(context)) {
            let interim = interim.map_err(failed)?;
            let read = fields::to_answer(head, &interim, true, asked, limits);
            return Poll::Ready(read.map_err(HeadError::Refused));
        }
        let response = ready!(Pin::new(answer).poll(context)).map_err(failed)?;
        self.lane.said();
        self.answer = None;
        let read = match &self.upgrade {
            Some(upgrade) if response.status().is_success() => {
                fields::to_upgrade(head, &response, upgrade, limits)
            }
            _ => {
                let ends = response.body().is_end_stream();
                fields::to_answer(head, &response, ends, asked, limits)
            }
        };
        self.receive = Some(response.into_body());
        Poll::Ready(read.map_err(HeadError::Refused))
    }

    /// Sends a 1xx response.
    ///
    /// # Errors
    /// The stream is reset, or the connection gone.
    pub(crate) fn send_interim(&mut self, response: http::Response<()>) -> io::Result<()> {
        let State::Respond(respond) = &mut self.send.get_mut().state else { return Err(over()) };
        respond.send_informational(response).map_err(broken)
    }

    /// Sends the head of the response. `ends`: nothing follows.
    ///
    /// # Errors
    /// As [`Self::send_interim`].
    pub(crate) fn send_head(&mut self, response: http::Response<()>, ends: bool) -> io::Result<()> {
        let send = self.send.get_mut();
        let State::Respond(respond) = &mut send.state else { return Err(over()) };
        let body = respond.send_response(response, ends).map_err(broken)?;
        send.state = if ends { State::Over } else { State::Body(body) };
        Ok(())
    }

    /// Answers that the stream carries another protocol from here on; `response` is what the endpoint said.
    ///
    /// # Errors
    /// As [`Self::send_interim`].
    pub(crate) fn open_tunnel(&mut self, response: &Head) -> io::Result<()> {
        self.send_head(fields::of_tunnel(response), false)
    }

    /// Says that nothing more comes but `trailers`.
    ///
    /// # Errors
    /// As [`Self::send_interim`].
    pub(crate) fn finish(&mut self, trailers: &Trailers) -> io::Result<()> {
        let send = self.send.get_mut();
        let State::Body(body) = &mut send.state else { return Ok(()) };
        let held = std::mem::take(&mut send.held);
        let sent = if trailers.is_empty() {
            body.send_data(held, true)
        } else {
            let before = if held.is_empty() { Ok(()) } else { body.send_data(held, false) };
            before.and_then(|()| body.send_trailers(fields::of_trailers(trailers)))
        };
        send.state = State::Over;
        sent.map_err(broken)
    }

    /// Whether the head of the response is sent.
    pub(super) fn has_answered(&self) -> bool {
        !matches!(self.send.borrow().state, State::Respond(_))
    }

    /// Ends an answer of gRPC that is not at its end with what the HTTP `status` means, in `words`.
    ///
    /// # Errors
    /// As [`Self::send_interim`].
    pub(crate) fn break_off(&mut self, status: u16, words: &'static str) -> io::Result<()> {
        let send = self.send.get_mut();
        send.pass_on()?;
        let State::Body(body) = &mut send.state else { return Err(over()) };
        body.send_trailers(grpc::trailers(status, words)).map_err(broken)?;
        send.state = State::Over;
        Ok(())
    }

    /// Ends the stream in both directions, unless it is over.
    pub(crate) fn reset(&mut self, reason: Reason) {
        let send = self.send.get_mut();
        send.held = Bytes::new();
        match std::mem::replace(&mut send.state, State::Over) {
            State::Respond(mut respond) => respond.send_reset(reason),
            State::Ask(_) => {}
            State::Body(mut body) => body.send_reset(reason),
            State::Over => {}
        }
    }

    /// Whether nothing more comes.
    pub(crate) fn is_ended(&self) -> bool {
        self.piece.is_empty() && self.receive.as_ref().is_none_or(RecvStream::is_end_stream)
    }

    /// Takes data into `buffer`; 0 at its end, where trailers may follow.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Some(receive) = &mut self.receive else { return Poll::Ready(Ok(0)) };
        while self.piece.is_empty() {
            match ready!(receive.poll_data(context)) {
                None => return Poll::Ready(Ok(0)),
                Some(Ok(piece)) => {
                    self.lane.said();
                    self.piece = piece;
                }
                Some(Err(error)) => return Poll::Ready(Err(self.lane.explain(broken(error)))),
            }
        }
        let count = self.piece.len().min(buffer.len());
        if let Some(room) = buffer.get_mut(..count) {
            self.piece.copy_to_slice(room);
        }
        self.read += count as u64;
        // The peer may send as much again. Nothing is lost where the stream is over.
        let _ = receive.flow_control().release_capacity(count);
        Poll::Ready(Ok(count))
    }

    /// Waits for the end of a body of this many bytes, if all of them were taken. An answer may be there
    /// before: who has nothing more to say is not to be told to stop (RFC 9113, section 8.1).
    pub(crate) fn poll_end(&mut self, context: &mut Context<'_>, length: u64) -> Poll<()> {
        let Some(receive) = &mut self.receive else { return Poll::Ready(()) };
        if self.read < length {
            return Poll::Ready(());
        }
        while let Some(Ok(_)) = ready!(receive.poll_data(context)) {}
        // Trailers have no use any more.
        receive.poll_trailers(context).map(|_| ())
    }

    /// The trailers, once all data is taken.
    pub(crate) fn poll_trailers(
        &mut self,
        context: &mut Context<'_>,
        limits: &Limits,
    ) -> Poll<io::Result<Result<Trailers, Refused>>> {
        let Some(receive) = &mut self.receive else {
            return Poll::Ready(Ok(Ok(Trailers::default())));
        };
        let trailers = ready!(receive.poll_trailers(context)).map_err(broken)?;
        Poll::Ready(Ok(fields::to_trailers(trailers.as_ref(), limits)))
    }

    /// Gives what the peer's windows allow of `bytes` to h2; the first of a request's body in any case.
    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let send = self.send.get_mut();
        // First of all: the connection makes room by what h2 has.
        send.pass_on()?;
        ready!(self.lane.poll_room(context));
        let State::Body(body) = &mut send.state else { return Poll::Ready(Err(over())) };
        let room = if std::mem::take(&mut self.is_begun) {
            LEAST
        } else {
            let room = ready!(poll_capacity(context, body, bytes.len().min(PIECE)))?;
            self.flows = true;
            room.min(PIECE)
        };
        let taken = bytes.get(..room).unwrap_or(bytes);
        send.held = Bytes::copy_from_slice(taken);
        self.lane.queue(taken.len());
        Poll::Ready(Ok(taken.len()))
    }

    /// How much is to be read for this stream at once. One whose windows have never been seen open is left next
    /// to nothing to keep: there may be thousands. It is read all the same, for its end needs no window.
    pub(crate) fn takes(&self) -> usize {
        match self.flows {
            true => PIECE,
            false if !self.is_begun && self.is_shut() => TASTE,
            false => LEAST,
        }
    }

    /// Whether its windows have never been seen open. A byte of room tells: asked for more without having it, h2
    /// would take that from others.
    pub(crate) fn is_shut(&self) -> bool {
        let State::Body(body) = &mut self.send.borrow_mut().state else { return false };
        if self.flows || body.capacity() > 0 {
            return false;
        }
        body.reserve_capacity(1);
        body.capacity() == 0
    }

    /// Gives h2 what waited for more to come.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.send.get_mut().pass_on()
    }
}

impl Sending {
    fn pass_on(&mut self) -> io::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let State::Body(body) = &mut self.state else { return Err(over()) };
        body.send_data(std::mem::take(&mut self.held), false).map_err(broken)
    }
}

/// How much of `wanted` the peer's windows allow; ready when that is something.
fn poll_capacity(
    context: &mut Context<'_>,
    body: &mut SendStream<Bytes>,
    wanted: usize,
) -> Poll<io::Result<usize>> {
    body.reserve_capacity(wanted);
    let mut room = body.capacity();
    while room == 0 {
        room = match ready!(body.poll_capacity(context)) {
            None => return Poll::Ready(Err(gone())),
            Some(room) => room.map_err(broken)?,
        };
    }
    Poll::Ready(Ok(room))
}

/// h2's error as one of a connection.
pub(super) fn broken(error: h2::Error) -> io::Error {
    if error.is_io() {
        let unknown = || io::ErrorKind::Other.into();
        return error.into_io().unwrap_or_else(unknown);
    }
    let is_theirs = error.is_reset() || error.is_remote();
    let kind = if is_theirs { io::ErrorKind::ConnectionReset } else { io::ErrorKind::Other };
    io::Error::new(kind, error)
}

/// Whether an endpoint has surely done nothing with the stream that failed so (RFC 9113, section 8.7).
pub(crate) fn is_unprocessed(error: &io::Error) -> bool {
    let Some(error) = of_h2(error) else { return false };
    let is_refused = error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    // h2 gives the error of a GOAWAY only to streams that come behind the last one that it names.
    error.is_remote() && (is_refused || error.is_go_away())
}

/// Whether the peer has reset this stream; its connection goes on (RFC 9113, section 5.4.2).
pub(crate) fn is_reset_by_peer(error: &io::Error) -> bool {
    of_h2(error).is_some_and(|error| error.is_reset() && error.is_remote())
}

fn of_h2(error: &io::Error) -> Option<&h2::Error> {
    error.get_ref().and_then(|error| error.downcast_ref())
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the stream was reset")
}

fn over() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the stream is over")
}
