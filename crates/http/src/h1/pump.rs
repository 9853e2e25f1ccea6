//! Moves one body from one side to the other, with back-pressure: nothing is read while something
//! is left to write.

mod splice;

use super::fault::{Fault, Side, Trouble, Way};
use super::pack::Packer;
use crate::scratch::with_scratch;
use crate::spare;
use crate::stream::{PIECE, Stream};
use eclusa_proxy::layer7::{Splice, give_way, is_long, poll_write_more};
use eclusa_wire::http1::{
    Body, CHUNK_END, ChunkHead, Chunked, Head, Lenient, Limits, Trailers, write_last_chunk,
};
use std::io;
use std::num::NonZeroU64;
use std::task::{Context, Poll, ready};

/// Reads of one turn, so that one exchange cannot hold the worker.
const READS_PER_TURN: u32 = 8;
/// So much memory that holds nothing may stay with a body that waits.
const SPARE: usize = 1 << 10;

/// A body of at least this length is spliced; below, copying costs less.
const SPLICED_MIN: u64 = 32 << 10;

enum Source {
    Length(u64),
    Chunked(Box<(Chunked, Trailers)>),
    UntilClose,
    /// A stream of HTTP/2, until it says that it ends; trailers may follow, bounded so.
    Frames(Limits),
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
    /// Moves what is large.
    splice: Option<Splice>,
    /// What ends it, once all that came before is written.
    fault: Option<Fault>,
    /// What follows the body, where it goes in frames.
    trailers: Option<Box<Trailers>>,
    /// Bytes of the body so far.
    moved: u64,
    /// Bytes that were taken from where it comes from, those between chunks too.
    taken: u64,
    /// Bytes that the other side has taken, those of the head too.
    sent: u64,
    /// The sending side is ended right behind it.
    is_last: bool,
    /// Compresses it.
    packer: Option<Box<Packer>>,
}

/// How far a turn has come.
enum Gone {
    /// There is more to do.
    On,
    /// To the end.
    Whole,
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
        Self::of(source, way, first, most)
    }

    /// The same where the body comes in frames of HTTP/2: a length that its head tells is looked after by h2.
    pub(crate) fn framed(
        body: Body,
        way: Way,
        first: Vec<u8>,
        limits: Limits,
        most: Option<u64>,
    ) -> Self {
        let source = match body {
            Body::None | Body::Length(0) => Source::Ended,
            Body::Length(_) | Body::Chunked | Body::UntilClose => Source::Frames(limits),
        };
        Self::of(source, way, first, most)
    }

    fn of(source: Source, way: Way, first: Vec<u8>, most: Option<u64>) -> Self {
        Self {
            source,
            way,
            most: most.unwrap_or(u64::MAX),
            is_bulk: false,
            ready: first,
            written: 0,
            splice: None,
            fault: None,
            trailers: None,
            moved: 0,
            taken: 0,
            sent: 0,
            is_last: false,
            packer: None,
        }
    }

    /// It goes compressed, in chunks or frames, whatever length it has.
    pub(crate) fn packed(mut self, packer: Option<Box<Packer>>) -> Self {
        debug_assert!(packer.is_none() || self.way != Way::Plain, "its length is another");
        self.packer = packer;
        self
    }

    /// The sending side is ended right behind it.
    pub(crate) fn last(mut self) -> Self {
        self.is_last = true;
        self
    }

    /// Moves large bodies by `splice` where neither side has TLS.
    pub(crate) fn spliced(mut self, splice: impl FnOnce() -> Splice) -> Self {
        if matches!(self.source, Source::Length(left) if left >= SPLICED_MIN) {
            self.splice = Some(splice());
        }
        self
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
        let holds = self.splice.as_ref().is_some_and(Splice::holds);
        if holds || self.ready.len() > self.written || matches!(self.source, Source::Ended) {
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
        match self.go_on(context, (from, &mut *inbox), to) {
            Poll::Ready(Ok(Gone::On)) => {
                // Others have their turn first.
                give_way(context);
                return Poll::Pending;
            }
            Poll::Ready(done) => return Poll::Ready(done.map(drop)),
            Poll::Pending => {}
        }
        // Somebody is waited for, however long.
        self.hold_little();
        inbox.hold_little();
        Poll::Pending
    }

    /// Moves on for a turn.
    fn go_on(
        &mut self,
        context: &mut Context<'_>,
        (from, inbox): (&mut Stream, &mut Head),
        to: &mut Stream,
    ) -> Poll<Result<Gone, Fault>> {
        let to_broke = |error| Fault::Broken(Side::To, error);
        for _ in 0..READS_PER_TURN {
            ready!(self.drain(context, to))?;
            if let Some(fault) = self.fault.take() {
                return Poll::Ready(Err(fault));
            }
            if self.is_spliced(from, to)
                && inbox.rest().is_empty()
                && let (Stream::Plain(from), Stream::Plain(to)) = (&*from, &*to)
            {
                ready!(self.poll_splice(context, (from, to)))?;
                if !matches!(self.source, Source::Ended) {
                    break;
                }
                continue;
            }
            if matches!(self.source, Source::Ended) {
                return self.finish(context, to).map_ok(|()| Gone::Whole).map_err(to_broke);
            }
            let there = inbox.rest();
            if there.is_empty() {
                // What TLS holds back must not wait for bytes that wait for it.
                ready!(to.poll_flush(context)).map_err(to_broke)?;
                ready!(self.read(context, (from, inbox), to))?;
            } else {
                let used = self.take(there)?;
                inbox.use_rest(used);
                self.settle();
            }
            // A byte of a body may come in a chunk of its own.
            if is_long() && !self.goes_along() {
                break;
            }
        }
        Poll::Ready(Ok(Gone::On))
    }

    /// Whether this turn goes on however long it was: what begins a stream of HTTP/2 goes out in one write with
    /// its head, which somebody else sends when this turn ends, and the end of a body with the last of it.
    fn goes_along(&self) -> bool {
        self.way == Way::Frames && (self.sent == 0 || matches!(self.source, Source::Ended))
    }

    /// All is written, and the other side is told so.
    fn finish(&mut self, context: &mut Context<'_>, to: &mut Stream) -> Poll<io::Result<()>> {
        if self.way != Way::Frames {
            return to.poll_flush(context);
        }
        let none = Trailers::default();
        to.poll_finish(context, self.trailers.as_deref().unwrap_or(&none))
    }

    /// Puts what is there of the body behind the head that waits to be written: all goes out in one
    /// write. What is wrong with it is told when that is written. For responses: what was taken of a
    /// request is not there for another try.
    pub(crate) fn join(
        &mut self,
        context: &mut Context<'_>,
        (from, inbox): (&mut Stream, &mut Head),
        to: &mut Stream,
    ) {
        while !inbox.rest().is_empty() && !matches!(self.source, Source::Ended) {
            match self.take(inbox.rest()) {
                Ok(used) => inbox.use_rest(used),
                Err(fault) => {
                    self.fault = Some(fault);
                    return;
                }
            }
        }
        self.settle();
        let more = match (&*from, self.is_spliced(from, to)) {
            // It lies in the pipe while the others have their turn.
            (Stream::Plain(from), true) => self.poll_fill(context, from),
            // Where nothing goes out, what is there is enough to keep.
            _ if self.is_straight() && (self.ready.is_empty() || to.takes_more()) => {
                self.read(context, (from, inbox), to)
            }
            _ => return,
        };
        if let Poll::Ready(Err(fault)) = more {
            self.fault = Some(fault);
        }
    }

    /// Whether the bytes of the body go on as they come.
    fn is_straight(&self) -> bool {
        let goes_as_it_comes = self.way != Way::Chunks && self.packer.is_none();
        goes_as_it_comes
            && matches!(self.source, Source::Length(_) | Source::UntilClose | Source::Frames(_))
    }

    /// Writes what is ready.
    fn drain(&mut self, context: &mut Context<'_>, to: &mut Stream) -> Poll<Result<(), Fault>> {
        while let Some(rest) = self.ready.get(self.written..).filter(|rest| !rest.is_empty()) {
            let written = match to {
                // What lies in the pipe follows at once, or the end: both leave together.
                Stream::Plain(to) if self.is_followed() => poll_write_more(context, to, rest),
                _ => to.poll_write(context, rest),
            };
            match written {
                Poll::Pending => return Poll::Pending,
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
            let room = to.takes_of(self.room(scratch.len()));
            let room = scratch.get_mut(..room).unwrap_or_default();
            let read = match ready!(from.poll_read(context, room)) {
                Ok(read) => read,
                Err(error) => return Poll::Ready(Err(Fault::Broken(Side::From, error))),
            };
            self.is_bulk = read == room.len();
            if read == 0 {
                return match &self.source {
                    Source::Frames(limits) => {
                        let limits = *limits;
                        self.poll_trailers(context, from, &limits)
                    }
                    _ => Poll::Ready(self.end()),
                };
            }
            let mut bytes = scratch.get(..read).unwrap_or_default();
            if self.is_straight() {
                let left = if let Source::Length(left) = self.source { left } else { u64::MAX };
                let its = usize::try_from(left).map_or(read, |left| left.min(read));
                let (body, behind) = bytes.split_at(its);
                inbox.buffer().extend_from_slice(behind);
                let moved = self.straight(context, body, to);
                self.note_end(from);
                return Poll::Ready(moved);
            }
            while !bytes.is_empty() && !matches!(self.source, Source::Ended) {
                let used = self.take(bytes)?;
                bytes = bytes.get(used..).unwrap_or_default();
            }
            // What stands behind a body is of the next message.
            inbox.buffer().extend_from_slice(bytes);
            self.note_end(from);
            self.settle();
            Poll::Ready(Ok(()))
        })
    }

    /// How much to read.
    fn room(&self, most: usize) -> usize {
        match self.source {
            // More than the body needs: a read that does not fill the room has emptied the socket, and
            // nobody has to ask again.
            Source::Length(left) => usize::try_from(left)
                .map_or(most, |left| left.saturating_add(1).max(PIECE).min(most)),
            _ if self.is_bulk => most,
            _ => PIECE.min(most),
        }
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
            // What was ready before goes first, in the same write.
            let before = self.ready.get(self.written..).unwrap_or_default();
            let count = match to.poll_write_both(context, before, bytes) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => {
                    return Err(Fault::Broken(Side::To, io::ErrorKind::WriteZero.into()));
                }
                Poll::Ready(Ok(count)) => count,
                Poll::Ready(Err(error)) => return Err(Fault::Broken(Side::To, error)),
            };
            self.sent += count as u64;
            let of_before = count.min(before.len());
            self.written += of_before;
            bytes = bytes.get(count - of_before..).unwrap_or_default();
        }
        self.ready.extend_from_slice(bytes);
        Ok(())
    }

    /// Notes that the last frame of the body said that it is the last.
    fn note_end(&mut self, from: &Stream) {
        if matches!(self.source, Source::Frames(_)) && from.is_ended() {
            self.source = Source::Ended;
            self.follow(Trailers::default());
        }
    }

    /// The frames of the body are all there: what follows them.
    fn poll_trailers(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Stream,
        limits: &Limits,
    ) -> Poll<Result<(), Fault>> {
        let read = ready!(from.poll_trailers(context, limits));
        let trailers = read.map_err(|error| Fault::Broken(Side::From, error))?;
        let refused = |reason| Fault::Refused(Box::new(Trouble::new(reason, &[], 0)));
        self.source = Source::Ended;
        self.follow(trailers.map_err(refused)?);
        Poll::Ready(Ok(()))
    }

    /// What follows the body.
    fn follow(&mut self, trailers: Trailers) {
        if let Some(mut packer) = self.packer.take() {
            let packed = packer.finish();
            self.put(&packed);
        }
        match self.way {
            Way::Plain => {}
            Way::Chunks => write_last_chunk(&trailers, &mut self.ready),
            Way::Frames if trailers.is_empty() => {}
            Way::Frames => self.trailers = Some(Box::new(trailers)),
        }
    }

    /// The reading side has ended.
    fn end(&mut self) -> Result<(), Fault> {
        if !matches!(self.source, Source::UntilClose) {
            return Err(Fault::Early);
        }
        self.source = Source::Ended;
        self.follow(Trailers::default());
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
            Source::UntilClose | Source::Frames(_) => {
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
                // What is compressed has lost its length.
                if matches!(self.source, Source::Ended) && self.packer.is_some() {
                    self.follow(Trailers::default());
                }
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
                    self.follow(chunked.1);
                }
                Ok(decoded.used)
            }
        }
    }

    /// A piece of the body goes on.
    fn piece(&mut self, data: &[u8]) {
        match &mut self.packer {
            Some(packer) => packer.take(data),
            None => self.put(data),
        }
    }

    /// What was compressed so far goes out, however long the rest keeps waiting.
    fn settle(&mut self) {
        if let Some(packer) = &mut self.packer {
            let packed = packer.flush();
            self.put(&packed);
        }
    }

    /// Makes a piece of what goes out ready to be written.
    fn put(&mut self, data: &[u8]) {
        let Some(length) = NonZeroU64::new(data.len() as u64) else { return };
        if self.way != Way::Chunks {
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

impl Drop for Pump {
    fn drop(&mut self) {
        spare::give_back(std::mem::take(&mut self.ready));
    }
}
