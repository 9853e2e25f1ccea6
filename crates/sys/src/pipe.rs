//! Pipes for splice(2): bytes move from socket to socket without entering user space.

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A pipe with both its ends, non-blocking.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    capacity: usize,
}

impl Pipe {
    /// Opens a pipe of `capacity` bytes.
    ///
    /// # Errors
    /// Whatever pipe2(2) says, or `EPERM` of `F_SETPIPE_SZ` where the user's quota
    /// (`fs.pipe-user-pages-soft`, pipe(7)) is used up.
    pub fn open(capacity: usize) -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let capacity = fcntl_setpipe_size(&write, capacity)?;
        Ok(Self { read, write, capacity })
    }

    /// Bytes that it can hold (fewer where they come in small pieces: each takes a whole page).
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Moves up to `most` bytes, and up to the pipe's capacity, from a socket into the pipe; 0 means
    /// end of stream.
    ///
    /// # Errors
    /// `WouldBlock` when the socket has nothing (or the pipe is full), or the socket's error.
    pub fn fill(&self, from: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let most = most.min(self.capacity);
        Ok(splice(from, None, self.write.as_fd(), None, most, flags)?)
    }

    /// Moves up to `len` bytes from the pipe into a socket. `more` says that further bytes will
    /// follow at once, so that the kernel may wait for a full segment.
    ///
    /// # Errors
    /// `WouldBlock` when the socket takes nothing (or the pipe is empty), or the socket's error.
    pub fn drain(&self, to: BorrowedFd<'_>, len: usize, more: bool) -> io::Result<usize> {
        let mut flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        if more {
            flags |= SpliceFlags::MORE;
        }
        Ok(splice(self.read.as_fd(), None, to, None, len, flags)?)
    }

    /// Reads what is in the pipe into memory, for a session that gives its pipe back.
    ///
    /// # Errors
    /// `WouldBlock` when the pipe is empty.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.read, buffer)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn bytes_pass_from_socket_to_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut a = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (b, _) = listener.accept().unwrap();
        let c = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut d, _) = listener.accept().unwrap();
        let pipe = Pipe::open(65536).unwrap();
        assert!(pipe.capacity() >= 65536);
        a.write_all(b"hello").unwrap();
        a.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(pipe.fill(b.as_fd(), 2).unwrap(), 2);
        assert_eq!(pipe.fill(b.as_fd(), usize::MAX).unwrap(), 3);
        assert_eq!(pipe.fill(b.as_fd(), usize::MAX).unwrap(), 0);
        assert_eq!(pipe.drain(c.as_fd(), 5, false).unwrap(), 5);
        let mut got = [0; 5];
        d.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"hello");
        let empty = pipe.drain(c.as_fd(), 5, false).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
    }
}
