//! An endpoint that answers with as many bytes, in the manner, that the path of a request asks for, and
//! says whether it has heard what was sent.

use crate::dice::Dice;
use crate::duct::{Duct, Heard};
use eclusa_testkit::netns::Host;
use eclusa_testkit::stream::Stream;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// The longest body.
const BODY: usize = 300_000;

/// One exchange: what goes up, what comes down, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    seed: u64,
    up: usize,
    down: usize,
    up_in_chunks: bool,
    down_in_chunks: bool,
    /// The answer begins before the request has ended.
    is_early: bool,
    pub(crate) is_tunnel: bool,
}

impl Task {
    pub(crate) fn any(dice: &mut Dice) -> Self {
        Self {
            seed: dice.next() >> 1,
            up: if dice.one_in(3) { 0 } else { dice.size(BODY) },
            down: dice.size(BODY),
            up_in_chunks: dice.one_in(2),
            down_in_chunks: dice.one_in(2),
            is_early: dice.one_in(4),
            is_tunnel: dice.one_in(6),
        }
    }

    /// What the client says: for a tunnel also what goes through it.
    pub(crate) fn request(&self, host: &str, dice: &mut Dice) -> Vec<u8> {
        let path = self.path();
        let bytes = Stream::new(self.seed).bytes(0, self.up);
        if self.is_tunnel {
            let more = "Connection: Upgrade\r\nUpgrade: websocket";
            let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n\r\n");
            return [head.into_bytes(), bytes].concat();
        }
        message(&format!("POST {path} HTTP/1.1\r\nHost: {host}"), &bytes, self.up_in_chunks, dice)
    }

    /// Whether this is the answer.
    pub(crate) fn check_answer(&self, heard: &Heard) -> Result<(), String> {
        let (head, rest) = heard.parts().ok_or("no answer")?;
        let status = if self.is_tunnel { "http/1.1 101 " } else { "http/1.1 200 " };
        if !head.starts_with(status) {
            return Err(format!("{head}{}", String::from_utf8_lossy(&rest[..rest.len().min(200)])));
        }
        let body = if self.is_tunnel { Some(rest.to_vec()) } else { heard.body() };
        let body = body.ok_or("the answer's chunks are broken")?;
        self.compare(!self.seed, self.down, &body)
    }

    fn path(&self) -> String {
        let flag = u8::from;
        let flags = [self.up_in_chunks, self.down_in_chunks, self.is_early, self.is_tunnel];
        let [a, b, c, d] = flags.map(flag);
        format!("/{}/{}/{}/{a}/{b}/{c}/{d}", self.seed, self.up, self.down)
    }

    fn of(head: &str) -> Option<Self> {
        let path = head.split(' ').nth(1)?;
        let mut numbers = path.split('/').skip(1).map(|part| part.parse::<u64>().ok());
        let mut next = || numbers.next().flatten();
        let seed = next()?;
        let mut length = || next().and_then(|length| usize::try_from(length).ok());
        let (up, down) = (length()?, length()?);
        let mut flag = || next().map(|flag| flag == 1);
        Some(Self {
            seed,
            up,
            down,
            up_in_chunks: flag()?,
            down_in_chunks: flag()?,
            is_early: flag()?,
            is_tunnel: flag()?,
        })
    }

    fn compare(&self, seed: u64, length: usize, body: &[u8]) -> Result<(), String> {
        if body.len() != length {
            return Err(format!("{} bytes instead of {length}", body.len()));
        }
        Stream::new(seed).check(0, body).map_err(|wrong| wrong.to_string())
    }

    fn answer(&self, wrong: Option<String>, dice: &mut Dice) -> Vec<u8> {
        match wrong {
            None => {
                let bytes = Stream::new(!self.seed).bytes(0, self.down);
                message("HTTP/1.1 200 OK", &bytes, self.down_in_chunks, dice)
            }
            Some(wrong) => message("HTTP/1.1 500 Wrong", wrong.as_bytes(), false, dice),
        }
    }
}

fn message(first: &str, body: &[u8], in_chunks: bool, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A vector takes all.
    let mut put = |part: &[u8]| bytes.write_all(part).unwrap();
    put(first.as_bytes());
    if !in_chunks {
        put(format!("\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes());
        put(body);
        return bytes;
    }
    put(b"\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, other) = rest.split_at(rest.len().min(1 + dice.size(60_000)));
        put(format!("{:x}\r\n", chunk.len()).as_bytes());
        put(chunk);
        put(b"\r\n");
        rest = other;
    }
    put(b"0\r\n\r\n");
    bytes
}

/// The endpoint; gone when dropped.
#[derive(Debug)]
pub(crate) struct Mirror {
    address: SocketAddr,
    host: Host,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Mirror {
    /// With TLS where there is a configuration of it.
    pub(crate) fn start(host: &Host, address: &str, tls: Option<Arc<ServerConfig>>) -> Self {
        let address: SocketAddr = address.parse().unwrap();
        let listener = host.enter(|| listen(address));
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            for number in 0.. {
                let Ok((stream, _)) = listener.accept() else { return };
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let tls = tls.clone();
                // A connection that breaks is told by its client.
                std::thread::spawn(move || serve(stream, tls, &mut Dice::new(number)));
            }
        });
        Self { address, host: host.clone(), over, thread: Some(thread) }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes it.
        let _ = self.host.enter(|| TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// With a small window for whoever connects.
fn listen(address: SocketAddr) -> TcpListener {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16_384).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SockAddr::from(address)).unwrap();
    socket.listen(1_024).unwrap();
    socket.into()
}

fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, dice: &mut Dice) -> Result<(), String> {
    let mut duct = match tls {
        None => Duct::plain(stream, dice)?,
        Some(tls) => {
            let tls = ServerConnection::new(tls).map_err(|error| error.to_string())?;
            Duct::server(StreamOwned::new(tls, stream), dice)?
        }
    };
    loop {
        let mut heard = Heard::default();
        let asked = |heard: &Heard| heard.is_over || heard.parts().is_some();
        duct.converse(dice, b"", false, &mut heard, asked)?;
        let Some((head, _)) = heard.parts() else { return Ok(()) };
        let task = Task::of(&head).ok_or("no task")?;
        if task.is_tunnel {
            return tunnel(&mut duct, &task, heard, dice);
        }
        let all = task.answer(None, dice);
        let early = if task.is_early { all.len() / 2 } else { 0 };
        duct.converse(dice, &all[..early], false, &mut heard, Heard::is_whole)?;
        let body = heard.body().ok_or_else(|| "its chunks are broken".to_owned());
        let wrong = body.and_then(|body| task.compare(task.seed, task.up, &body)).err();
        let rest = match wrong {
            // Half of the right answer is said: what is heard is too short.
            Some(wrong) if early > 0 => return Err(wrong),
            wrong @ Some(_) => task.answer(wrong, dice),
            None => all[early..].to_vec(),
        };
        duct.converse(dice, &rest, false, &mut Heard::default(), |_| true)?;
    }
}

/// Both ways at once, each to its end.
fn tunnel(duct: &mut Duct, task: &Task, mut heard: Heard, dice: &mut Dice) -> Result<(), String> {
    let head =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let bytes = Stream::new(!task.seed).bytes(0, task.down);
    let said = [head.as_bytes(), &bytes].concat();
    duct.converse(dice, &said, true, &mut heard, |heard| heard.is_over)?;
    let (_, rest) = heard.parts().ok_or("no head")?;
    task.compare(task.seed, task.up, rest)
}
