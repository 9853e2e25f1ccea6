//! What the kernel knows of a TCP connection (`TCP_INFO`, tcp(7); `linux/tcp.h`).

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// The head of the kernel's `struct tcp_info`, as far as this crate reads it (all of it since
/// Linux 4.6; the structure only ever grows at its end).
#[repr(C)]
#[derive(Clone, Copy)]
struct RawTcpInfo {
    state: u8,
    ca_state: u8,
    retransmits: u8,
    probes: u8,
    backoff: u8,
    options: u8,
    window_scales: u8,
    flags: u8,
    rto: u32,
    ato: u32,
    snd_mss: u32,
    rcv_mss: u32,
    unacked: u32,
    sacked: u32,
    lost: u32,
    retrans: u32,
    fackets: u32,
    last_data_sent: u32,
    last_ack_sent: u32,
    last_data_recv: u32,
    last_ack_recv: u32,
    pmtu: u32,
    rcv_ssthresh: u32,
    rtt: u32,
    rttvar: u32,
    snd_ssthresh: u32,
    snd_cwnd: u32,
    advmss: u32,
    reordering: u32,
    rcv_rtt: u32,
    rcv_space: u32,
    total_retrans: u32,
    pacing_rate: u64,
    max_pacing_rate: u64,
    bytes_acked: u64,
    bytes_received: u64,
    segs_out: u32,
    segs_in: u32,
    notsent_bytes: u32,
    min_rtt: u32,
}

/// What a session wants to know of one of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpInfo {
    /// The connection is gone: reset, timed out, or closed on both sides.
    pub closed: bool,
    /// Smoothed round-trip time.
    pub rtt: Duration,
    /// Segments sent again since the connection began.
    pub retransmits: u32,
    /// Segments on their way that the peer has not acknowledged.
    pub unacknowledged: u32,
    /// Bytes in the send queue that were never sent: the peer's window, or ours, is closed.
    pub not_sent: u32,
    /// Window probes in a row that the peer did not answer.
    pub unanswered_probes: u8,
    /// Time since the peer last acknowledged anything.
    pub last_ack: Duration,
    /// Time since data was last sent, repeated data included.
    pub last_sent: Duration,
}

/// State 7 of `linux/tcp_states.h`.
const TCP_CLOSE: u8 = 7;

/// Asks the kernel about a TCP socket.
///
/// # Errors
/// Whatever getsockopt(2) says; a socket that is no TCP socket is `ENOPROTOOPT` or `EOPNOTSUPP`.
pub fn tcp_info(socket: BorrowedFd<'_>) -> io::Result<TcpInfo> {
    let mut raw = MaybeUninit::<RawTcpInfo>::zeroed();
    let mut length = size_of::<RawTcpInfo>() as libc::socklen_t;
    // SAFETY: `raw` is writable for `length` bytes, the kernel writes at most that many, and every
    // bit pattern (zeroes included) is a valid `RawTcpInfo`.
    let raw = unsafe {
        if libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            raw.as_mut_ptr().cast(),
            &raw mut length,
        ) != 0
        {
            return Err(io::Error::last_os_error());
        }
        raw.assume_init()
    };
    Ok(TcpInfo {
        closed: raw.state == TCP_CLOSE,
        rtt: Duration::from_micros(u64::from(raw.rtt)),
        retransmits: raw.total_retrans,
        unacknowledged: raw.unacked,
        not_sent: raw.notsent_bytes,
        unanswered_probes: raw.probes,
        last_ack: Duration::from_millis(u64::from(raw.last_ack_recv)),
        last_sent: Duration::from_millis(u64::from(raw.last_data_sent)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;

    #[test]
    fn a_reader_that_does_not_read_shows_as_unsent_bytes() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut a = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (b, _) = listener.accept().unwrap();
        a.set_nonblocking(true).unwrap();
        let fresh = tcp_info(a.as_fd()).unwrap();
        assert!(!fresh.closed && fresh.not_sent == 0);
        while a.write(&[0; 65536]).is_ok() {}
        assert!(tcp_info(a.as_fd()).unwrap().not_sent > 0);
        drop(b);
        // The peer closed with unread data: a reset.
        let gone = (0..200).any(|_| {
            std::thread::yield_now();
            let _ = a.write(&[0]);
            tcp_info(a.as_fd()).unwrap().closed
        });
        assert!(gone);
    }
}
