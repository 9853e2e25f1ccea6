//! Between the socket and TLS: the place where bytes are late, held back or cut.

use super::shared::Shared;
use crate::proxy_header;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Bytes moved at once.
pub(super) const BUFFER: usize = 32 * 1024;
/// Late bytes that are held at most, in buffers; then the writer above has to wait.
const HELD: usize = 64;
/// How long a closed connection still reads what the client sends, so that the answer before it
/// is not lost by a reset.
const LINGER: Duration = Duration::from_millis(500);

/// Makes dropping `tcp` a reset.
pub(super) fn reset_on_drop(tcp: &TcpStream) {
    // Fails only on a socket that is already gone.
    let _ = socket2::SockRef::from(tcp).set_linger(Some(Duration::ZERO));
}

/// Sends FIN and reads what the client still sends for a while, so that no reset overtakes the
/// last bytes.
pub(super) async fn linger(mut tcp: TcpStream) -> io::Result<()> {
    tcp.shutdown().await?;
    let mut rest = [0; 1024];
    let read = async { while tcp.read(&mut rest).await.is_ok_and(|read| read > 0) {} };
    let _ = tokio::time::timeout(LINGER, read).await;
    Ok(())
}

/// Reads the PROXY header that the connection must begin with, and nothing after it.
///
/// # Errors
/// There is none, or it is malformed.
pub(super) async fn read_proxy_header(tcp: &mut TcpStream) -> io::Result<proxy_header::Header> {
    let mut bytes = Vec::new();
    loop {
        match proxy_header::parse(&bytes) {
            Ok(Some((header, _))) => return Ok(header),
            Ok(None) => bytes.push(tcp.read_u8().await?),
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
}

/// Moves bytes between `tcp` and `inner` until both are done, or the client has reset.
pub(super) async fn pump(tcp: TcpStream, inner: DuplexStream, shared: Arc<Shared>) {
    let (from_client, to_client) = tcp.into_split();
    let (from_inner, to_inner) = tokio::io::split(inner);
    let up = up(from_client, to_inner, &shared);
    let down = down(from_inner, to_client, &shared);
    tokio::pin!(up, down);
    // An error is the end of the connection: nothing is left to be done for it.
    tokio::select! {
        // The client has sent its last byte: what is on its way down still arrives.
        up = &mut up => if up.is_ok() { drop(down.await) },
        // The answer is out: what the client still sends is read for a while.
        down = &mut down => if down.is_ok() { drop(tokio::time::timeout(LINGER, up).await) },
    }
}

/// Waits while the fault "silent" is on.
pub(super) async fn gate(shared: &Shared) {
    // An error is impossible: the sender lives in `shared`.
    let _ = shared.faults.subscribe().wait_for(|faults| !faults.silent).await;
}

async fn up(
    mut tcp: OwnedReadHalf,
    mut inner: WriteHalf<DuplexStream>,
    shared: &Shared,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        gate(shared).await;
        let read = tcp.read(&mut buffer).await?;
        gate(shared).await;
        if read == 0 {
            // TLS above may have gone already.
            let _ = inner.shutdown().await;
            return Ok(());
        }
        if inner.write_all(&buffer[..read]).await.is_err() {
            // TLS above has gone: what the client still sends is thrown away.
            while tcp.read(&mut buffer).await? != 0 {}
            return Ok(());
        }
    }
}

async fn down(
    mut inner: ReadHalf<DuplexStream>,
    mut tcp: OwnedWriteHalf,
    shared: &Shared,
) -> io::Result<()> {
    let (send, mut held) = mpsc::channel::<(Instant, Vec<u8>)>(HELD);
    let read = async move {
        let mut buffer = vec![0; BUFFER];
        let mut first = true;
        while let Ok(length @ 1..) = inner.read(&mut buffer).await {
            let late = {
                let faults = shared.faults.borrow();
                if std::mem::take(&mut first) {
                    faults.first_byte_late.max(faults.every_byte_late)
                } else {
                    faults.every_byte_late
                }
            };
            if send.send((Instant::now() + late, buffer[..length].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let write = async {
        while let Some((due, bytes)) = held.recv().await {
            if due > Instant::now() {
                tokio::time::sleep_until(due).await;
            }
            gate(shared).await;
            tcp.write_all(&bytes).await?;
        }
        tcp.shutdown().await
    };
    // A failed write ends both.
    let read = async {
        read.await;
        Ok(())
    };
    tokio::try_join!(read, write).map(drop)
}
