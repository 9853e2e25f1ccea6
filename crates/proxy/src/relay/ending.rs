//! The end of a session: what was said before a reset is delivered, then the reset is passed on.

use super::{After, Finished, Peer, Relay};
use crate::observe::Who;
use eclusa_sys::socket::{reset_on_close, send_queue};
use std::future::poll_fn;
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// A receiver that takes nothing for this long gets the reset all the same.
const PATIENCE: Duration = Duration::from_secs(1);
/// And however slowly it takes, it gets the reset after this long.
const AT_MOST: Duration = Duration::from_secs(30);
/// First pause between two looks at the send queue; doubled up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(50);

impl Relay {
    /// Does what is left to do, and closes both connections. Returns the bytes delivered.
    pub(crate) async fn close(mut self, finished: &Finished) -> (u64, u64) {
        if finished.after != After::Close {
            // First of all: however this ends, it ends with a reset.
            reset_on_close(self.client.stream().as_fd());
            reset_on_close(self.endpoint.stream().as_fd());
        }
        if let After::Deliver(from) = finished.after {
            self.deliver(from).await;
        }
        self.bytes()
    }

    /// Writes what `from` said before it broke, and waits until the other side has it: a reset
    /// sent earlier would overtake it and make the receiver's kernel throw it away.
    async fn deliver(&mut self, from: Who) {
        let (direction, to) = match from {
            Who::Client => (&mut self.up, &mut self.endpoint),
            _ => (&mut self.down, &mut self.client),
        };
        let until = Instant::now() + AT_MOST;
        let mut written = direction.delivered();
        loop {
            let flushed = timeout(PATIENCE, poll_fn(|context| direction.flush(context, to))).await;
            match flushed {
                Ok(true) => break,
                Ok(false) => return,
                Err(_) if direction.delivered() == written || Instant::now() >= until => return,
                Err(_) => written = direction.delivered(),
            }
        }
        wait_for_acknowledgement(to, until).await;
    }
}

async fn wait_for_acknowledgement(to: &Peer, until: Instant) {
    let mut pause = FIRST_PAUSE;
    let mut progress = Instant::now();
    let mut before = usize::MAX;
    loop {
        let queued = send_queue(to.stream().as_fd()).unwrap_or(0);
        let now = Instant::now();
        if queued < before {
            before = queued;
            progress = now;
        }
        if queued == 0 || now - progress >= PATIENCE || now >= until {
            return;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}
