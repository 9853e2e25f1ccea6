//! What each kind of endpoint does with a connection.

use super::serve::Shared;
use super::{ANSWER, Kind, Report};
use crate::proxy_header;
use crate::stream::{Checksum, Stream};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, sleep_until, timeout};

/// Bytes read at once.
const READ: usize = 64 * 1024;
/// Bytes that an echo after EOF keeps.
const KEPT: u64 = 64 * 1024 * 1024;
/// The one chunk before an answer and a reset.
const CHUNK: usize = 1024;
/// How long that one waits for bytes that it can leave unread.
const UNREAD: Duration = Duration::from_secs(1);

pub(super) trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

pub(super) async fn serve(
    mut io: impl Io,
    kind: &Kind,
    shared: &Shared,
    record: Option<usize>,
) -> io::Result<()> {
    let io = &mut io;
    match kind {
        Kind::Echo => echo(io, shared).await,
        Kind::EchoAfterEof => Box::pin(echo_after_eof(io, shared)).await,
        Kind::Source { seed, bytes } => Box::pin(source(io, *seed, *bytes, shared)).await,
        Kind::Sink { seed, rate } => Box::pin(sink(io, *seed, *rate, shared)).await,
        Kind::Greeting(greeting) => {
            send(io, greeting, shared).await?;
            echo(io, shared).await
        }
        Kind::AnswerThenReset => Box::pin(answer_then_reset(io, shared)).await,
        Kind::BlackHole => std::future::pending().await,
        Kind::Recorder => {
            Box::pin(recorder(io, shared, record)).await?;
            echo(io, shared).await
        }
    }
}

thread_local! {
    /// Where all connections of a thread read into: an idle one holds nothing.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ]);
}

/// What is there to be read, as soon as there is something; empty at EOF.
async fn receive(io: &mut impl Io, shared: &Shared) -> io::Result<Vec<u8>> {
    let read = poll_fn(|cx| {
        BUFFER.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(&mut *io).poll_read(cx, &mut buffer))?;
            Poll::Ready(io::Result::Ok(buffer.filled().to_vec()))
        })
    })
    .await?;
    shared.received.fetch_add(read.len() as u64, Relaxed);
    Ok(read)
}

async fn send(io: &mut (impl AsyncWrite + Unpin), bytes: &[u8], shared: &Shared) -> io::Result<()> {
    io.write_all(bytes).await?;
    // TLS may hold a record back until it is flushed.
    io.flush().await?;
    shared.sent.fetch_add(bytes.len() as u64, Relaxed);
    Ok(())
}

async fn echo(io: &mut impl Io, shared: &Shared) -> io::Result<()> {
    loop {
        let read = receive(io, shared).await?;
        if read.is_empty() {
            return io.shutdown().await;
        }
        send(io, &read, shared).await?;
    }
}

async fn echo_after_eof(io: &mut impl Io, shared: &Shared) -> io::Result<()> {
    let mut all = Vec::new();
    (&mut *io).take(KEPT).read_to_end(&mut all).await?;
    shared.received.fetch_add(all.len() as u64, Relaxed);
    send(io, &all, shared).await?;
    io.shutdown().await
}

async fn source(io: &mut impl Io, seed: u64, bytes: u64, shared: &Shared) -> io::Result<()> {
    let (mut from, mut to) = tokio::io::split(io);
    let stream = Stream::new(seed);
    let write = async {
        let mut buffer = vec![0; READ];
        let mut offset = 0;
        while offset < bytes {
            let part = (bytes - offset).min(READ as u64) as usize;
            stream.fill(offset, &mut buffer[..part]);
            send(&mut to, &buffer[..part], shared).await?;
            offset += part as u64;
        }
        to.shutdown().await
    };
    // Unread bytes at the close would become a reset that overtakes the stream's end.
    let read = async {
        let mut buffer = vec![0; 4096];
        loop {
            let read = from.read(&mut buffer).await?;
            shared.received.fetch_add(read as u64, Relaxed);
            if read == 0 {
                return io::Result::Ok(());
            }
        }
    };
    tokio::try_join!(write, read).map(drop)
}

async fn sink(io: &mut impl Io, seed: u64, rate: Option<u64>, shared: &Shared) -> io::Result<()> {
    let (stream, start) = (Stream::new(seed), Instant::now());
    let (mut sum, mut difference) = (Checksum::new(), None);
    loop {
        let read = receive(io, shared).await?;
        if read.is_empty() {
            break;
        }
        if difference.is_none() {
            difference = stream.check(sum.length(), &read).err().map(|wrong| wrong.to_string());
        }
        sum.update(&read);
        if let Some(rate) = rate {
            let due = Duration::from_secs_f64(sum.length() as f64 / rate.max(1) as f64);
            sleep_until(start + due).await;
        }
    }
    let report = Report { bytes: sum.length(), checksum: sum.value(), difference };
    let line = serde_json::to_string(&report)? + "\n";
    send(io, line.as_bytes(), shared).await?;
    io.shutdown().await
}

async fn answer_then_reset(io: &mut impl Io, shared: &Shared) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let read = io.read(&mut chunk).await?;
    shared.received.fetch_add(read as u64, Relaxed);
    send(io, &ANSWER, shared).await?;
    // Reading one byte shows that more has come; the rest of it stays unread.
    if let Ok(read) = timeout(UNREAD, io.read(&mut chunk[..1])).await {
        shared.received.fetch_add(read? as u64, Relaxed);
    }
    Ok(())
}

/// Records the PROXY header, if there is one, and the first bytes after it, and echoes these.
async fn recorder(io: &mut impl Io, shared: &Shared, record: Option<usize>) -> io::Result<()> {
    let mut bytes = Vec::new();
    let note = |change: &mut dyn FnMut(&mut super::Recorded)| {
        if let Some(record) = record {
            change(&mut shared.recorded()[record]);
        }
    };
    let mut end = 0;
    // The first byte decides between "no header" and "a header that is not complete yet".
    loop {
        let read = receive(io, shared).await?;
        if read.is_empty() {
            return Ok(());
        }
        bytes.extend(read);
        match proxy_header::parse(&bytes) {
            Ok(None) => continue,
            Ok(Some((header, length))) => {
                end = length;
                note(&mut |recorded| {
                    recorded.header = Some(header.clone());
                    recorded.header_bytes = bytes[..length].to_vec();
                });
            }
            Err(error) if looks_like_one(&bytes) => {
                note(&mut |recorded| recorded.malformed = Some(error.to_string()));
            }
            Err(_) => {}
        }
        break;
    }
    if bytes.len() == end {
        bytes.extend(receive(io, shared).await?);
    }
    let first = &bytes[end..];
    note(&mut |recorded| recorded.first = first[..first.len().min(READ)].to_vec());
    send(io, first, shared).await
}

fn looks_like_one(bytes: &[u8]) -> bool {
    bytes.starts_with(&proxy_header::SIGNATURE) || bytes.starts_with(b"PROXY ")
}
