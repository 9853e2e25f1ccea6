//! HTTP/1 as the clients and endpoints of the bed read it: leniently, for what is judged here is what
//! two programs make of the same bytes.

use std::io::{self, Read};

/// The longest head, and the longest body, in bytes.
const SIZE_MAX: usize = 1 << 20;

/// A request or an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its first line.
    pub(crate) start: String,
    /// Its fields, in order, as they came.
    pub(crate) fields: Vec<(String, String)>,
    /// Its body, without the framing.
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// The first value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> Option<u16> {
        self.start.split(' ').nth(1)?.parse().ok()
    }

    /// Method and target of a request.
    pub(crate) fn asked(&self) -> (&str, &str) {
        let mut words = self.start.split(' ');
        (words.next().unwrap_or_default(), words.next().unwrap_or_default())
    }
}

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Request,
    /// An answer to a request; to `HEAD` none has a body.
    Answer {
        to_head: bool,
    },
}

/// Reads messages from a stream, one after the other.
pub(crate) struct Reader<R> {
    stream: R,
    read: Vec<u8>,
}

impl<R: Read> Reader<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self { stream, read: Vec::new() }
    }

    /// Where bytes come from.
    pub(crate) fn stream(&mut self) -> &mut R {
        &mut self.stream
    }

    /// The next message; `None`: the stream ended before it began.
    ///
    /// # Errors
    /// What the stream says; that it ends in the midst; that it is no HTTP.
    pub(crate) fn message(&mut self, what: What) -> io::Result<Option<Message>> {
        loop {
            let Some(head) = self.head()? else { return Ok(None) };
            let mut message = parsed(&head)?;
            let status = message.status().unwrap_or(0);
            let interim = what != What::Request && (100..200).contains(&status) && status != 101;
            if interim {
                continue;
            }
            message.body = self.body(&message, what, status)?;
            return Ok(Some(message));
        }
    }

    /// More bytes; whether there were any.
    fn more(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 8_192];
        let count = self.stream.read(&mut buffer)?;
        self.read.extend_from_slice(&buffer[..count]);
        if self.read.len() > SIZE_MAX {
            return Err(wrong("longer than the bed reads"));
        }
        Ok(count > 0)
    }

    /// Everything before an empty line, which is taken too.
    fn head(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            while self.read.starts_with(b"\r\n") {
                self.read.drain(..2);
            }
            if let Some(at) = self.read.windows(4).position(|it| it == b"\r\n\r\n") {
                let head = self.read.drain(..at + 4).collect();
                return Ok(Some(head));
            }
            if !self.more()? {
                return if self.read.is_empty() { Ok(None) } else { Err(ended()) };
            }
        }
    }

    fn body(&mut self, message: &Message, what: What, status: u16) -> io::Result<Vec<u8>> {
        let bodiless = what == What::Answer { to_head: true } || [101, 204, 304].contains(&status);
        if bodiless && what != What::Request {
            return Ok(Vec::new());
        }
        let coding = message.field("transfer-encoding").unwrap_or_default();
        if coding.to_ascii_lowercase().contains("chunked") {
            return self.chunks();
        }
        match message.field("content-length").map(str::parse::<usize>) {
            Some(Ok(length)) => self.exactly(length),
            Some(Err(_)) => Err(wrong("a length that is none")),
            None if what == What::Request => Ok(Vec::new()),
            None => {
                while self.more()? {}
                Ok(std::mem::take(&mut self.read))
            }
        }
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.read.len() < length {
            if !self.more()? {
                return Err(ended());
            }
        }
        Ok(self.read.drain(..length).collect())
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.read.windows(2).position(|it| it == b"\r\n") {
                let line: Vec<u8> = self.read.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if !self.more()? {
                return Err(ended());
            }
        }
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size =
                usize::from_str_radix(size, 16).map_err(|_| wrong("a chunk without size"))?;
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.exactly(size)?);
            self.exactly(2)?;
        }
    }
}

fn parsed(head: &[u8]) -> io::Result<Message> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let start = lines.next().unwrap_or_default().to_owned();
    if !start.contains("HTTP/") {
        return Err(wrong("no HTTP"));
    }
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().to_owned()))
    };
    let fields = lines.filter(|line| !line.is_empty()).filter_map(field).collect();
    Ok(Message { start, fields, body: Vec::new() })
}

fn ended() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, what: What) -> Vec<Message> {
        let mut reader = Reader::new(text.as_bytes());
        let mut all = Vec::new();
        while let Some(message) = reader.message(what).unwrap() {
            all.push(message);
        }
        all
    }

    #[test]
    fn messages_are_read_one_after_the_other() {
        let text = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi\
                    GET /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n";
        let all = read(text, What::Request);
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].asked(), all[0].body.as_slice()), (("POST", "/a"), &b"hi"[..]));
        assert_eq!(
            (all[1].field("TRANSFER-encoding"), all[1].body.as_slice()),
            (Some("chunked"), &b"abc"[..])
        );
    }

    #[test]
    fn answers_have_the_body_that_their_head_says() {
        let answer = What::Answer { to_head: false };
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx\
                    HTTP/1.1 204 No\r\n\r\nHTTP/1.0 200 OK\r\n\r\nto the end";
        let all = read(text, answer);
        let seen: Vec<_> = all.iter().map(|it| (it.status(), it.body.len())).collect();
        assert_eq!(seen, [(Some(200), 1), (Some(204), 0), (Some(200), 10)]);
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
        assert_eq!(read(head, What::Answer { to_head: true }).len(), 1);
        for wrong in
            ["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "SSH-2.0\r\n\r\n", "HTTP/1.1"]
        {
            assert!(Reader::new(wrong.as_bytes()).message(answer).is_err(), "{wrong}");
        }
    }
}
