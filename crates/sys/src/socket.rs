//! Sockets: listening, accepting, connecting, and the options that the data path needs.

use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// Of `linux/in6.h`; libc does not have it.
const IPV6_MINHOPCOUNT: libc::c_int = 73;

/// How the kernel looks for peers that vanished while nothing is on its way (tcp(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// `TCP_KEEPIDLE`
    pub idle: Duration,
    /// `TCP_KEEPINTVL`
    pub interval: Duration,
    /// `TCP_KEEPCNT`
    pub count: u32,
}

/// Opens a listening socket, one of several on the same address (`SO_REUSEPORT`).
///
/// `IP_FREEBIND` lets it listen on a virtual address that this host does not hold yet; v6 sockets
/// do not take v4 traffic. What accepted sockets inherit is set here once instead of per
/// connection: `TCP_NODELAY` and the keepalive.
///
/// # Errors
/// Whatever socket(2), bind(2) or listen(2) say: `EADDRINUSE`, `EACCES`, `EAFNOSUPPORT`...
pub fn listen(address: SocketAddr, backlog: u32, keepalive: Keepalive) -> io::Result<OwnedFd> {
    let socket = stream(address)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
    } else {
        socket.set_freebind_v4(true)?;
    }
    socket.set_tcp_nodelay(true)?;
    set_keepalive(socket.as_fd(), keepalive)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Makes a listening socket that served before what [`listen`] would make it now: backlog,
/// keepalive, and that it hears (see [`hear_no_more`]).
///
/// # Errors
/// It does not listen.
pub fn renew(listener: BorrowedFd<'_>, backlog: u32, keepalive: Keepalive) -> io::Result<()> {
    hear_again(listener)?;
    set_keepalive(listener, keepalive)?;
    // On a socket that listens this only changes the backlog (listen(2) of Linux).
    SockRef::from(&listener).listen(i32::try_from(backlog).unwrap_or(i32::MAX))
}

/// The address of a TCP socket that listens; `None` for anything else.
#[must_use]
pub fn listening_address(descriptor: BorrowedFd<'_>) -> Option<SocketAddr> {
    let socket = SockRef::from(&descriptor);
    let listens = socket.is_listener().ok()? && socket.r#type().ok()? == Type::STREAM;
    listens.then(|| socket.local_addr().ok()?.as_socket())?
}

/// Whether a listener of somebody else holds `address`: tries to bind it alone.
///
/// # Errors
/// `AddrInUse` when somebody does; other errors when the address cannot be bound at all.
pub fn try_exclusive(address: SocketAddr) -> io::Result<()> {
    let socket = stream(address)?;
    // With SO_REUSEADDR only a *listening* socket is in the way, not a connection in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        socket.set_freebind_v6(true)?;
    } else {
        socket.set_freebind_v4(true)?;
    }
    socket.bind(&SockAddr::from(address))
}

fn stream(address: SocketAddr) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))
}

/// Lets a listening socket answer no SYN any more, while handshakes that have begun still complete:
/// the accept queue can then be emptied for good. Whoever connects meanwhile asks again after a
/// second, and finds the address closed or somebody else's.
///
/// The means is a hop limit that no packet meets (`IP_MINTTL`, `IPV6_MINHOPCOUNT`); a packet filter
/// would be plainer, but not every kernel grants one to an unprivileged program. Accepted sockets
/// inherit it and hear nothing either, until [`hear_again`] is called for them.
///
/// # Errors
/// None that is known for a listening TCP socket.
pub fn hear_no_more(listener: BorrowedFd<'_>) -> io::Result<()> {
    set_least_hops(listener, 255)
}

/// Undoes for an accepted socket what it inherits from a listener after [`hear_no_more`]. What was
/// not heard is sent again by the peer's kernel.
///
/// # Errors
/// None that is known for a TCP socket.
pub fn hear_again(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_least_hops(socket, 0)
}

fn set_least_hops(socket: BorrowedFd<'_>, least: libc::c_int) -> io::Result<()> {
    match SockRef::from(&socket).domain()? {
        Domain::IPV6 => set_option(socket, libc::IPPROTO_IPV6, IPV6_MINHOPCOUNT, least),
        _ => set_option(socket, libc::IPPROTO_IP, libc::IP_MINTTL, least),
    }
}

/// Takes one connection from a listening socket, non-blocking and closed on exec.
///
/// # Errors
/// `WouldBlock` when none waits; `EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM` when the host is short;
/// `ECONNABORTED` when the client has gone already.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SocketAddr)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (socket, peer) = acceptfrom_with(listener, flags)?;
    let peer = peer
        .and_then(|peer| SocketAddr::try_from(peer).ok())
        .ok_or_else(|| io::Error::other("accept returned no internet address"))?;
    Ok((socket, peer))
}

/// Starts to connect to `remote`, from `source` where one is given, with `TCP_NODELAY`.
/// The socket becomes writable when the connection stands or has failed (`SO_ERROR` tells).
///
/// A source address does not reserve a port before the kernel knows the destination
/// (`IP_BIND_ADDRESS_NO_PORT`), so one port can serve many destinations.
///
/// # Errors
/// `EMFILE`, `EADDRNOTAVAIL`, `ENETUNREACH`..., never `EINPROGRESS`.
pub fn connect(remote: SocketAddr, source: Option<IpAddr>) -> io::Result<OwnedFd> {
    let socket = stream(remote)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(source) = source {
        set_option(socket.as_fd(), libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)?;
        socket.bind(&SockAddr::from(SocketAddr::new(source, 0)))?;
    }
    match socket.connect(&SockAddr::from(remote)) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket.into()),
    }
}

/// Switches the kernel's keepalive on.
///
/// # Errors
/// Whatever setsockopt(2) says.
pub fn set_keepalive(socket: BorrowedFd<'_>, keepalive: Keepalive) -> io::Result<()> {
    let parameters = TcpKeepalive::new()
        .with_time(keepalive.idle)
        .with_interval(keepalive.interval)
        .with_retries(keepalive.count);
    SockRef::from(&socket).set_tcp_keepalive(&parameters)
}

/// Makes the close of `socket` a reset: the peer sees `ECONNRESET` instead of a clean end, and
/// what is still in the send queue is thrown away.
pub fn reset_on_close(socket: BorrowedFd<'_>) {
    // Fails only on a socket that is closed already, and then there is nothing to reset.
    let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
}

/// The address of the local end.
///
/// # Errors
/// Whatever getsockname(2) says.
pub fn local_address(socket: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    SockRef::from(&socket)
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("the socket has no internet address"))
}

/// The address that the client named, where this host has put `local` in its place (`dnat` or `redirect` of
/// nftables(8): `SO_ORIGINAL_DST`).
///
/// # Errors
/// `ENOENT` or `ENOPROTOOPT` where nobody tracks connections here.
pub fn named_address(socket: BorrowedFd<'_>, local: SocketAddr) -> io::Result<SocketAddr> {
    let socket = SockRef::from(&socket);
    let named = if local.is_ipv4() { socket.original_dst_v4() } else { socket.original_dst_v6() }?;
    named.as_socket().ok_or_else(|| io::Error::other("the socket has no internet address"))
}

/// Bytes in the send queue that the peer has not acknowledged (`SIOCOUTQ`, tcp(7)).
///
/// # Errors
/// Whatever ioctl(2) says.
pub fn send_queue(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: TIOCOUTQ (the same number as SIOCOUTQ) writes one int to the pointer, which is valid.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// How many bytes the send buffer has room for now (`SO_MEMINFO`): what it was given less the memory that
/// is queued in it, so that a write of that size is taken whole or nearly so.
///
/// # Errors
/// Whatever getsockopt(2) says.
pub fn send_room(socket: BorrowedFd<'_>) -> io::Result<usize> {
    // `SK_MEMINFO_SNDBUF`, `SK_MEMINFO_WMEM_QUEUED`, `SK_MEMINFO_VARS` of `linux/sock_diag.h`.
    const BUFFER: usize = 3;
    const QUEUED: usize = 5;
    const VALUES: usize = 9;
    let mut values = [0u32; VALUES];
    let mut length = size_of_val(&values) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes to `values`, which has as many.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            values.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(values[BUFFER].saturating_sub(values[QUEUED]) as usize)
}

/// Whether an error tells of trouble on this host (descriptors, memory, ports, no route of our
/// own), which is no evidence against the other side.
#[must_use]
pub fn is_local_trouble(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::EMFILE
                | libc::ENFILE
                | libc::ENOBUFS
                | libc::ENOMEM
                | libc::EADDRNOTAVAIL
                | libc::ENETUNREACH
                | libc::ENETDOWN
                | libc::EPERM
        )
    )
}

/// Whether an error of [`accept`] belongs to the one connection that was to be accepted: accept(2)
/// passes on what went wrong on the network before.
#[must_use]
pub fn is_lost_before_accept(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::EINTR
                | libc::ENETDOWN
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::EHOSTDOWN
                | libc::ENONET
                | libc::EHOSTUNREACH
                | libc::EOPNOTSUPP
                | libc::ENETUNREACH
        )
    )
}

fn set_option(socket: BorrowedFd<'_>, level: i32, name: i32, value: libc::c_int) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointer is valid for reading `length` bytes, the size of the int behind it.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEPALIVE: Keepalive =
        Keepalive { idle: Duration::from_secs(30), interval: Duration::from_secs(10), count: 3 };

    fn loopback() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn a_listener_that_hears_no_more_keeps_what_it_has() {
        use std::io::{Read, Write};
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = listen(address.parse().unwrap(), 16, KEEPALIVE) else {
                assert!(address.starts_with('['), "only IPv6 may be missing");
                continue;
            };
            let address = local_address(listener.as_fd()).unwrap();
            let mut early = std::net::TcpStream::connect(address).unwrap();
            hear_no_more(listener.as_fd()).unwrap();
            let late = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(300));
            assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);
            let (taken, _) = accept(listener.as_fd()).unwrap();
            hear_again(taken.as_fd()).unwrap();
            early.write_all(b"?").unwrap();
            let mut taken = std::net::TcpStream::from(taken);
            taken.set_nonblocking(false).unwrap();
            taken.read_exact(&mut [0]).unwrap();
            assert_eq!(accept(listener.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn accepted_sockets_inherit_nodelay_and_keepalive() {
        let listener = listen(loopback(), 16, KEEPALIVE).unwrap();
        let address = local_address(listener.as_fd()).unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        let (socket, peer) = accept(listener.as_fd()).unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        let accepted = SockRef::from(&socket);
        assert!(accepted.tcp_nodelay().unwrap() && accepted.keepalive().unwrap());
        assert_eq!(accepted.tcp_keepalive_time().unwrap(), KEEPALIVE.idle);
        assert_eq!(accept(listener.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(send_queue(socket.as_fd()).unwrap(), 0);
    }

    #[test]
    fn the_room_of_a_send_buffer_is_what_a_write_takes() {
        use std::io::Write;
        let listener = std::net::TcpListener::bind(loopback()).unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _peer = listener.accept().unwrap();
        client.set_nonblocking(true).unwrap();
        let room = send_room(client.as_fd()).unwrap();
        let piece = vec![b'a'; room / 2];
        assert_eq!(client.write(&piece).unwrap(), piece.len(), "half of {room} fits");
        while client.write(&piece).is_ok() {}
        let left = send_room(client.as_fd()).unwrap();
        assert!(left < room / 2, "{left} of {room} left of a full buffer");
    }

    #[test]
    fn a_foreign_listener_is_seen_before_we_share_its_address() {
        let listener = listen(loopback(), 16, KEEPALIVE).unwrap();
        let address = local_address(listener.as_fd()).unwrap();
        assert_eq!(try_exclusive(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert!(listen(address, 16, KEEPALIVE).is_ok(), "our own workers share it");
    }

    #[test]
    fn an_address_that_is_not_here_yet_can_be_listened_on() {
        let vip: SocketAddr = "198.51.100.7:0".parse().unwrap();
        assert!(listen(vip, 16, KEEPALIVE).is_ok());
    }

    #[test]
    fn connects_from_a_source_address() {
        let listener = listen(loopback(), 16, KEEPALIVE).unwrap();
        let address = local_address(listener.as_fd()).unwrap();
        let source: IpAddr = "127.0.0.9".parse().unwrap();
        let _socket = connect(address, Some(source)).unwrap();
        let (_, peer) = accept(listener.as_fd()).unwrap();
        assert_eq!(peer.ip(), source);
    }
}
