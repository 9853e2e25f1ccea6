//! One direction of a relay: copy for small data, splice for bulk, and back.

use super::buffers::{Buffers, COPY, Parked, PooledPipe};
use super::peer::Peer;
use rustix::io::Errno;
use rustix::net::RecvFlags;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
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
    pipe: Option<PooledPipe>,
    in_pipe: u32,
    /// The last reads were large: what comes next is spliced from its first byte.
    bulk: bool,
    small: u8,
    /// Nothing was spliced since the reading side last rested.
    nothing_yet: bool,
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

/// What came of filling a pipe.
enum Fill {
    /// Something to drain, or the end.
    Some,
    /// The reading side rests.
    Nothing,
    /// The reactor held the reading side for ready, and splice found nothing.
    InVain,
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
            pipe: None,
            in_pipe: 0,
            bulk: false,
            small: 0,
            nothing_yet: true,
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
        self.rest.is_some() || self.in_pipe > 0
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
        if self.bulk || self.in_pipe > 0 {
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
            match write(context, to, &rest.bytes[rest.written..]) {
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
            let read = match read(context, from, buffer) {
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
            match write(context, to, data) {
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
        let went_on = buffers.with_copy(|buffer| {
            match rustix::net::recv(from, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((read, _)) => self.pass(context, to, &buffer[..read]),
                Err(Errno::AGAIN | Errno::INTR) => Ok(false),
                Err(error) => Err(Flow::ReadFailed(error.into())),
            }
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
        if self.in_pipe == 0 && self.stage == Stage::Open {
            match self.fill_pipe(context, from, buffers)? {
                Fill::Some => {}
                Fill::Nothing => return Ok(()),
                Fill::InVain => return self.copy_in_doubt(context, from, to, buffers),
            }
        }
        if !self.drain_pipe(context, to)? {
            return Ok(());
        }
        if self.small >= SMALL_IN_A_ROW {
            self.bulk = false;
            self.small = 0;
        }
        if !self.bulk
            && let Some(pipe) = self.pipe.take()
        {
            buffers.return_pipe(pipe);
        }
        if self.stage == Stage::Open {
            // One pair per turn: then the other sessions, then this one again.
            context.waker().wake_by_ref();
        }
        Ok(())
    }

    fn fill_pipe(
        &mut self,
        context: &mut Context<'_>,
        from: &mut TcpStream,
        buffers: &Buffers,
    ) -> Result<Fill, Flow> {
        let mut refused = false;
        loop {
            match from.poll_read_ready(context) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => return Err(Flow::ReadFailed(error)),
                Poll::Ready(Ok(())) => {}
            }
            if self.pipe.is_none() {
                self.pipe = buffers.take_pipe();
            }
            let Some(pipe) = &self.pipe else {
                // The quota is used up: copy, and ask again with the next full read.
                self.bulk = false;
                context.waker().wake_by_ref();
                return Ok(Fill::Nothing);
            };
            match from.try_io(Interest::READABLE, || pipe.fill(from.as_fd(), usize::MAX)) {
                Ok(0) => {
                    self.stage = Stage::Ending;
                    return Ok(Fill::Some);
                }
                Ok(moved) => {
                    self.in_pipe = u32::try_from(moved).unwrap_or(u32::MAX);
                    self.nothing_yet = false;
                    self.small = if moved < SMALL { self.small + 1 } else { 0 };
                    return Ok(Fill::Some);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => refused = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Flow::ReadFailed(error)),
            }
        }
        // The reading side rests: others may use the pipe.
        if let Some(pipe) = self.pipe.take() {
            buffers.return_pipe(pipe);
        }
        let nothing_yet = std::mem::replace(&mut self.nothing_yet, true);
        Ok(if refused && nothing_yet { Fill::InVain } else { Fill::Nothing })
    }

    /// Says whether the pipe is empty.
    fn drain_pipe(&mut self, context: &mut Context<'_>, to: &mut TcpStream) -> Result<bool, Flow> {
        let Some(pipe) = &self.pipe else { return Ok(true) };
        while self.in_pipe > 0 {
            match to.poll_write_ready(context) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(error)) => return Err(Flow::WriteFailed(error)),
                Poll::Ready(Ok(())) => {}
            }
            let len = self.in_pipe as usize;
            match to.try_io(Interest::WRITABLE, || pipe.drain(to.as_fd(), len, false)) {
                Ok(moved) => {
                    self.delivered += moved as u64;
                    self.in_pipe -= u32::try_from(moved).unwrap_or(self.in_pipe);
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(Flow::WriteFailed(error)),
            }
        }
        Ok(true)
    }

    /// The end of the stream is dealt with. Unless the session is over with it, the writing side
    /// is told that no more will come.
    pub(super) fn pass_end(&mut self, to: &Peer, tell: bool, buffers: &Buffers) {
        self.stage = Stage::Over;
        if let Some(pipe) = self.pipe.take() {
            buffers.return_pipe(pipe);
        }
        if tell {
            // Fails only where the connection is gone: the other direction hears why.
            let _ = socket2::SockRef::from(to.stream()).shutdown(std::net::Shutdown::Write);
        }
    }

    /// Gives the pipe back although bytes are in it: they move to memory, if there is room.
    pub(super) fn give_pipe_back(&mut self, buffers: &Buffers) {
        if self.pipe.is_none() {
            return;
        }
        let Some(parked) = buffers.park(self.in_pipe as usize) else { return };
        let Some(pipe) = self.pipe.take() else { return };
        let mut bytes = vec![0; self.in_pipe as usize];
        let mut filled = 0;
        while filled < bytes.len() {
            match pipe.read(&mut bytes[filled..]) {
                Ok(read) if read > 0 => filled += read,
                // Cannot be: the bytes are there. The pipe stays where they are.
                _ => break,
            }
        }
        bytes.truncate(filled);
        self.in_pipe -= u32::try_from(filled).unwrap_or(self.in_pipe);
        match &mut self.rest {
            Some(rest) => rest.bytes.append(&mut bytes),
            None => self.rest = Rest::of(bytes, Some(parked)),
        }
        if self.in_pipe > 0 {
            self.pipe = Some(pipe);
        } else {
            buffers.return_pipe(pipe);
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
        match self.drain_pipe(context, to.stream_mut()) {
            Ok(true) => Poll::Ready(true),
            Ok(false) => Poll::Pending,
            Err(_) => Poll::Ready(false),
        }
    }
}

// tokio's own `poll_read` and `poll_write` know that a short read or write has emptied or filled the
// socket and save the system call that would only say so; `try_read` does not.

fn read(
    context: &mut Context<'_>,
    from: &mut TcpStream,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buffer = ReadBuf::new(buffer);
    let result = Pin::new(from).poll_read(context, &mut buffer);
    result.map_ok(|()| buffer.filled().len())
}

fn write(context: &mut Context<'_>, to: &mut TcpStream, data: &[u8]) -> Poll<io::Result<usize>> {
    Pin::new(to).poll_write(context, data)
}
