//! The TCP probe: a connection that stands is enough. It tells nothing of the program behind it
//! (a frozen one still has its connections accepted by the kernel).

use eclusa_sys::socket::reset_on_close;
use std::io;
use std::os::fd::AsFd;
use tokio::net::TcpStream;

/// Ends a probe that has connected. Closed with a reset: the endpoint's program, which has nothing
/// to read, is not bothered with a session, and no TIME_WAIT stays behind.
pub(super) fn finish(stream: TcpStream) -> io::Result<()> {
    reset_on_close(stream.as_fd());
    Ok(())
}
