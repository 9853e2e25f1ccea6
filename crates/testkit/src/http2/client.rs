//! A connection of the client.

use super::frame::{Frame, PREFACE, kind};
use super::hpack::{Field, block};
use super::seen::Seen;
use super::{flag, setting};
use crate::tls::{ClientConfig, TlsClient};
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a read waits before the clock is looked at.
const TICK: Duration = Duration::from_millis(10);

/// A stream of bytes whose reads give up soon.
pub trait Wire: Read + Write + fmt::Debug {}

impl<T: Read + Write + fmt::Debug> Wire for T {}

/// The client.
#[derive(Debug)]
pub struct Client {
    wire: Box<dyn Wire>,
    inbox: Vec<u8>,
    seen: Seen,
    /// The other side has ended the connection.
    over: bool,
    pings: u64,
}

impl Client {
    /// By prior knowledge; nothing is said yet.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn plain(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(TICK))?;
        Ok(Self::over(stream))
    }

    /// After a handshake in which `config` offers what it likes; nothing is said yet.
    ///
    /// # Errors
    /// The handshake has failed.
    pub fn tls(stream: TcpStream, config: &Arc<ClientConfig>, name: &str) -> io::Result<Self> {
        let under = stream.try_clone()?;
        let wire = TlsClient::connect(stream, config, name)?;
        under.set_read_timeout(Some(TICK))?;
        Ok(Self::over(wire))
    }

    fn over(wire: impl Wire + 'static) -> Self {
        let (inbox, seen) = (Vec::new(), Seen::default());
        Self { wire: Box::new(wire), inbox, seen, over: false, pings: 0 }
    }

    /// Says the preface, and these settings behind one that forbids pushes.
    pub fn greet(&mut self, settings: &[(u16, u32)]) {
        self.say(PREFACE);
        self.tell(&[&[(setting::ENABLE_PUSH, 0)], settings].concat());
    }

    /// Says SETTINGS, which are in force when they are acknowledged.
    pub fn tell(&mut self, settings: &[(u16, u32)]) {
        self.seen.told(settings.to_vec());
        self.say(&Frame::settings(settings).bytes());
    }

    /// Says any bytes. A connection that is gone does not take them: what was heard tells.
    pub fn say(&mut self, bytes: &[u8]) {
        let said = self.wire.write_all(bytes).and_then(|()| self.wire.flush());
        if said.is_err() {
            // What came before the end can still be read.
            let _ = self.hear();
        }
    }

    /// Says a frame.
    pub fn send(&mut self, frame: &Frame) {
        let increment = <[u8; 4]>::try_from(&frame.payload[..]).map(u32::from_be_bytes);
        if let (kind::WINDOW_UPDATE, Ok(increment)) = (frame.kind, increment) {
            self.seen.allowed(frame.stream & 0x7fff_ffff, increment & 0x7fff_ffff);
        }
        if (frame.kind, frame.flags & flag::ACK) == (kind::SETTINGS, 0) {
            // What they say is the test's own affair.
            self.seen.told(Vec::new());
        }
        self.say(&frame.bytes());
    }

    /// Says a request without a body.
    pub fn ask(&mut self, stream: u32, scheme: &str, authority: &str, path: &str) {
        let fields = [
            Field::new(":method", "GET"),
            Field::new(":scheme", scheme),
            Field::new(":authority", authority),
            Field::new(":path", path),
        ];
        let flags = flag::END_STREAM | flag::END_HEADERS;
        self.send(&Frame::new(kind::HEADERS, flags, stream, block(&fields)));
    }

    /// Lets a small answer come on a stream, whatever the windows of streams are.
    pub fn make_room(&mut self, stream: u32) {
        const ROOM: u32 = 16_384;
        if self.seen.stream_window() < i64::from(ROOM) {
            self.send(&Frame::window_update(stream, ROOM));
        }
    }

    /// Says a PING of its own, and returns what it says.
    pub fn ping(&mut self) -> Vec<u8> {
        self.pings += 1;
        let payload = (0xec15_0000_0000_0000 | self.pings).to_be_bytes().to_vec();
        self.send(&Frame::new(kind::PING, 0, 0, payload.clone()));
        payload
    }

    /// What has come so far.
    #[must_use]
    pub fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Whether the other side has ended the connection.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Hears until `enough`, or the end, or for so long; whether it was enough.
    pub fn hear_until(&mut self, limit: Duration, mut enough: impl FnMut(&Seen) -> bool) -> bool {
        let start = Instant::now();
        loop {
            if enough(&self.seen) {
                return true;
            }
            if self.over || start.elapsed() > limit {
                return false;
            }
            if self.hear().is_err() {
                self.over = true;
            }
        }
    }

    /// Hears to the end of the connection, for so long at most; whether it has come.
    pub fn hear_to_end(&mut self, limit: Duration) -> bool {
        self.hear_until(limit, |_| false);
        self.over
    }

    /// A PING and back: what was said before has been read by the other side.
    pub fn round_trip(&mut self, limit: Duration) -> bool {
        let payload = self.ping();
        self.hear_until(limit, |seen| seen.pings.contains(&payload))
    }

    /// Reads what there is, for a moment.
    fn hear(&mut self) -> io::Result<()> {
        let mut buffer = [0; 32_768];
        match self.wire.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => self.inbox.extend_from_slice(&buffer[..read]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
        while let Some(frame) = Frame::take(&mut self.inbox) {
            if let Some(answer) = self.seen.take(&frame) {
                let _ = self.wire.write_all(&answer.bytes()).and_then(|()| self.wire.flush());
            }
        }
        Ok(())
    }
}
