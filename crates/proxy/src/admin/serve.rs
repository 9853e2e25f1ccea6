//! The clients of the admin socket: at most [`CLIENTS`], each with one request at a time, none of
//! whom can hold up anything but itself.

use super::audit::{self, By};
use super::events;
use super::protocol::{self, REQUEST_MAX};
use super::{Operate, Outcome, Peer, Reply, Request, Socket};
use crate::observe::Event;
use serde_json::Value;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// Clients at once.
const CLIENTS: usize = 16;
/// How the log calls the way by which orders came.
const FROM: &str = "admin socket";
/// Wrong lines, one after another, after which a client is not listened to any more.
const WRONG_MAX: u32 = 8;
/// Bytes that are read and written at a time.
const PIECE: usize = 16 << 10;
/// How long to wait when nothing can be accepted (no descriptors left).
const PAUSE: Duration = Duration::from_millis(100);

/// How long a client is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For its next request.
    pub(crate) idle: Duration,
    /// For the rest of a line that has begun.
    pub(crate) line: Duration,
    /// For it to read some of a reply.
    pub(crate) stalled: Duration,
    /// For it to read the whole reply.
    pub(crate) reply: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(60),
            line: Duration::from_secs(10),
            stalled: Duration::from_secs(10),
            reply: Duration::from_secs(60),
        }
    }
}

/// Accepts clients; dropped = no new ones, and the socket's file is gone. Requests under way go on.
#[derive(Debug)]
pub(crate) struct Serving {
    accepting: JoinHandle<()>,
    _socket: Socket,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Serving {
    /// Of a task that accepts clients of `socket`.
    pub(crate) fn new(accepting: JoinHandle<()>, socket: Socket) -> Self {
        Self { accepting, _socket: socket }
    }
}

/// Where requests are handed in, whatever socket they came by.
pub(crate) struct Desk<O> {
    operate: O,
    /// Writes an event to the log.
    tell: Box<dyn Fn(Event)>,
    /// Requests that change something come one after another.
    turn: Semaphore,
}

/// What all clients share.
struct Site<O> {
    desk: Rc<Desk<O>>,
    patience: Patience,
}

/// Begins to serve the socket, on this thread's reactor, which must be a local one.
///
/// # Errors
/// The reactor does not take the socket, or it was taken before.
pub(crate) fn serve(
    mut socket: Socket,
    desk: Rc<Desk<impl Operate>>,
    patience: Patience,
) -> io::Result<Serving> {
    let listener = socket.take_listener()?;
    let accepting = spawn_local(accept(Rc::new(Site { desk, patience }), listener));
    Ok(Serving::new(accepting, socket))
}

async fn accept<O: Operate>(site: Rc<Site<O>>, listener: UnixListener) {
    let permits = Arc::new(Semaphore::new(CLIENTS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        match permits.clone().try_acquire_owned() {
            Ok(permit) => drop(spawn_local(converse(site.clone(), stream, permit))),
            Err(_) => turn_away(stream),
        }
    }
}

/// One line, if the socket takes it at once, which a new one does.
fn turn_away(stream: UnixStream) {
    let message = format!("{CLIENTS} clients are here already: try again in a moment");
    let line = protocol::reply_line(&Value::Null, &Reply::not_done(Outcome::Failed, message));
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write(&line);
    }
}

/// The story of one client. Its errors are nobody's but its own: it is gone.
async fn converse<O: Operate>(
    site: Rc<Site<O>>,
    stream: UnixStream,
    _permit: OwnedSemaphorePermit,
) {
    let Ok(peer) = Peer::of(&stream) else { return };
    let mut client = Client::new(stream, site.patience, REQUEST_MAX);
    let mut wrong = 0;
    while let Some(next) = client.next().await {
        let (id, reply, last) = match next {
            Next::Line(line) => {
                let protocol::Line { id, request } = protocol::parse(&line);
                drop(line);
                if let Ok(Request::Events(asked)) = &request
                    && asked.follow
                    && let Some(recent) = site.desk.operate.recent()
                {
                    return events::follow(&mut client, &id, asked, &recent).await;
                }
                match request {
                    Ok(request) => {
                        wrong = 0;
                        (id, site.desk.perform(request, &peer, FROM).await, false)
                    }
                    Err(message) => {
                        wrong += 1;
                        (id, Reply::not_done(Outcome::Wrong, message), wrong >= WRONG_MAX)
                    }
                }
            }
            Next::Unusable(message) => {
                (Value::Null, Reply::not_done(Outcome::Wrong, message), true)
            }
        };
        let line = protocol::reply_line(&id, &reply);
        drop(reply);
        if client.write(&line).await.is_err() || last {
            return;
        }
    }
}

impl<O: Operate> Desk<O> {
    /// `tell` takes what is to be logged: every request that changes something, with who asked for it.
    pub(crate) fn new(operate: O, tell: impl Fn(Event) + 'static) -> Self {
        Self { operate, tell: Box::new(tell), turn: Semaphore::new(1) }
    }

    /// Does what `request`, which is within its bounds and came `from` somewhere, asks for.
    pub(crate) async fn perform(&self, request: Request, peer: &Peer, from: &'static str) -> Reply {
        if !request.changes() {
            return self.operate.perform(request, peer).await;
        }
        let (words, reason) = (request.words(), request.reason().map(str::to_owned));
        // Never closed.
        let _turn = self.turn.acquire().await;
        let reply = self.operate.perform(request, peer).await;
        let event = audit::event(&words, reason.as_deref(), By { peer: Some(peer), from }, &reply);
        (self.tell)(event);
        reply
    }
}

/// What came of waiting for a line.
pub(crate) enum Next {
    Line(Vec<u8>),
    /// No more lines can be found in what this client sends, for this reason.
    Unusable(String),
}

/// Why a client was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It asked nothing for too long.
    Idle,
    /// A line was too long, or did not come to its end.
    Line,
    /// It did not read the answer.
    Slow,
}

impl Cut {
    /// The words that metrics have for them.
    pub(crate) const WORDS: [&'static str; 3] = ["idle", "line", "slow"];

    /// The word that metrics have for it.
    pub(crate) fn word(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// What a client that waits for something else has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waited {
    /// What it waited for.
    Come,
    /// The client has gone, or says something although it is to listen.
    Gone,
}

/// Lines from one client, and answers to it, within bounds.
pub(crate) struct Client {
    stream: UnixStream,
    /// What came beyond the last line; no more than a request and a piece.
    read: Vec<u8>,
    patience: Patience,
    /// The longest line, in bytes.
    longest: usize,
    /// Why it was cut, if it was.
    cut: Option<Cut>,
}

impl Client {
    /// A client whose lines have at most `longest` bytes.
    pub(crate) fn new(stream: UnixStream, patience: Patience, longest: usize) -> Self {
        Self { stream, read: Vec::new(), patience, longest, cut: None }
    }

    /// Why it was cut, if it was.
    pub(crate) fn cut(&self) -> Option<Cut> {
        self.cut
    }

    /// The next line, without its end; `None`: the client has gone, or asks nothing.
    pub(crate) async fn next(&mut self) -> Option<Next> {
        let mut searched = 0;
        let mut until = Instant::now() + self.patience.idle;
        loop {
            let end = self.read[searched..].iter().position(|byte| *byte == b'\n');
            if let Some(end) = end.map(|end| end + searched) {
                let rest = self.read.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.read, rest);
                line.truncate(end);
                return Some(self.fitting(line));
            }
            if self.read.len() > self.longest {
                return Some(self.too_long());
            }
            if searched == 0 && !self.read.is_empty() {
                until = Instant::now() + self.patience.line;
            }
            searched = self.read.len();
            match timeout_at(until, self.read_some()).await {
                Ok(Ok(0)) if self.read.is_empty() => return None,
                // The last line needs no end.
                Ok(Ok(0)) => {
                    let line = std::mem::take(&mut self.read);
                    return Some(self.fitting(line));
                }
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return None,
                Err(_) if self.read.is_empty() => {
                    self.cut = Some(Cut::Idle);
                    return None;
                }
                Err(_) => {
                    self.cut = Some(Cut::Line);
                    let seconds = self.patience.line.as_secs();
                    let message = format!("half a line, and no more within {seconds} s");
                    return Some(Next::Unusable(message));
                }
            }
        }
    }

    fn fitting(&mut self, line: Vec<u8>) -> Next {
        if line.len() > self.longest { self.too_long() } else { Next::Line(line) }
    }

    fn too_long(&mut self) -> Next {
        self.cut = Some(Cut::Line);
        Next::Unusable(format!("a line of more than {} KiB: closed", self.longest >> 10))
    }

    async fn read_some(&mut self) -> io::Result<usize> {
        self.read.reserve(PIECE);
        (&mut self.stream).take(PIECE as u64).read_buf(&mut self.read).await
    }

    /// Waits for something else than a line, and notices when the client goes.
    pub(super) async fn wait_beside(&mut self, something: impl Future<Output = ()>) -> Waited {
        tokio::select! {
            () = something => Waited::Come,
            _ = self.read_some() => Waited::Gone,
        }
    }

    /// Writes a whole reply, for as long as the client goes on reading.
    pub(crate) async fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let end = Instant::now() + self.patience.reply;
        for piece in line.chunks(PIECE) {
            let mut rest = piece;
            while !rest.is_empty() {
                let write = timeout(self.patience.stalled, self.stream.write(rest));
                match timeout_at(end, write).await {
                    Ok(Ok(Ok(0))) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(Ok(written)) => rest = rest.get(written?..).unwrap_or_default(),
                    _ => {
                        self.cut = Some(Cut::Slow);
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
            }
        }
        Ok(())
    }
}
