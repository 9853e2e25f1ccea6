//! Where HAProxy is read: its stats socket, its stats page, or a file with its table. It is asked what a
//! monitoring asks, and nothing is changed there.

use super::stat::{Row, TABLE_MAX, add_addresses, cut, rows};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::spawn_local;
use tokio::time::timeout;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// A file that is older than this says nothing of now.
const STALE: Duration = Duration::from_secs(300);
/// Rows about endpoints of all sections, and nothing else (management guide, `show stat`).
const STAT: &str = "show stat -1 4 -1\n";
/// Where they are, for a socket that does not tell that in its table.
const STATE: &str = "show servers state\n";

/// Where HAProxy is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Its stats socket, or a file with its table: what is found there.
    Path(PathBuf),
    /// Its stats page: host and port, and the path of the table.
    Page { authority: String, path: String },
}

/// What was read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) rows: Vec<Row>,
    /// How old it is: nothing, but for a file.
    pub(super) age: Duration,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Page { authority, path } => write!(f, "http://{authority}{path}"),
        }
    }
}

/// The value of `--haproxy`.
pub(super) fn parse(text: &str) -> Result<Source, String> {
    if text.starts_with("https://") {
        return Err(
            "no TLS is spoken to it: name its stats socket, or a page by http://".to_owned()
        );
    }
    let Some(rest) = text.strip_prefix("http://") else {
        return match text.is_empty() {
            true => Err("name its stats socket, http://HOST:PORT/PATH, or a file".to_owned()),
            false => Ok(Source::Path(text.into())),
        };
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err("no password is sent to it: name its stats socket".to_owned());
    }
    if authority.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(
            "write http://HOST:PORT/PATH, such as http://127.0.0.1:8404/stats;csv".to_owned()
        );
    }
    let with_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let authority = if with_port { authority.to_owned() } else { format!("{authority}:80") };
    // The page of that address for people has the table behind it.
    let table = if path.ends_with(";csv") { "" } else { ";csv" };
    let path = if path.is_empty() { "/" } else { path };
    Ok(Source::Page { authority, path: format!("{path}{table}") })
}

impl Source {
    /// Reads it. `seen`: a file that was written then is known already.
    ///
    /// # Errors
    /// Why it cannot be read or understood, for the operator. `Ok(None)`: nothing new.
    pub(super) async fn read(
        &self,
        seen: &mut Option<SystemTime>,
    ) -> Result<Option<Answer>, String> {
        match timeout(ANSWER, self.ask(seen)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no complete answer within {ANSWER:?}")),
        }
    }

    async fn ask(&self, seen: &mut Option<SystemTime>) -> Result<Option<Answer>, String> {
        let text = match self {
            Self::Page { authority, path } => page(authority, path).await?,
            Self::Path(path) => {
                let found = fs::metadata(path).map_err(|error| denied(&error))?;
                let kind = found.file_type();
                if !kind.is_socket() {
                    // A pipe without a writer would be waited for in `open`.
                    if !kind.is_file() {
                        return Err("it is neither a socket nor a regular file".to_owned());
                    }
                    let written = found.modified().unwrap_or_else(|_| SystemTime::now());
                    return file(path, written, seen);
                }
                return self.socket(path).await.map(Some);
            }
        };
        Ok(Some(Answer { rows: rows(&text)?, age: Duration::ZERO }))
    }

    async fn socket(&self, path: &Path) -> Result<Answer, String> {
        let text = say(path, STAT).await?;
        let mut rows = rows(&text).map_err(|wrong| match text.contains("Permission denied") {
            true => "the socket does not let `show stat` be asked".to_owned(),
            false => wrong,
        })?;
        if rows.iter().any(|row| row.address.is_none()) {
            // Without it names have to do.
            if let Ok(state) = say(path, STATE).await {
                add_addresses(&mut rows, &state);
            }
        }
        Ok(Answer { rows, age: Duration::ZERO })
    }
}

/// Says a line to the socket and hears to the end.
async fn say(path: &Path, line: &str) -> Result<String, String> {
    let mut stream = UnixStream::connect(path).await.map_err(|error| denied(&error))?;
    let failed = |error: io::Error| format!("it broke off: {error}");
    stream.write_all(line.as_bytes()).await.map_err(failed)?;
    let mut answer = Vec::new();
    let most = TABLE_MAX as u64 + 1;
    stream.take(most).read_to_end(&mut answer).await.map_err(failed)?;
    text_of(answer)
}

/// What the system says, with the remedy where there is one.
fn denied(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "{error} (observe has no capabilities, not even as root: run it as a user who may, such as \
             the owner of the socket)"
        ),
        io::ErrorKind::ConnectionRefused => format!("{error} (nobody listens there)"),
        _ => error.to_string(),
    }
}

fn text_of(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.len() > TABLE_MAX {
        return Err(format!("more than {} MiB", TABLE_MAX >> 20));
    }
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// A file that somebody writes the table to now and then.
fn file(
    path: &Path,
    written: SystemTime,
    seen: &mut Option<SystemTime>,
) -> Result<Option<Answer>, String> {
    let age = SystemTime::now().duration_since(written).unwrap_or_default();
    if age > STALE {
        return Err(format!("nobody has written the file for {} s", age.as_secs()));
    }
    if *seen == Some(written) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let opened = File::open(path).map_err(|error| denied(&error))?;
    let read = opened.take(TABLE_MAX as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    let rows = rows(&text_of(bytes)?)?;
    *seen = Some(written);
    Ok(Some(Answer { rows, age }))
}

/// The table behind a stats page.
async fn page(authority: &str, path: &str) -> Result<String, String> {
    let stream = TcpStream::connect(authority).await.map_err(|error| denied(&error))?;
    let failed = |error: hyper::Error| format!("no HTTP answer: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let carrying = spawn_local(connection);
    let request = Request::get(path).header(HOST, authority).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| format!("no such page: {error}"))?;
    let answer = match sender.send_request(request).await {
        Ok(response) if response.status() == StatusCode::OK => {
            let body = Limited::new(response.into_body(), TABLE_MAX).collect().await;
            body.map(|body| body.to_bytes().to_vec()).map_err(|error| error.to_string())
        }
        Ok(response) if response.status() == StatusCode::UNAUTHORIZED => {
            Err("the page wants a password, and none is sent: name the stats socket".to_owned())
        }
        Ok(response) => Err(format!("the page answers {}", cut(response.status().as_str(), 40))),
        Err(error) => Err(failed(error)),
    };
    carrying.abort();
    text_of(answer?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart() {
        let page = |authority: &str, path: &str| {
            Ok(Source::Page { authority: authority.to_owned(), path: path.to_owned() })
        };
        assert_eq!(parse("http://127.0.0.1:8404/stats;csv"), page("127.0.0.1:8404", "/stats;csv"));
        assert_eq!(parse("http://[::1]:8404/stats"), page("[::1]:8404", "/stats;csv"));
        assert_eq!(parse("http://lb.test"), page("lb.test:80", "/;csv"));
        assert_eq!(parse("/run/haproxy.sock"), Ok(Source::Path("/run/haproxy.sock".into())));
        for wrong in ["", "https://a/", "http:///stats", "http://u:p@a/stats", "http://a/b c"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_is_read_once_for_each_time_it_is_written() {
        let path = std::env::temp_dir().join(format!("eclusa-csv-{}", std::process::id()));
        let table = "# pxname,svname,status,type,\na,b,UP,2,\n";
        fs::write(&path, table).unwrap();
        let (now, mut seen) = (SystemTime::now(), None);
        let read = |written, seen: &mut _| file(&path, written, seen);
        assert_eq!(read(now, &mut seen).unwrap().unwrap().rows.len(), 1);
        assert!(read(now, &mut seen).unwrap().is_none());
        assert!(read(now - Duration::from_secs(9), &mut seen).unwrap().is_some());
        let old = read(now - Duration::from_secs(400), &mut seen).unwrap_err();
        assert!(old.starts_with("nobody has written the file for 40"), "{old}");
        fs::write(&path, &table[..30]).unwrap();
        assert!(read(now, &mut seen).is_err(), "it is being written");
        fs::remove_file(&path).unwrap();
    }
}
