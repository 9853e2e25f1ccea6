//! Moves bytes both ways. A connection at rest holds no buffer: bytes go through the thread's, and only
//! what the other side does not take is kept.

use crate::patience::{Alarm, Mark, while_moving};
use crate::scratch::with_scratch;
use crate::stream::{PIECE, Stream};
use eclusa_proxy::layer7::{Connection, End, Step, Who, give_way, is_long};
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Reads of one turn, so that one connection cannot hold the worker.
const READS_PER_TURN: u32 = 8;

/// One direction.
struct Way {
    /// What was read and not taken yet; what of it was.
    rest: Vec<u8>,
    written: usize,
    /// The last read found as much as it had room for: there is more.
    is_bulk: bool,
    /// Bytes delivered.
    moved: u64,
    /// The reading side has ended.
    ended: bool,
    /// And the other was told so.
    over: bool,
}

impl Way {
    fn new(rest: Vec<u8>) -> Self {
        Self { rest, written: 0, is_bulk: false, moved: 0, ended: false, over: false }
    }

    /// Moves on; an error is with the side that it came from: `true`, the one that is read.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
    ) -> Poll<Result<(), (bool, io::Error)>> {
        if self.over {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..READS_PER_TURN {
            ready!(self.drain(context, to)).map_err(|error| (false, error))?;
            if self.ended {
                ready!(to.poll_shutdown(context)).map_err(|error| (false, error))?;
                self.over = true;
                return Poll::Ready(Ok(()));
            }
            ready!(self.read(context, from, to))?;
            if is_long() {
                break;
            }
        }
        // Others have their turn first.
        give_way(context);
        Poll::Pending
    }

    fn drain(&mut self, context: &mut Context<'_>, to: &mut Stream) -> Poll<io::Result<()>> {
        while let Some(rest) = self.rest.get(self.written..).filter(|rest| !rest.is_empty()) {
            let count = ready!(to.poll_write(context, rest))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
            self.moved += count as u64;
        }
        if self.written > 0 {
            (self.rest, self.written) = (Vec::new(), 0);
        }
        to.poll_flush(context)
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
    ) -> Poll<Result<(), (bool, io::Error)>> {
        with_scratch(|scratch| {
            let wanted = if self.is_bulk { scratch.len() } else { PIECE.min(scratch.len()) };
            let room = scratch.get_mut(..to.takes_of(wanted)).unwrap_or_default();
            let read = ready!(from.poll_read(context, room)).map_err(|error| (true, error))?;
            (self.ended, self.is_bulk) = (read == 0, read == room.len());
            let mut bytes = scratch.get(..read).unwrap_or_default();
            while !bytes.is_empty() {
                match to.poll_write(context, bytes) {
                    Poll::Pending => break,
                    Poll::Ready(Ok(0)) => {
                        return Poll::Ready(Err((false, io::ErrorKind::WriteZero.into())));
                    }
                    Poll::Ready(Ok(count)) => {
                        self.moved += count as u64;
                        bytes = bytes.get(count..).unwrap_or_default();
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err((false, error))),
                }
            }
            self.rest.extend_from_slice(bytes);
            Poll::Ready(Ok(()))
        })
    }
}

/// Carries both directions to their ends. `up` and `down` come first: what each side has said already.
pub(crate) async fn both(
    connection: &Connection,
    (mut client, up): (Stream, Vec<u8>),
    (mut endpoint, down): (Stream, Vec<u8>),
) -> (End, (u64, u64)) {
    let (mut up, mut down) = (Way::new(up), Way::new(down));
    let idle = connection.idle_timeout().unwrap_or(Duration::from_secs(u32::MAX.into()));
    let half_closed = connection.half_closed_timeout();
    let (mut first, mut seen) = (None, 0);
    let alarm = Alarm::default();
    let moved = while_moving(&alarm, |context| {
        let went_up = up.poll(context, &mut client, &mut endpoint);
        let went_down = down.poll(context, &mut endpoint, &mut client);
        let moved = up.moved.saturating_add(down.moved);
        if moved != seen {
            seen = moved;
            connection.carried((up.moved, down.moved));
        }
        let of_up = |read: bool| if read { Who::Client } else { Who::Endpoint };
        let of_down = |read: bool| if read { Who::Endpoint } else { Who::Client };
        if let Poll::Ready(Err((read, error))) = went_up {
            return Ok(Err((of_up(read), error)));
        }
        if let Poll::Ready(Err((read, error))) = went_down {
            return Ok(Err((of_down(read), error)));
        }
        match (up.ended, down.ended) {
            (true, false) => first = first.or(Some(Who::Client)),
            (false, true) => first = first.or(Some(Who::Endpoint)),
            _ => {}
        }
        if up.over && down.over {
            return Ok(Ok(first.unwrap_or(Who::Client)));
        }
        let patience = if up.over || down.over { half_closed } else { idle };
        Err(Mark { moved, patience })
    });
    let end = match moved.await {
        Some(Ok(who)) => End::clean(who),
        Some(Err((who, error))) => End::abort(who, Step::Data, error.to_string()),
        None => End::timeout(first.map_or(Who::Client, other), Step::Data, "no byte moved"),
    };
    if end.step() == Step::Data && !(up.over && down.over) {
        client.reset_on_close();
        endpoint.reset_on_close();
    }
    (end, (up.moved, down.moved))
}

/// Once one side has ended it is the other that keeps silent.
fn other(who: Who) -> Who {
    if who == Who::Client { Who::Endpoint } else { Who::Client }
}
