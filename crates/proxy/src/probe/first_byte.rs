//! A connection that notes when its first byte arrived (the ServerHello of a fresh dial), and which
//! address of ours it has.

use std::cell::Cell;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

/// When the first byte arrived, and at which address of ours.
#[derive(Debug, Default)]
pub(super) struct FirstByte {
    at: Cell<Option<Instant>>,
    arrived: Notify,
    local: Cell<Option<IpAddr>>,
}

impl FirstByte {
    /// Notes the address of the local end, which the kernel chooses with the SYN.
    pub(super) fn set_local(&self, local: IpAddr) {
        self.local.set(Some(local));
    }

    /// The address of the local end; `None`: there was no SYN.
    pub(super) fn local(&self) -> Option<IpAddr> {
        self.local.get()
    }

    /// When it arrived, if it did.
    pub(super) fn at(&self) -> Option<Instant> {
        self.at.get()
    }

    /// Waits for it.
    pub(super) async fn arrival(&self) {
        if self.at.get().is_none() {
            self.arrived.notified().await;
        }
    }
}

/// A TCP connection whose first byte is noted.
#[derive(Debug)]
pub(super) struct Noted {
    stream: TcpStream,
    first: Rc<FirstByte>,
}

impl Noted {
    pub(super) fn new(stream: TcpStream, first: Rc<FirstByte>) -> Self {
        Self { stream, first }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

impl AsyncRead for Noted {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let noted = self.get_mut();
        let before = buffer.filled().len();
        let result = Pin::new(&mut noted.stream).poll_read(context, buffer);
        if noted.first.at.get().is_none() && buffer.filled().len() > before {
            noted.first.at.set(Some(Instant::now()));
            noted.first.arrived.notify_one();
        }
        result
    }
}

impl AsyncWrite for Noted {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
