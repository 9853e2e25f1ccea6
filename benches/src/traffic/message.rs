//! What the HTTP work says: requests and answers, written once, and the check of each answer that
//! comes back.

use crate::case::Http;
use std::fmt::Write;

/// The host of the requests: of the candidates' twenty routes the last.
pub const HOST: &str = "app19.example.test";

/// The longest head that is waited for.
const HEAD_MAX: usize = 16 << 10;

/// Fields of real requests and answers, in turn used until there are enough.
const FIELDS: [(&str, &str); 16] = [
    ("Accept-Language", "en-GB,en;q=0.8,de;q=0.5"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Cache-Control", "no-cache, max-age=0"),
    ("Cookie", "session=4f1c2d9be8a07731; theme=dark; consent=necessary"),
    ("Referer", "https://app19.example.test/catalogue?page=7"),
    ("Sec-Fetch-Dest", "empty"),
    ("Sec-Fetch-Mode", "cors"),
    ("Sec-Fetch-Site", "same-origin"),
    ("X-Request-Time", "1731000000.123"),
    ("X-Trace", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("X-Client-Version", "7.31.2"),
    ("X-Tenant", "north-east"),
    ("X-Feature-Flags", "a,b,c,d,e"),
    ("X-Correlation", "9c0a1b62-51c5-4f8f-9e2f-6cf3a1f5d3aa"),
    ("X-Locale", "de-DE"),
    ("X-Device", "desktop"),
];

fn fill(head: &mut String, has: usize, wanted: usize) {
    for (number, (name, value)) in
        FIELDS.iter().cycle().take(wanted.saturating_sub(has)).enumerate()
    {
        if number < FIELDS.len() {
            let _ = write!(head, "{name}: {value}\r\n");
        } else {
            let _ = write!(head, "{name}-{number}: {value}\r\n");
        }
    }
}

/// The request.
#[must_use]
pub fn request(http: Http) -> Vec<u8> {
    let mut head = format!(
        "GET /catalogue/items?id=7 HTTP/1.1\r\nHost: {HOST}\r\nUser-Agent: bench/1.0\r\n\
         Accept: */*\r\n"
    );
    fill(&mut head, 3 + usize::from(http.fresh), http.fields);
    if http.fresh {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// The answer.
#[must_use]
pub fn answer(http: Http) -> Vec<u8> {
    let mut head = format!(
        "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n",
        http.body
    );
    fill(&mut head, 3, http.fields);
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend((0..http.body).map(|i| b'a' + (i % 23) as u8));
    bytes
}

/// How far an answer has come.
#[derive(Debug, Default)]
pub struct Arriving {
    /// What is there of its head.
    head: Vec<u8>,
    /// What is missing of its body; `None`: the head is not complete.
    left: Option<usize>,
    /// Whether its head says that the connection ends with it.
    closes: bool,
}

impl Arriving {
    /// For the next one.
    pub fn begin(&mut self) {
        self.head.clear();
        self.left = None;
        self.closes = false;
    }

    /// Whether the other side has said that it closes the connection behind it.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.closes
    }

    /// Whether it is complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.left == Some(0)
    }

    /// Bytes of the body that are missing, once the head is there.
    #[must_use]
    pub fn left(&self) -> Option<usize> {
        self.left
    }

    /// Takes what has come; the answer must be the one to `http`.
    ///
    /// # Errors
    /// It is another one, in words.
    pub fn take(&mut self, bytes: &[u8], http: Http) -> Result<(), String> {
        let body = match self.left {
            Some(_) => bytes.len(),
            None => {
                self.head.extend_from_slice(bytes);
                let end = self.head.windows(4).position(|four| four == b"\r\n\r\n");
                let Some(end) = end else {
                    let enough = self.head.len() <= HEAD_MAX;
                    return if enough { Ok(()) } else { Err("an answer without a head".into()) };
                };
                check(&self.head[..end + 2], http)?;
                self.closes = value(&self.head[..end + 2], b"connection:")
                    .is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(b"close"));
                self.left = Some(http.body);
                self.head.len() - end - 4
            }
        };
        self.skip(body)
    }

    /// Counts bytes of the body that nobody has looked at.
    ///
    /// # Errors
    /// They are more than the answer has.
    pub fn skip(&mut self, bytes: usize) -> Result<(), String> {
        let left = self.left.unwrap_or(0);
        let rest = left.checked_sub(bytes);
        self.left = Some(rest.ok_or_else(|| format!("{} bytes too many", bytes - left))?);
        Ok(())
    }
}

/// Whether it is the head of a 200 with the right length.
fn check(head: &[u8], http: Http) -> Result<(), String> {
    let wrong = |what: &str| format!("{what}: {}", head.escape_ascii());
    if !head.starts_with(b"HTTP/1.1 200 ") {
        return Err(wrong("not the status 200"));
    }
    let length = value(head, b"content-length:");
    let length = length.and_then(|value| str::from_utf8(value).ok()?.trim().parse().ok());
    if length != Some(http.body) {
        return Err(wrong("not the length that was asked for"));
    }
    Ok(())
}

/// The value of a field; its name as given is in lower case and with its colon.
fn value<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let (found, value) = line.split_at_checked(name.len())?;
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP: Http = Http { fields: 20, ..Http::SMALL };

    #[test]
    fn messages_have_as_many_fields_as_asked_for() {
        for bytes in [request(HTTP), answer(HTTP)] {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let head = text.split("\r\n\r\n").next().unwrap_or_default();
            assert_eq!(head.lines().count(), 21, "{head}");
        }
        let few = request(Http { fields: 0, ..HTTP });
        assert_eq!(few.split(|byte| *byte == b'\n').count(), 6);
    }

    #[test]
    fn an_answer_in_pieces_is_followed_to_its_last_byte() {
        let whole = answer(HTTP);
        for size in [1, 7, 500, whole.len()] {
            let mut arriving = Arriving::default();
            for piece in whole.chunks(size) {
                assert!(!arriving.is_complete());
                arriving.take(piece, HTTP).expect("the right answer");
            }
            assert!(arriving.is_complete());
            assert!(!arriving.closes());
            assert!(arriving.take(b"x", HTTP).is_err());
        }
    }

    #[test]
    fn a_connection_that_ends_is_noticed() {
        let mut arriving = Arriving::default();
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nconnection: Close\r\n\r\n";
        arriving.take(head, HTTP).expect("the right answer");
        assert!(arriving.closes());
        arriving.begin();
        assert!(!arriving.closes());
    }

    #[test]
    fn another_answer_is_told() {
        let took = |bytes: &[u8]| Arriving::default().take(bytes, HTTP);
        assert!(took(b"HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\n").is_err());
        assert!(took(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n").is_err());
        assert!(took(b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n").is_err());
        assert!(took(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n").is_ok());
    }
}
