//! Moves one body from one side to the other, with back-pressure: nothing is read while something
//! is left to write.

use crate::scratch::with_scratch;
use crate::stream::{PIECE, Stream};
use eclusa_wire::http1::{
    Body, CHUNK_END, ChunkHead, Chunked, Head, Lenient, Limits, Reason, Trailers, write_last_chunk,
};
use std::io;
use std::num::NonZeroU64;
use std::task::{Context, Poll, ready};

/// Reads of one turn, so that one exchange cannot hold the worker.
const READS_PER_TURN: u32 = 8;
/// So much memory that holds nothing may stay with a body that waits.
const SPARE: usize = 4 << 10;

/// Bytes of a body that are kept on each side of a place where it is wrong: enough to see the chunks,
/// and little of what they carry.
const AROUND: usize = 128;

/// How a body goes on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// As its bytes are: the length is known, or it ends with the connection.
    Plain,
    /// In chunks.
    Chunks,
}

/// Which side a fault is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Where the body comes from.
    From,
    /// Where it goes to.
    To,
}

/// Why a body is not whole.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The connection broke.
    Broken(Side, io::Error),
    /// It ended before the body did.
    Early,
    /// The body is not as it should be.
    Refused(Box<Trouble>),
    /// It is longer than may be.
    TooLong,
}

/// What is wrong with a body, and the bytes around it.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) reason: Reason,
    /// At most [`AROUND`] before the place and as many behind it.
    pub(crate) bytes: Vec<u8>,
    /// The place in these.
    pub(crate) at: usize,
}

impl Trouble {
    fn new(reason: Reason, bytes: &[u8], at: usize) -> Self {
        let at = at.min(bytes.len());
        let from = at.saturating_sub(AROUND);
        let to = (at + AROUND).min(bytes.len());
        Self { reason, bytes: bytes.get(from..to).unwrap_or_default().to_vec(), at: at - from }
    }
}

enum Source {
    Length(u64),
    Chunked(Box<(Chunked, Trailers)>),
    UntilClose,
    Ended,
}

/// One body on its way.
pub(crate) struct Pump {
    source: Source,
    way: Way,
    /// The most bytes of the body.
    most: u64,
    /// The last read found as much as it had room for: there is more.
    is_bulk: bool,
    /// What is ready to be written, and how much of it is written.
    ready: Vec<u8>,
    written: usize,
    /// Bytes of the body so far.
    moved: u64,
    /// Bytes that were taken from where it comes from, those between chunks too.
    taken: u64,
    /// Bytes that the other side has taken, those of the head too.
    sent: u64,
}

impl Pump {
    /// For a body framed as `body` says. `first` is written before it: a head.
    pub(crate) fn new(
        body: Body,
        way: Way,
        first: Vec<u8>,
        (limits, lenient): (Limits, Lenient),
        most: Option<u64>,
    ) -> Self {
        let source = match body {
            Body::None | Body::Length(0) => Source::Ended,
            Body::Length(length) => Source::Length(length),
            Body::Chunked => {
                Source::Chunked(Box::new((Chunked::new(limits, lenient), Trailers::default())))
            }
            Body::UntilClose => Source::UntilClose,
        };
        let most = most.unwrap_or(u64::MAX);
        let (is_bulk, ready) = (false, first);
        Self { source, way, most, is_bulk, ready, written: 0, moved: 0, taken: 0, sent: 0 }
    }

    /// Bytes of the body so far.
    pub(crate) fn moved(&self) -> u64 {
        self.moved
    }

    /// Bytes that the other side has taken, those of the head too; what TLS still holds back counts.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes that were taken from where it comes from: they are not there for another try.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Grows with every byte that comes or goes.
    pub(crate) fn progress(&self) -> u64 {
        self.taken.saturating_add(self.sent)
    }

    /// Who keeps it waiting.
    pub(crate) fn waits_for(&self) -> Side {
        if self.ready.len() > self.written || matches!(self.source, Source::Ended) {
            Side::To
        } else {
            Side::From
        }
    }

    /// Moves on. `inbox`: the head that the body follows; bytes of the body may lie behind it.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
        (from, inbox): (&mut Stream, &mut Head),
        to: &mut Stream,
    ) -> Poll<Result<(), Fault>> {
        for _ in 0..READS_PER_TURN {
            ready!(self.drain(context, to))?;
            if matches!(self.source, Source::Ended) {
                return to.poll_flush(context).map_err(|error| Fault::Broken(Side::To, error));
            }
            let there = inbox.rest();
            if there.is_empty() {
                // What TLS holds back must not wait for bytes that wait for it.
                ready!(to.poll_flush(context)).map_err(|error| Fault::Broken(Side::To, error))?;
                let read = self.read(context, (from, inbox), to);
                if read.is_pending() {
                    self.hold_little();
                }
                ready!(read)?;
            } else {
                let used = self.take(there)?;
                inbox.use_rest(used);
            }
        }
        // Others have their turn first.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Writes what is ready.
    fn drain(&mut self, context: &mut Context<'_>, to: &mut Stream) -> Poll<Result<(), Fault>> {
        while let Some(rest) = self.ready.get(self.written..).filter(|rest| !rest.is_empty()) {
            match to.poll_write(context, rest) {
                Poll::Pending => {
                    self.hold_little();
                    return Poll::Pending;
                }
                Poll::Ready(Ok(0)) => {
                    let error = io::ErrorKind::WriteZero.into();
                    return Poll::Ready(Err(Fault::Broken(Side::To, error)));
                }
                Poll::Ready(Ok(count)) => {
                    self.written += count;
                    self.sent += count as u64;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Fault::Broken(Side::To, error))),
            }
        }
        if self.written > 0 {
            // A large piece gives its memory back: most bodies are small.
            if self.ready.capacity() > 64 * 1024 {
                self.ready = Vec::new();
            }
            self.ready.clear();
            self.written = 0;
        }
        Poll::Ready(Ok(()))
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        (from, inbox): (&mut Stream, &mut Head),
        to: &mut Stream,
    ) -> Poll<Result<(), Fault>> {
        with_scratch(|scratch| {
            let room = self.room(to, scratch.len());
            let room = scratch.get_mut(..room).unwrap_or_default();
            let read = match ready!(from.poll_read(context, room)) {
                Ok(read) => read,
                Err(error) => return Poll::Ready(Err(Fault::Broken(Side::From, error))),
            };
            self.is_bulk = read == room.len();
            if read == 0 {
                return Poll::Ready(self.end());
            }
            let mut bytes = scratch.get(..read).unwrap_or_default();
            if self.way == Way::Plain && !matches!(self.source, Source::Chunked(_)) {
                return Poll::Ready(self.straight(context, bytes, to));
            }
            while !bytes.is_empty() && !matches!(self.source, Source::Ended) {
                let used = self.take(bytes)?;
                bytes = bytes.get(used..).unwrap_or_default();
            }
            // What stands behind a chunked body is of the next message.
            inbox.buffer().extend_from_slice(bytes);
            Poll::Ready(Ok(()))
        })
    }

    /// How much to read.
    fn room(&self, to: &Stream, most: usize) -> usize {
        let wanted = match self.source {
            // Nothing of the next message is read: that is the head's.
            Source::Length(left) => usize::try_from(left).map_or(most, |left| left.min(most)),
            _ if self.is_bulk => most,
            _ => PIECE.min(most),
        };
        to.takes_of(wanted)
    }

    /// Gives memory back that holds nothing, before a wait of any length.
    fn hold_little(&mut self) {
        let rest = self.ready.len() - self.written;
        if self.ready.capacity() > rest + SPARE {
            self.ready.drain(..self.written);
            self.ready.shrink_to_fit();
            self.written = 0;
        }
    }

    /// Writes bytes of the body as they are; only what the other side does not take is kept.
    fn straight(
        &mut self,
        context: &mut Context<'_>,
        mut bytes: &[u8],
        to: &mut Stream,
    ) -> Result<(), Fault> {
        self.taken += bytes.len() as u64;
        self.count(bytes.len() as u64)?;
        if let Source::Length(left) = &mut self.source {
            *left -= bytes.len() as u64;
            if *left == 0 {
                self.source = Source::Ended;
            }
        }
        while !bytes.is_empty() {
            match to.poll_write(context, bytes) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => {
                    return Err(Fault::Broken(Side::To, io::ErrorKind::WriteZero.into()));
                }
                Poll::Ready(Ok(count)) => {
                    bytes = bytes.get(count..).unwrap_or_default();
                    self.sent += count as u64;
                }
                Poll::Ready(Err(error)) => return Err(Fault::Broken(Side::To, error)),
            }
        }
        self.ready.extend_from_slice(bytes);
        Ok(())
    }

    /// The reading side has ended.
    fn end(&mut self) -> Result<(), Fault> {
        if !matches!(self.source, Source::UntilClose) {
            return Err(Fault::Early);
        }
        self.source = Source::Ended;
        if self.way == Way::Chunks {
            write_last_chunk(&Trailers::default(), &mut self.ready);
        }
        Ok(())
    }

    /// Takes bytes of the body in; says how many were its.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let used = self.decode(bytes)?;
        self.taken += used as u64;
        Ok(used)
    }

    fn decode(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        match &mut self.source {
            Source::Ended => Ok(0),
            Source::UntilClose => {
                self.count(bytes.len() as u64)?;
                self.piece(bytes);
                Ok(bytes.len())
            }
            Source::Length(left) => {
                let there =
                    usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= there as u64;
                if *left == 0 {
                    self.source = Source::Ended;
                }
                self.count(there as u64)?;
                self.piece(bytes.get(..there).unwrap_or_default());
                Ok(there)
            }
            Source::Chunked(chunked) => {
                let (chunked, trailers) = &mut **chunked;
                let decoded = chunked.decode(bytes, trailers);
                let decoded = decoded.map_err(|reason| {
                    let at = chunked.position();
                    Fault::Refused(Box::new(Trouble::new(reason, bytes, at)))
                })?;
                let ended = decoded.ended;
                let data = bytes.get(decoded.data.clone()).unwrap_or_default();
                self.count(data.len() as u64)?;
                self.piece(data);
                if ended {
                    let Source::Chunked(chunked) =
                        std::mem::replace(&mut self.source, Source::Ended)
                    else {
                        return Ok(decoded.used);
                    };
                    if self.way == Way::Chunks {
                        write_last_chunk(&chunked.1, &mut self.ready);
                    }
                }
                Ok(decoded.used)
            }
        }
    }

    /// Makes a piece of the body ready to be written.
    fn piece(&mut self, data: &[u8]) {
        let Some(length) = NonZeroU64::new(data.len() as u64) else { return };
        if self.way == Way::Plain {
            self.ready.extend_from_slice(data);
            return;
        }
        for part in [ChunkHead::new(length).as_bytes(), data, CHUNK_END] {
            self.ready.extend_from_slice(part);
        }
    }

    fn count(&mut self, bytes: u64) -> Result<(), Fault> {
        self.moved += bytes;
        if self.moved > self.most { Err(Fault::TooLong) } else { Ok(()) }
    }
}
