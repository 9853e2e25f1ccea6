//! Asks `observe.listen` over HTTP/1.1, as Prometheus and a health check do.

use crate::plain::{connect, hear};
use eclusa_testkit::netns::Host;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status; 0 where what came is no HTTP.
    pub status: u16,
    /// What came behind its head.
    pub body: String,
}

/// Sends a GET from `host` and reads the answer to its end.
///
/// # Panics
/// Nobody answers.
#[must_use]
#[track_caller]
pub fn get(host: &Host, address: SocketAddr, path: &str) -> Answer {
    ask(connect(host, address), path)
}

/// The same from the namespace of the test.
///
/// # Panics
/// Nobody answers.
#[must_use]
#[track_caller]
pub fn get_here(address: SocketAddr, path: &str) -> Answer {
    let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    ask(stream, path)
}

#[track_caller]
fn ask(mut stream: TcpStream, path: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: eclusa\r\nConnection: close\r\n\r\n");
    let answer = stream.write_all(request.as_bytes()).and_then(|()| hear(&stream));
    let answer = answer.unwrap_or_else(|error| panic!("{path}: {error}"));
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Answer { status: status.unwrap_or(0), body: body.to_owned() }
}

/// The value of a sample without labels on a page of metrics; `None` if it has none.
#[must_use]
pub fn sample(page: &str, name: &str) -> Option<f64> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    page.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_found_by_its_whole_name() {
        let page = "# TYPE lines_total counter\nlines_total_more 1\nlines_total{of=\"x\"} 2\nlines_total 3\n";
        assert_eq!(sample(page, "lines_total"), Some(3.0));
        assert_eq!(sample(page, "lines"), None);
    }
}
