//! What `explain` says, beside what really came of a request. Endpoints answer with the name of their pool.

use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{self, BufRead, BufReader, Read, Write};

/// Whether it says that the other side has ended the connection.
#[must_use]
pub fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), ConnectionReset | BrokenPipe | UnexpectedEof)
}

/// Who answers a request: what is in its body, or its status where that is not 200; `closed` at the end.
pub fn told_by(mut stream: impl Read + Write, wire: &str) -> String {
    // Whoever is closed out may be so before it has said all.
    let _ = stream.write_all(wire.as_bytes()).and_then(|()| stream.flush());
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    match stream.read_line(&mut line) {
        Ok(0) => return "closed".to_owned(),
        Err(error) if is_end(&error) => return "closed".to_owned(),
        Err(error) => return error.to_string(),
        Ok(_) => {}
    }
    let status = line.split(' ').nth(1).unwrap_or_default().to_owned();
    if status != "200" {
        return status;
    }
    let mut length = 0;
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line).is_err() {
            return "half an answer".to_owned();
        }
        if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    match stream.read_exact(&mut body) {
        Ok(()) => String::from_utf8_lossy(&body).into_owned(),
        Err(error) => error.to_string(),
    }
}

/// What `explain` says comes of it: one of these, in the words of [`told_by`].
///
/// # Panics
/// It is no report of `explain`.
#[must_use]
pub fn told(explained: &Value) -> BTreeSet<String> {
    let pools = explained["pools"].as_array().expect("pools");
    match explained["outcome"].as_str().expect("an outcome") {
        "pool" | "split" => {
            pools.iter().map(|pool| pool["name"].as_str().expect("a name").to_owned()).collect()
        }
        "denied" => BTreeSet::from(["closed".to_owned()]),
        _ => match explained["status"].as_u64() {
            Some(status) => BTreeSet::from([status.to_string()]),
            None => BTreeSet::from(["closed".to_owned()]),
        },
    }
}
