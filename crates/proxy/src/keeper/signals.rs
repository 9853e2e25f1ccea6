//! Signals to the keeper, as something that can be polled.

use rustix::process::Signal;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// What the keeper hears. The last says that a child has ended; all others are for the engine.
const HEARD: [Signal; 5] = [Signal::TERM, Signal::INT, Signal::HUP, Signal::USR1, Signal::CHILD];

/// One stream for each signal: a byte has come for each that has.
#[derive(Debug)]
pub(super) struct Signals(Vec<(Signal, UnixStream)>);

impl Signals {
    /// From now on signals are heard, and end nothing.
    pub(super) fn new() -> io::Result<Self> {
        let listen = |signal: Signal| {
            let (ours, handlers) = UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            signal_hook::low_level::pipe::register(signal.as_raw(), handlers)?;
            Ok((signal, ours))
        };
        HEARD.into_iter().map(listen).collect::<io::Result<_>>().map(Self)
    }

    /// To be watched for being readable.
    pub(super) fn watched(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.0.iter().map(|(_, stream)| stream.as_fd())
    }

    /// Those that have come since the last call, each once.
    pub(super) fn come(&mut self) -> Vec<Signal> {
        let mut come = Vec::new();
        for (signal, stream) in &mut self.0 {
            let mut bytes = [0; 64];
            let mut any = false;
            while stream.read(&mut bytes).is_ok_and(|read| read > 0) {
                any = true;
            }
            come.extend(any.then_some(*signal));
        }
        come
    }
}
