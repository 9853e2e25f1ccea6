//! One connection of an HTTP client that says certain bytes and reads responses one by one.

use crate::bed::PLAIN;
use e2e::plain::try_connect;
use e2e::product::PATIENCE;
use eclusa_testkit::netns::Host;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A response.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The lines between the status line and the empty line.
    pub(crate) fields: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// It is the last one of its connection.
    pub(crate) fn is_last(&self) -> bool {
        self.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// A connection, plain or with TLS.
#[derive(Debug)]
pub(crate) struct Wire<S = TcpStream>(BufReader<S>);

impl Wire {
    pub(crate) fn open(host: &Host, to: SocketAddr) -> io::Result<Self> {
        try_connect(host, to, PATIENCE).map(Self::over)
    }

    /// From a thread that is at the client already.
    pub(crate) fn here() -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&PLAIN, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.0.get_ref()
    }
}

impl<S: Read + Write> Wire<S> {
    /// Over a connection that stands.
    pub(crate) fn over(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// `GET path` of `host`, and its response.
    pub(crate) fn get(&mut self, host: &str, path: &str) -> io::Result<Reply> {
        self.say(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
        self.reply()
    }

    /// `POST path` of `host` with a body, and its response.
    pub(crate) fn post(&mut self, host: &str, path: &str, body: &[u8]) -> io::Result<Reply> {
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n");
        self.say(&[head.as_bytes(), body].concat())?;
        self.reply()
    }

    /// The next response to a request with a body.
    pub(crate) fn reply(&mut self) -> io::Result<Reply> {
        let mut reply = self.head()?;
        let length = reply.field("content-length").and_then(|value| value.parse().ok());
        if reply.field("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk()? {
                reply.body.extend(chunk);
            }
        } else if let Some(length) = length {
            reply.body.resize(length, 0);
            self.0.read_exact(&mut reply.body)?;
        }
        Ok(reply)
    }

    /// The head of the next response.
    pub(crate) fn head(&mut self) -> io::Result<Reply> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status: {line:?}")))?;
        let mut fields = Vec::new();
        loop {
            match self.line()? {
                line if line.is_empty() => break,
                line => fields.push(line),
            }
        }
        Ok(Reply { status, fields, body: Vec::new() })
    }

    /// The next chunk; `None`: that was the last one.
    pub(crate) fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let line = self.line()?;
        let length = usize::from_str_radix(&line, 16).map_err(io::Error::other)?;
        let mut bytes = vec![0; length + 2];
        self.0.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok((length > 0).then_some(bytes))
    }

    /// So many bytes.
    pub(crate) fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// All to the end of the stream, and whether that was a reset.
    pub(crate) fn hear_to_end(&mut self) -> io::Result<(Vec<u8>, bool)> {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            Ok(_) => Ok((bytes, false)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok((bytes, true)),
            Err(error) => Err(error),
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{line:?}"))),
        }
    }
}
