//! A syslog at a unix socket, which may take datagrams (as `/dev/log` of systemd does) or streams.

use super::{Batch, Connection, Datagrams, Target};
use rustix::io::Errno;
use std::io;
use std::path::Path;

/// A syslog on this host.
#[derive(Debug)]
pub(super) struct Local {
    datagrams: Datagrams,
    stream: Connection,
    takes_streams: bool,
}

impl Local {
    pub(super) fn new(path: &Path) -> Self {
        let (datagrams, stream) = (Datagrams::unix(path), Connection::unix(path));
        Self { datagrams, stream, takes_streams: false }
    }
}

impl Target for Local {
    fn write(&mut self, batch: &mut Batch) -> io::Result<()> {
        // Twice at most: whoever listens may have changed its mind since the last time.
        for _ in 0..2 {
            let target: &mut dyn Target =
                if self.takes_streams { &mut self.stream } else { &mut self.datagrams };
            match target.write(batch) {
                Err(error) if Errno::from_io_error(&error) == Some(Errno::PROTOTYPE) => {
                    self.takes_streams = !self.takes_streams;
                }
                written => return written,
            }
        }
        Err(Errno::PROTOTYPE.into())
    }
}
