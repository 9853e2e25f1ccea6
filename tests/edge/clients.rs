//! Four clients that read answers and say what they have read: curl, Node's, Python's and hyper.

use e2e::client::missing;
use e2e::product::PATIENCE;
use eclusa_testkit::background::Background;
use eclusa_testkit::netns::Host;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

/// What a client says of an answer that it does not take, or not to its end.
pub(crate) const ERROR: &str = "error";

/// What each client reads of each answer: `STATUS LENGTH`, or [`ERROR`].
pub(crate) type Told = Vec<(&'static str, Vec<String>)>;

/// Has each client read each of `answers`, with the end of the stream behind it. They run on `host`;
/// where a program is missing the others do without it, and `test` says so.
pub(crate) fn read(host: &Host, test: &str, answers: &[Vec<u8>]) -> Told {
    let replay = Replay::start(host, answers);
    let (address, port) = (replay.0.ip().to_string(), replay.0.port().to_string());
    let count = answers.len().to_string();
    let mut told = vec![("hyper", hyper(host, replay.0, answers.len()))];
    if !missing(test, "curl") {
        told.push(("curl", curl(host, replay.0, answers.len())));
    }
    for (name, program, option, script) in [
        ("Python", "python3", "-c", include_str!("clients/client.py")),
        ("Node", "node", "-e", include_str!("clients/client.js")),
    ] {
        if !missing(test, program) {
            let said = host.run(program, &[option, script, &address, &port, &count]).unwrap();
            told.push((name, said.lines().map(ToOwned::to_owned).collect()));
        }
    }
    for (name, lines) in &told {
        assert_eq!(lines.len(), answers.len(), "{name} has not read all: {lines:?}");
    }
    told
}

/// Answers that are read in several ways, with what each client says.
pub(crate) fn differing(told: &Told, answers: usize) -> Vec<(usize, Vec<String>)> {
    let of = |number: usize| {
        told.iter().map(|(name, lines)| format!("{name}: {}", lines[number])).collect::<Vec<_>>()
    };
    let differs = |number: &usize| told.iter().any(|(_, all)| all[*number] != told[0].1[*number]);
    (0..answers).filter(differs).map(|number| (number, of(number))).collect()
}

fn curl(host: &Host, to: SocketAddr, count: usize) -> Vec<String> {
    let ask = |number| {
        let mut command = host.command("curl");
        command.args(["-s", "--max-time", "10", "-o", "/dev/null"]);
        command.args(["-w", "%{http_code} %{size_download}"]);
        let output = command.arg(format!("http://{to}/{number}")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() { said } else { ERROR.to_owned() }
    };
    (0..count).map(ask).collect()
}

fn hyper(host: &Host, to: SocketAddr, count: usize) -> Vec<String> {
    let connections: Vec<_> = (0..count)
        .map(|_| {
            host.enter(|| TcpStream::connect(to)).and_then(|stream| {
                stream.set_nonblocking(true)?;
                Ok(stream)
            })
        })
        .collect::<io::Result<_>>()
        .unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let run = move || {
        let work = async move {
            for (number, connection) in connections.into_iter().enumerate() {
                let read = ask(number, connection).await;
                let _ = tell.send(read.unwrap_or_else(|_| ERROR.to_owned()));
            }
        };
        Ok(((), work))
    };
    let ((), _running) = Background::start("hyper", run).unwrap();
    (0..count).map(|_| told.recv_timeout(PATIENCE).unwrap()).collect()
}

async fn ask(number: usize, stream: TcpStream) -> Result<String, Box<dyn std::error::Error>> {
    let stream = TokioIo::new(tokio::net::TcpStream::from_std(stream)?);
    let (mut sender, connection) =
        http1::Builder::new().max_headers(1000).handshake(stream).await?;
    tokio::task::spawn_local(connection);
    let request = Request::get(format!("/{number}")).header("Host", "a.example");
    let answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes();
    Ok(format!("{status} {}", body.len()))
}

/// A server that says what it was told to, and the end.
struct Replay(SocketAddr, Host);

impl Replay {
    fn start(host: &Host, answers: &[Vec<u8>]) -> Self {
        let listener = host.enter(|| TcpListener::bind((host.address(), 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let answers = answers.to_vec();
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                // The one that ends it says nothing.
                let Ok(number) = asked(&stream) else { return };
                let bytes: Vec<u8> = answers.get(number).cloned().unwrap_or_default();
                std::thread::spawn(move || say(&stream, &bytes));
            }
        });
        Self(address, host.clone())
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        let _ = self.1.enter(|| TcpStream::connect(self.0));
    }
}

/// The number in the path of a request, which is read to the end of its head.
fn asked(stream: &TcpStream) -> io::Result<usize> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    path.trim_start_matches('/').parse().map_err(io::Error::other)
}

fn say(mut stream: &TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    // Closed after the other side: a reset could overtake what was said.
    let _ = stream.read_to_end(&mut Vec::new());
}
