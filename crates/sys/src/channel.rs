//! Messages between two processes of ours, each whole and with descriptors if need be: unix(7),
//! `SOCK_SEQPACKET`, `SCM_RIGHTS`.

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair, sockopt,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Descriptors that one message can carry (`SCM_MAX_FD` of the kernel).
pub const DESCRIPTORS_MAX: usize = 253;

/// One message.
#[derive(Debug, Default)]
pub struct Received {
    /// What it says; never empty.
    pub bytes: Vec<u8>,
    /// What came with it, closed on exec.
    pub descriptors: Vec<OwnedFd>,
}

/// Two ends of a channel, closed on exec.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOBUFS`.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Whether this is an end of a channel.
#[must_use]
pub fn is_channel(descriptor: BorrowedFd<'_>) -> bool {
    sockopt::socket_domain(descriptor) == Ok(AddressFamily::UNIX)
        && sockopt::socket_type(descriptor) == Ok(SocketType::SEQPACKET)
}

/// Sends one message; `wait` says whether it may block until the other side has read some.
///
/// # Errors
/// `EPIPE` when the other side is gone; `EAGAIN` when it does not read and nobody waits (or a
/// timeout of the socket has passed); `EMSGSIZE`; `EINVAL` with more than [`DESCRIPTORS_MAX`].
pub fn send(
    channel: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
    wait: bool,
) -> io::Result<()> {
    if descriptors.len() > DESCRIPTORS_MAX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        // There is room for as many.
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let flags = if wait { SendFlags::empty() } else { SendFlags::DONTWAIT };
    let flags = flags | SendFlags::NOSIGNAL;
    loop {
        match sendmsg(channel, &[IoSlice::new(bytes)], &mut control, flags) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(()),
        }
    }
}

/// Receives one message of at most `max` bytes; `None` when the other side is gone.
///
/// # Errors
/// `InvalidData` when the message is longer; `EAGAIN` when there is none and nobody waits (or a
/// timeout of the socket has passed); `EMFILE` shows as missing descriptors: `InvalidData`.
pub fn receive(channel: BorrowedFd<'_>, max: usize, wait: bool) -> io::Result<Option<Received>> {
    let mut bytes = vec![0; max];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = if wait { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let got = loop {
        match recvmsg(channel, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags) {
            Err(rustix::io::Errno::INTR) => {}
            // A peer that was killed with something of ours unread.
            Err(rustix::io::Errno::CONNRESET) => return Ok(None),
            other => break other?,
        }
    };
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    if got.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message that was cut off"));
    }
    if got.bytes == 0 {
        return Ok(None);
    }
    bytes.truncate(got.bytes);
    Ok(Some(Received { bytes, descriptors }))
}

/// Limits how long [`send`] and [`receive`] wait.
///
/// # Errors
/// None that is known for a socket.
pub fn set_patience(channel: BorrowedFd<'_>, limit: std::time::Duration) -> io::Result<()> {
    sockopt::set_socket_timeout(channel, sockopt::Timeout::Recv, Some(limit))?;
    Ok(sockopt::set_socket_timeout(channel, sockopt::Timeout::Send, Some(limit))?)
}

/// Blocks until the other end of the channel is closed; messages that wait do not end it.
///
/// # Errors
/// None that is known for a socket.
pub fn wait_for_end(channel: BorrowedFd<'_>) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    loop {
        let mut watched = [PollFd::from_borrowed_fd(channel.as_fd(), PollFlags::RDHUP)];
        match poll(&mut watched, None) {
            Err(rustix::io::Errno::INTR) | Ok(0) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;

    #[test]
    fn a_message_arrives_whole_with_its_descriptors() {
        let (ours, theirs) = pair().unwrap();
        assert!(is_channel(ours.as_fd()));
        let file = File::open("/proc/self/status").unwrap();
        send(ours.as_fd(), b"two", &[file.as_fd(), ours.as_fd()], true).unwrap();
        send(ours.as_fd(), b"none", &[], true).unwrap();
        let first = receive(theirs.as_fd(), 100, true).unwrap().unwrap();
        assert_eq!((first.bytes.as_slice(), first.descriptors.len()), (&b"two"[..], 2));
        let mut text = String::new();
        File::from(first.descriptors.into_iter().next().unwrap())
            .read_to_string(&mut text)
            .unwrap();
        assert!(text.starts_with("Name:"));
        assert_eq!(receive(theirs.as_fd(), 100, true).unwrap().unwrap().bytes, b"none");
        let error = receive(theirs.as_fd(), 100, false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_long_message_is_an_error_and_an_end_is_none() {
        let (ours, theirs) = pair().unwrap();
        send(ours.as_fd(), &[b'x'; 101], &[], true).unwrap();
        let error = receive(theirs.as_fd(), 100, true).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        drop(ours);
        wait_for_end(theirs.as_fd()).unwrap();
        assert!(receive(theirs.as_fd(), 100, true).unwrap().is_none());
        assert!(send(theirs.as_fd(), b"x", &[], true).is_err());
        assert!(!is_channel(File::open("/dev/null").unwrap().as_fd()));
    }

    #[test]
    fn as_many_descriptors_as_the_kernel_takes() {
        let (ours, theirs) = pair().unwrap();
        let many = [ours.as_fd(); DESCRIPTORS_MAX];
        send(ours.as_fd(), b"x", &many, true).unwrap();
        let got = receive(theirs.as_fd(), 100, true).unwrap().unwrap();
        assert_eq!(got.descriptors.len(), DESCRIPTORS_MAX);
        assert!(send(ours.as_fd(), b"x", &[ours.as_fd(); DESCRIPTORS_MAX + 1], true).is_err());
    }
}
