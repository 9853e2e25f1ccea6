//! Large bodies between plain sockets go through a pipe, and through no memory of ours.

use super::super::fault::{Fault, Side, Way};
use super::{Pump, Source};
use crate::stream::Stream;
use eclusa_proxy::layer7::{Filled, Splice, read_in_doubt};
use std::task::{Context, Poll, ready};
use tokio::net::TcpStream;

impl Pump {
    /// Whether what is left of the body goes through a pipe.
    pub(super) fn is_spliced(&self, from: &Stream, to: &Stream) -> bool {
        let plain = matches!((from, to), (Stream::Plain(_), Stream::Plain(_)));
        let left = self.way == Way::Plain && matches!(self.source, Source::Length(_));
        plain && self.splice.as_ref().is_some_and(|splice| left || splice.holds())
    }

    /// Moves a part of the body through a pipe. One part a turn: then the others, then this one again.
    pub(super) fn poll_splice(
        &mut self,
        context: &mut Context<'_>,
        (from, to): (&TcpStream, &TcpStream),
    ) -> Poll<Result<(), Fault>> {
        if !self.splice.as_ref().is_some_and(Splice::holds) {
            ready!(self.poll_fill(context, from))?;
        }
        let Self { splice: Some(splice), sent, .. } = self else { return Poll::Ready(Ok(())) };
        let drained = splice.poll_drain(context, to, |count| *sent += count);
        drained.map_err(|error| Fault::Broken(Side::To, error))
    }

    /// Takes a part of the body into the pipe.
    pub(super) fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        from: &TcpStream,
    ) -> Poll<Result<(), Fault>> {
        let Self { splice: Some(splice), source: Source::Length(left), .. } = self else {
            return Poll::Ready(Ok(()));
        };
        let broken = |error| Fault::Broken(Side::From, error);
        let room = (*left).min(self.most.saturating_sub(self.moved).saturating_add(1));
        match ready!(splice.poll_fill(context, from, room)).map_err(broken)? {
            Filled::Bytes(count) => {
                *left -= count as u64;
                self.taken += count as u64;
                self.moved += count as u64;
                if *left == 0 {
                    self.source = Source::Ended;
                }
                let is_within = self.moved <= self.most;
                Poll::Ready(if is_within { Ok(()) } else { Err(Fault::TooLong) })
            }
            Filled::Ended => Poll::Ready(Err(Fault::Early)),
            Filled::NoPipe => {
                self.splice = None;
                Poll::Ready(Ok(()))
            }
            Filled::InVain => {
                let mut bytes = [0; 1024];
                let room = usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()));
                let read = read_in_doubt(from, bytes.get_mut(..room).unwrap_or_default());
                match read.map_err(broken)? {
                    None => Poll::Pending,
                    Some(0) => Poll::Ready(Err(Fault::Early)),
                    Some(read) => {
                        Poll::Ready(self.take(bytes.get(..read).unwrap_or_default()).map(drop))
                    }
                }
            }
        }
    }

    /// Whether something follows at once on what is ready.
    pub(super) fn is_followed(&self) -> bool {
        let ends = self.is_last && matches!(self.source, Source::Ended);
        ends || self.splice.as_ref().is_some_and(Splice::holds)
    }
}
