//! Five servers that read a connection and say what they have read: nginx, HAProxy, Node's, Python's
//! and hyper. Bytes are ambiguous when two of them read something else.

mod hyper_reader;

use e2e::product::PATIENCE;
use eclusa_testkit::background::Background;
use eclusa_testkit::netns::Host;
use eclusa_testkit::process::{Peer, Runner, Running};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// A server that says nothing for so long waits for more, where that cannot be told otherwise.
const QUIET: Duration = Duration::from_secs(1);

/// In front of what a server has read, in the head of its answer: method, target, length of the body.
const MARK: &str = "x-read: ";

/// What a server has read of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Requests, each as `METHOD target length`.
    pub(crate) requests: Vec<String>,
    /// It refused what came behind them, or dropped the connection.
    pub(crate) refused: bool,
}

impl Reading {
    /// Neither can be had with the other: at the first difference both go on, or one waits for more
    /// of what the other took for a whole request. Whoever refuses has not been misled.
    pub(crate) fn conflicts(&self, other: &Self) -> bool {
        let same = self.requests.iter().zip(&other.requests).take_while(|(a, b)| a == b).count();
        match (self.requests.len() == same, other.requests.len() == same) {
            (true, true) => false,
            (true, false) => !self.refused,
            (false, true) => !other.refused,
            (false, false) => true,
        }
    }
}

/// What each of them has read of one connection.
pub(crate) type Readings = Vec<(&'static str, Reading)>;

/// Whether two of them can not both be had.
pub(crate) fn is_ambiguous(readings: &Readings) -> bool {
    readings.iter().any(|(_, one)| readings.iter().any(|(_, other)| one.conflicts(other)))
}

/// Whether they differ at all: one refuses what another reads, too.
pub(crate) fn differs(readings: &Readings) -> bool {
    readings.windows(2).any(|two| two[0].1.requests != two[1].1.requests)
}

/// The servers; gone when dropped.
pub(crate) struct Readers {
    host: Host,
    all: Vec<(&'static str, SocketAddr)>,
    _peers: [Peer; 2],
    _scripts: Vec<Running>,
    _hyper: Background,
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all.fmt(f)
    }
}

impl Readers {
    /// On `host`. Where a program is missing the others do without it, and `test` says so.
    pub(crate) fn start(host: &Host, test: &str) -> Self {
        let address = host.address();
        let at = |port| SocketAddr::from((address, port));
        let nginx = NGINX.replace("{address}", &address.to_string());
        let haproxy = HAPROXY.replace("{address}", &address.to_string());
        let peers = [
            Peer::nginx(Some(host), &nginx, &[7001, 7002]).unwrap(),
            Peer::haproxy(Some(host), &haproxy, &[7003]).unwrap(),
        ];
        let mut all = vec![("nginx", at(7001)), ("HAProxy", at(7003)), ("hyper", at(7004))];
        let hyper = hyper_reader::start(host, at(7004));
        let mut scripts = Vec::new();
        let wanted = [
            ("Python", "python3", "-c", include_str!("readers/reader.py"), 7005),
            ("Node", "node", "-e", include_str!("readers/reader.js"), 7006),
        ];
        for (name, program, option, script, port) in wanted {
            if e2e::client::missing(test, program) {
                continue;
            }
            let runner =
                Runner::new(program).host(host).args([option, script, &address.to_string()]);
            let mut running = runner.args([port.to_string()]).start().unwrap();
            running.wait_listening(PATIENCE, port);
            scripts.push(running);
            all.push((name, at(port)));
        }
        Self { host: host.clone(), all, _peers: peers, _scripts: scripts, _hyper: hyper }
    }

    /// How many they are.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// What each of them reads of `pieces` and the end behind them, which consist of so many requests.
    /// A piece comes when those before it were answered, as the edge sends requests.
    pub(crate) fn read(&self, pieces: &[&[u8]], expected: usize) -> Readings {
        self.each(pieces, &|requests| requests.len() >= expected, PATIENCE)
    }

    /// What each of them reads of bytes that nobody knows the meaning of: to a request for `last`,
    /// or until it is quiet.
    pub(crate) fn read_raw(&self, bytes: &[u8], last: &str) -> Readings {
        let last = format!("GET {last} ");
        let is_last = |requests: &[String]| requests.last().is_some_and(|it| it.starts_with(&last));
        self.each(&[bytes], &is_last, QUIET)
    }

    fn each(&self, pieces: &[&[u8]], is_all: &IsAll<'_>, patience: Duration) -> Readings {
        std::thread::scope(|scope| {
            let read = |(name, address): &(&'static str, SocketAddr)| {
                let (name, address) = (*name, *address);
                (name, scope.spawn(move || read(&self.host, address, (pieces, is_all), patience)))
            };
            let threads: Vec<_> = self.all.iter().map(read).collect();
            let joined = threads.into_iter().map(|(name, thread)| {
                let reading = thread.join().unwrap();
                (name, reading.unwrap_or_else(|error| panic!("{name}: {error}")))
            });
            joined.collect()
        })
    }
}

/// Whether it has read all that there is to be read.
type IsAll<'a> = dyn Fn(&[String]) -> bool + Sync + 'a;

/// Has one of them read `pieces`.
fn read(
    host: &Host,
    address: SocketAddr,
    (pieces, is_all): (&[&[u8]], &IsAll<'_>),
    patience: Duration,
) -> io::Result<Reading> {
    let stream = host.enter(|| TcpStream::connect(address))?;
    stream.set_read_timeout(Some(patience))?;
    let mut writer = stream.try_clone()?;
    let (first, rest) = match pieces {
        [first, rest @ ..] => (*first, rest),
        [] => (&[][..], pieces),
    };
    let (heard, dropped) = std::thread::scope(|scope| {
        // Who refuses does not listen to the rest.
        scope.spawn(move || drop(writer.write_all(first)));
        hear(&stream, rest, is_all)
    })?;
    let (reading, _) = reading(&heard);
    Ok(Reading { refused: reading.refused || dropped, ..reading })
}

/// What it says, and whether it ended the connection first.
fn hear(
    mut stream: &TcpStream,
    pieces: &[&[u8]],
    is_all: &IsAll<'_>,
) -> io::Result<(Vec<u8>, bool)> {
    let mut said = 0;
    let mut heard = Vec::new();
    let mut buffer = vec![0; 65536];
    let mut ended = false;
    loop {
        let (read, answers) = reading(&heard);
        if let Some(piece) = pieces.get(said).filter(|_| answers > said) {
            said += 1;
            // Who has refused what came before does not listen.
            let _ = stream.write_all(piece);
        }
        if !ended && is_all(&read.requests) {
            ended = true;
            stream.shutdown(Shutdown::Write)?;
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Ok((heard, !ended)),
            Ok(read) => heard.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                return Ok((heard, !ended));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if ended {
                    return Ok((heard, false));
                }
                ended = true;
                // Reset meanwhile, perhaps: then the next read tells.
                let _ = stream.shutdown(Shutdown::Write);
            }
            Err(error) => return Err(error),
        }
    }
}

/// What was read, and how many answers there are.
fn reading(heard: &[u8]) -> (Reading, usize) {
    let text: String = heard.iter().map(|byte| char::from(*byte)).collect();
    let mut requests = Vec::new();
    let (mut last, mut answers) = ("", 0);
    for line in text.lines() {
        if let Some(read) = line.get(MARK.len()..)
            && line[..MARK.len()].eq_ignore_ascii_case(MARK)
        {
            requests.push(request(read.trim_end()));
        } else if line.starts_with("HTTP/1.") {
            last = line.split(' ').nth(1).unwrap_or_default();
            answers += usize::from(!last.starts_with('1'));
        }
    }
    let refused = last.starts_with('4') || last.starts_with('5');
    (Reading { requests, refused }, answers)
}

/// What was read, as all of them would say it: nginx says no length where there is no body, and what
/// it calls the target of `GET http://a/b` is `/b`.
fn request(read: &str) -> String {
    let mut words = read.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let length = words.next().unwrap_or("0");
    let path =
        target.split_once("://").map(|(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    format!("{method} {} {length}", path.unwrap_or(target))
}

/// nginx passes what it has read on to itself: whole, and with a length.
const NGINX: &str = "
events { worker_connections 512; }
http {
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    access_log off; client_max_body_size 0; client_body_buffer_size 1m;
    client_header_buffer_size 64k; large_client_header_buffers 8 64k;
    keepalive_requests 100000; underscores_in_headers on;
    server {
        listen {address}:7001;
        location / {
            rewrite ^ /read break;
            proxy_pass http://{address}:7002; proxy_http_version 1.0;
            proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;
            proxy_ignore_client_abort on; proxy_pass_request_headers off;
            proxy_set_header X-Target $request_uri;
        }
    }
    server {
        listen {address}:7002;
        location / {
            add_header X-Read '$request_method $http_x_target $content_length' always;
            return 200;
        }
    }
}
";

const HAPROXY: &str = "
global
    maxconn 500
    tune.bufsize 65536
    tune.http.maxhdr 256
defaults
    mode http
    timeout client 10s
    timeout http-request 10s
    timeout http-keep-alive 10s
frontend reader
    bind {address}:7003
    option http-buffer-request
    http-request return status 200 hdr X-Read \"%[method] %[url] %[req.body_len]\"
";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(requests: &[&str], refused: bool) -> Reading {
        Reading { requests: requests.iter().map(ToString::to_string).collect(), refused }
    }

    #[test]
    fn who_refuses_is_not_misled() {
        let whole = read(&["GET /a 0", "GET /b 0"], false);
        assert!(!whole.conflicts(&whole));
        assert!(!read(&["GET /a 0"], true).conflicts(&whole));
        assert!(!whole.conflicts(&read(&[], true)));
        assert!(read(&["GET /a 0"], false).conflicts(&whole), "it waits for more");
        assert!(read(&["GET /a 5"], true).conflicts(&whole), "it has read something else");
    }

    #[test]
    fn what_was_read_is_found() {
        let heard = "HTTP/1.1 200 OK\r\nX-Read: GET /a  \r\n\r\nHTTP/1.1 200 OK\r\nx-read: POST /b 5\r\n\r\nHTTP/1.1 400 Bad\r\n\r\n";
        assert_eq!(reading(heard.as_bytes()), (read(&["GET /a 0", "POST /b 5"], true), 3));
        assert_eq!(request("GET http://a.example/b 5"), "GET /b 5");
        assert_eq!(request("OPTIONS *"), "OPTIONS * 0");
    }
}
