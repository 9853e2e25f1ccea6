//! One direction of a relay: copy for small data, splice for bulk, and back.

use super::buffers::{Buffers, COPY, Parked};
use super::conduit::{Conduit, Filled, read_in_doubt};
use super::peer::Peer;
use eclusa_sys::transfer::{poll_receive, poll_send};
use std::io;
use std::task::{Context, Poll};
use tokio::net::TcpStream;

/// Splices in a row that moved less than [`SMALL`] before a direction goes back to copying.
const SMALL_IN_A_ROW: u8 = 8;
/// A splice of fewer bytes than this gains nothing over a copy.
const SMALL: usize = 8 * 1024;
/// Reads of one turn while copying, so that one session cannot hold the worker.
const READS_PER_TURN: u32 = 4;

#[derive(Debug)]
pub(super) struct Direction {
    /// Bytes that were read and could not be written yet; while there are any, nothing is read.
    rest: Option<Box<Rest>>,
    conduit: Conduit,
    /// The last reads were large: what comes next is spliced from its first byte.
    bulk: bool,
    small: u8,
    stage: Stage,
    delivered: u64,
}

/// What is left of a read.
#[derive(Debug)]
struct Rest {
    bytes: Vec<u8>,
    written: usize,
    _parked: Option<Parked>,
}

impl Rest {
    fn of(bytes: Vec<u8>, parked: Option<Parked>) -> Option<Box<Self>> {
        (!bytes.is_empty()).then(|| Box::new(Self { bytes, written: 0, _parked: parked }))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Bytes may come.
    Open,
    /// The reading side has ended; what is left is being written.
    Ending,
    /// The writing side has been told.
    Over,
}

/// What a turn of a direction did.
#[derive(Debug)]
pub(super) enum Flow {
    /// Nothing moved.
    Idle,
    /// Bytes moved; more may come.
    Moved,
    /// The reading side has ended, and all it said is written; the end is yet to be passed on.
    Ended,
    /// The reading side broke.
    ReadFailed(io::Error),
    /// The writing side broke.
    WriteFailed(io::Error),
}

impl Direction {
    pub(super) fn new(rest: Vec<u8>, delivered: u64) -> Self {
        Self {
            rest: Rest::of(rest, None),
            conduit: Conduit::new(),
            bulk: false,
            small: 0,
            stage: Stage::Open,
            delivered,
        }
    }

    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Whether bytes wait because the writing side takes none.
    pub(super) fn is_stopped(&self) -> bool {
        self.rest.is_some() || self.conduit.holds()
    }

    /// Moves what can be moved in one turn, and arranges to be woken when more can be.
    pub(super) fn pump(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Peer,
        to: &mut Peer,
        buffers: &Buffers,
    ) -> Flow {
        let (from, to) = (from.stream_mut(), to.stream_mut());
        let before = self.delivered;
        let result = match self.stage {
            Stage::Over => return Flow::Idle,
            Stage::Open | Stage::Ending => self.advance(context, from, to, buffers),
        };
        match result {
            Err(flow) => flow,
            Ok(()) if self.stage == Stage::Ending && !self.is_stopped() => Flow::Ended,
            Ok(()) if self.delivered > before => Flow::Moved,
            Ok(()) => Flow::Idle,
        }
    }

    fn advance(
        &mut self,
        context: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
        buffers: &Buffers,
    ) -> Result<(), Flow> {
        if !self.write_rest(context, to)? {
            return Ok(());
        }
        if self.bulk || self.conduit.holds() {
            return self.splice(context, from, to, buffers);
        }
        for _ in 0..READS_PER_TURN {
            if self.stage != Stage::Open || !self.copy(context, from, to, buffers)? {
                return Ok(());
            }
            if self.bulk {
                break;
            }
        }
        // Others have their turn first; the reactor would not call again for what is there already.
        context.waker().wake_by_ref();
        Ok(())
    }

    /// Writes what was left; says whether all of it is gone.
    fn write_rest(&mut self, context: &mut Context<'_>, to: &mut TcpStream) -> Result<bool, Flow> {
        let Some(rest) = &mut self.rest else { return Ok(true) };
        while rest.written < rest.bytes.len() {
            match poll_send(context, to, &rest.bytes[rest.written..]) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Ok(written)) => {
                    self.delivered += written as u64;
                    rest.written += written;
                }
                Poll::Ready(Err(error)) => return Err(Flow::WriteFailed(error)),
            }
        }
        self.rest = None;
        Ok(true)
    }

    /// Reads once and writes at once; says whether to go on.
    fn copy(
        &mut self,
        context: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
        buffers: &Buffers,
    ) -> Result<bool, Flow> {
        buffers.with_copy(|buffer| {
            let read = match poll_receive(context, from, buffer) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(error)) => return Err(Flow::ReadFailed(error)),
                Poll::Ready(Ok(read)) => read,
            };
            self.bulk = read == COPY;
            self.pass(context, to, &buffer[..read])
        })
    }

    /// Writes what was just read (nothing: the end); says whether to go on reading.
    fn pass(
        &mut self,
        context: &mut Context<'_>,
        to: &mut TcpStream,
        mut data: &[u8],
    ) -> Result<bool, Flow> {
        if data.is_empty() {
            self.stage = Stage::Ending;
            return Ok(false);
        }
        while !data.is_empty() {
            match poll_send(context, to, data) {
                Poll::Pending => {
                    self.rest = Rest::of(data.to_vec(), None);
                    return Ok(false);
                }
                Poll::Ready(Ok(written)) => {
                    self.delivered += written as u64;
                    data = &data[written..];
                }
                Poll::Ready(Err(error)) => return Err(Flow::WriteFailed(error)),
            }
        }
        Ok(true)
    }

    /// One read although the reactor holds the socket for empty: splice stops for ever in front of
    /// a byte of urgent data, which recv passes over.
    fn copy_in_doubt(
        &mut self,
        context: &mut Context<'_>,
        from: &TcpStream,
        to: &mut TcpStream,
        buffers: &Buffers,
    ) -> Result<(), Flow> {
        let went_on = buffers.with_copy(|buffer| match read_in_doubt(from, buffer) {
            Ok(Some(read)) => self.pass(context, to, &buffer[..read]),
            Ok(None) => Ok(false),
            Err(error) => Err(Flow::ReadFailed(error)),
        })?;
        if went_on {
            context.waker().wake_by_ref();
        }
        Ok(())
    }

    /// One splice into the pipe and out of it.
    fn splice(
        &mut self,
        context: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
        buffers: &Buffers,
    ) -> Result<(), Flow> {
        if !self.conduit.holds() && self.stage == Stage::Open {
            match self.conduit.poll_fill(context, from, usize::MAX, buffers) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(Filled::Bytes(moved))) => {
                    self.small = if moved < SMALL { self.small + 1 } else { 0 };
                }
                Poll::Ready(Ok(Filled::Ended)) => self.stage = Stage::Ending,
                Poll::Ready(Ok(Filled::NoPipe)) => {
                    // The quota is used up: copy, and ask again with the next full read.
                    self.bulk = false;
                    context.waker().wake_by_ref();
                    return Ok(());
                }
                Poll::Ready(Ok(Filled::InVain)) => {
                    return self.copy_in_doubt(context, from, to, buffers);
                }
                Poll::Ready(Err(error)) => return Err(Flow::ReadFailed(error)),
            }
        }
        if !self.drain(context, to)? {
            return Ok(());
        }
        if self.small >= SMALL_IN_A_ROW {
            self.bulk = false;
            self.small = 0;
        }
        if !self.bulk {
            self.conduit.let_go(buffers);
        }
        if self.stage == Stage::Open {
            // One pair per turn: then the other sessions, then this one again.
            context.waker().wake_by_ref();
        }
        Ok(())
    }

    /// Says whether the pipe is empty.
    fn drain(&mut self, context: &mut Context<'_>, to: &TcpStream) -> Result<bool, Flow> {
        let Self { conduit, delivered, .. } = self;
        match conduit.poll_drain(context, to, |count| *delivered += count) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(())) => Ok(true),
            Poll::Ready(Err(error)) => Err(Flow::WriteFailed(error)),
        }
    }

    /// The end of the stream is dealt with. Unless the session is over with it, the writing side
    /// is told that no more will come.
    pub(super) fn pass_end(&mut self, to: &Peer, tell: bool, buffers: &Buffers) {
        self.stage = Stage::Over;
        self.conduit.let_go(buffers);
        if tell {
            // Fails only where the connection is gone: the other direction hears why.
            let _ = socket2::SockRef::from(to.stream()).shutdown(std::net::Shutdown::Write);
        }
    }

    /// Gives the pipe back although bytes are in it: they move to memory, if there is room.
    pub(super) fn give_pipe_back(&mut self, buffers: &Buffers) {
        let Some(content) = self.conduit.content() else { return };
        let Some(parked) = buffers.park(content) else { return };
        let mut bytes = self.conduit.take_out(buffers);
        match &mut self.rest {
            Some(rest) => rest.bytes.append(&mut bytes),
            None => self.rest = Rest::of(bytes, Some(parked)),
        }
    }

    /// Writes on what was read already, for a session whose reading side is gone; says whether all
    /// of it is written.
    pub(super) fn flush(&mut self, context: &mut Context<'_>, to: &mut Peer) -> Poll<bool> {
        match self.write_rest(context, to.stream_mut()) {
            Ok(true) => {}
            Ok(false) => return Poll::Pending,
            Err(_) => return Poll::Ready(false),
        }
        match self.drain(context, to.stream()) {
            Ok(true) => Poll::Ready(true),
            Ok(false) => Poll::Pending,
            Err(_) => Poll::Ready(false),
        }
    }
}
