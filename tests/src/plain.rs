//! Plain TCP clients that say certain bytes and hear to the end.

use eclusa_testkit::netns::Host;
use socket2::{Domain, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// How long a client waits for a connection or for bytes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connects from `host`; reads give up after some seconds.
///
/// # Panics
/// Nobody listens at `to`.
#[must_use]
#[track_caller]
pub fn connect(host: &Host, to: SocketAddr) -> TcpStream {
    try_connect(host, to, PATIENCE)
        .unwrap_or_else(|error| panic!("{} to {to}: {error}", host.name()))
}

/// Connects from `host` within `limit`. A connection that is reset as soon as it is made was made:
/// its first read ends it.
///
/// # Errors
/// What the system said.
pub fn try_connect(host: &Host, to: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    host.enter(|| {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        match socket.connect_timeout(&to.into(), limit) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => return Err(error),
            _ => {}
        }
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    })
}

/// Says `bytes` and hears as many; whether they are the same.
#[must_use]
pub fn echoes(mut stream: &TcpStream, bytes: &[u8]) -> bool {
    let mut heard = vec![0; bytes.len()];
    stream.write_all(bytes).is_ok() && stream.read_exact(&mut heard).is_ok() && heard == bytes
}

/// Hears to the end of the stream; a reset is an end, too.
///
/// # Errors
/// No end came in time.
pub fn hear(mut stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => Err(error),
        _ => Ok(heard),
    }
}

/// Says `bytes` and FIN, and hears to the end.
///
/// # Errors
/// No end came in time.
pub fn exchange(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<Vec<u8>> {
    // A connection that is refused may be gone before all is said: what is heard tells.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    hear(stream)
}
