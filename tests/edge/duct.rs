//! A connection on which one side says and hears at once, in pieces of any size, with rests anywhere.

use crate::dice::Dice;
use eclusa_testkit::wait::pause;
use rustls::{ClientConnection, ServerConnection, StreamOwned};
use socket2::SockRef;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// Longer than any machine starves a process, and far shorter than the deadlines that the edge is given.
pub(crate) const STUCK: Duration = Duration::from_secs(120);
/// The longest piece.
const PIECE: usize = 70_000;

/// What was heard so far.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) bytes: Vec<u8>,
    /// And that was all.
    pub(crate) is_over: bool,
}

impl Heard {
    /// The head, in lower case, and what follows it.
    pub(crate) fn parts(&self) -> Option<(String, &[u8])> {
        let end = self.bytes.windows(4).position(|part| part == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&self.bytes[..end]).to_ascii_lowercase();
        Some((head, &self.bytes[end..]))
    }

    /// Whether a whole message was heard.
    pub(crate) fn is_whole(&self) -> bool {
        let Some((head, rest)) = self.parts() else { return false };
        if head.contains("\r\ntransfer-encoding:") {
            return rest.ends_with(b"0\r\n\r\n");
        }
        let length = head.split("\r\ncontent-length:").nth(1).and_then(|rest| rest.lines().next());
        rest.len() >= length.and_then(|length| length.trim().parse().ok()).unwrap_or(0)
    }

    /// Whether nothing more comes on this connection.
    pub(crate) fn is_last(&self) -> bool {
        self.parts().is_none_or(|(head, _)| head.contains("\r\nconnection: close"))
    }

    /// The body, without its chunks.
    pub(crate) fn body(&self) -> Option<Vec<u8>> {
        let (head, mut rest) = self.parts()?;
        if !head.contains("\r\ntransfer-encoding:") {
            return Some(rest.to_vec());
        }
        let mut body = Vec::new();
        loop {
            let line = rest.windows(2).position(|part| part == b"\r\n")?;
            let length =
                usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?, 16).ok()?;
            let data = rest.get(line + 2..line + 2 + length)?;
            rest = rest.get(line + 2 + length + 2..)?;
            if length == 0 {
                return rest.is_empty().then_some(body);
            }
            body.extend_from_slice(data);
        }
    }
}

#[derive(Debug)]
enum Line {
    Plain(TcpStream),
    Client(Box<StreamOwned<ClientConnection, TcpStream>>),
    Server(Box<StreamOwned<ServerConnection, TcpStream>>),
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Duct(Line);

impl Duct {
    pub(crate) fn plain(stream: TcpStream, dice: &mut Dice) -> Result<Self, String> {
        Self::of(Line::Plain(stream), dice)
    }

    pub(crate) fn client(
        stream: StreamOwned<ClientConnection, TcpStream>,
        dice: &mut Dice,
    ) -> Result<Self, String> {
        Self::of(Line::Client(Box::new(stream)), dice)
    }

    pub(crate) fn server(
        stream: StreamOwned<ServerConnection, TcpStream>,
        dice: &mut Dice,
    ) -> Result<Self, String> {
        Self::of(Line::Server(Box::new(stream)), dice)
    }

    fn of(line: Line, dice: &mut Dice) -> Result<Self, String> {
        let duct = Self(line);
        let buffer = usize::try_from(8_192 + dice.below(56 * 1024)).unwrap_or(8_192);
        SockRef::from(duct.socket())
            .set_send_buffer_size(buffer)
            .and_then(|()| duct.socket().set_nonblocking(true))
            .map_err(|error| error.to_string())?;
        Ok(duct)
    }

    fn socket(&self) -> &TcpStream {
        match &self.0 {
            Line::Plain(stream) => stream,
            Line::Client(stream) => &stream.sock,
            Line::Server(stream) => &stream.sock,
        }
    }

    /// Says all of `said` (and, if it `ends`, that this was all) and hears until `is_enough`.
    pub(crate) fn converse(
        &mut self,
        dice: &mut Dice,
        said: &[u8],
        ends: bool,
        heard: &mut Heard,
        is_enough: impl Fn(&Heard) -> bool,
    ) -> Result<(), String> {
        let (mut written, mut told, mut since) = (0, false, Instant::now());
        let mut buffer = vec![0; PIECE];
        loop {
            if dice.one_in(50) {
                pause(Duration::from_micros(dice.below(5_000)));
            }
            let mut moved = false;
            if written < said.len() {
                let piece = &said[written..said.len().min(written + 1 + dice.size(PIECE))];
                let count = there(self.write(piece))?.unwrap_or(0);
                written += count;
                moved |= count > 0;
            }
            let flushed = there(self.flush())?.is_some();
            if written == said.len() && flushed && ends && !told {
                told = there(self.end())?.is_some();
                moved |= told;
            }
            let is_said = written == said.len() && flushed && told == ends;
            if is_said && is_enough(heard) {
                return Ok(());
            }
            if !heard.is_over && !is_enough(heard) {
                let room = 1 + dice.size(PIECE - 1);
                let count = there(self.read(&mut buffer[..room]))?;
                heard.is_over = count == Some(0);
                heard.bytes.extend_from_slice(&buffer[..count.unwrap_or(0)]);
                moved |= count.is_some();
            } else if heard.is_over && !is_enough(heard) {
                let (heard, all) = (heard.bytes.len(), said.len());
                return Err(format!("ended: {written} of {all} bytes said, {heard} heard"));
            }
            if moved {
                since = Instant::now();
            } else if since.elapsed() > STUCK {
                let (heard, all) = (heard.bytes.len(), said.len());
                return Err(format!("STUCK: {written} of {all} bytes said, {heard} heard"));
            } else {
                pause(Duration::from_micros(300));
            }
        }
    }

    /// Says that nothing more comes.
    fn end(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Line::Plain(_) => {}
            Line::Client(stream) => stream.conn.send_close_notify(),
            Line::Server(stream) => stream.conn.send_close_notify(),
        }
        self.flush()?;
        self.socket().shutdown(Shutdown::Write)
    }
}

impl Read for Duct {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Line::Plain(stream) => stream.read(buffer),
            Line::Client(stream) => stream.read(buffer),
            Line::Server(stream) => stream.read(buffer),
        }
    }
}

impl Write for Duct {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Line::Plain(stream) => stream.write(bytes),
            Line::Client(stream) => stream.write(bytes),
            Line::Server(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Line::Plain(_) => {}
            Line::Client(stream) => {
                while stream.conn.wants_write() {
                    stream.conn.write_tls(&mut stream.sock)?;
                }
            }
            Line::Server(stream) => {
                while stream.conn.wants_write() {
                    stream.conn.write_tls(&mut stream.sock)?;
                }
            }
        }
        Ok(())
    }
}

/// `None`: not now.
fn there<T>(result: io::Result<T>) -> Result<Option<T>, String> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
