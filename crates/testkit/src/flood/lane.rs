//! An attacker at work: its connections, each of which comes back when it is cut.

use super::attack::{Attack, Ground, Next};
use super::frames::Reader;
use serde::{Deserialize, Serialize};
use socket2::SockRef;
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::task::LocalSet;
use tokio::time::timeout;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(1);
/// Rest after one that could not be made.
const REFUSED: Duration = Duration::from_millis(10);
/// Bytes heard at once.
const BUFFER: usize = 16 << 10;

/// What an attacker is to do.
#[derive(Clone, Debug)]
pub struct Flood {
    /// Which attack.
    pub attack: Attack,
    /// The listener.
    pub to: SocketAddr,
    /// For how long.
    pub lasts: Duration,
}

/// What an attacker has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Connections that were made.
    pub opened: u64,
    /// Connections that could not be made.
    pub refused: u64,
    /// Connections that the other side has ended.
    pub cut: u64,
    /// HTTP/2: GOAWAY that came.
    pub goaways: u64,
    /// HTTP/2: RST_STREAM that came.
    pub resets: u64,
    /// HTTP/2: heads of answers that came.
    pub answers: u64,
    /// Bytes said.
    pub said: u64,
    /// Bytes heard.
    pub heard: u64,
}

/// What was heard on a connection.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) bytes: Cell<u64>,
    pub(super) answers: Cell<u64>,
    pub(super) resets: Cell<u64>,
    pub(super) goaways: Cell<u64>,
    /// SETTINGS to acknowledge.
    pub(super) settings: Cell<u32>,
    /// All that may be sent, on the connection and on its first stream (RFC 9113, section 6.9.2).
    pub(super) window: Cell<u32>,
    pub(super) stream_window: Cell<u32>,
}

impl Default for Heard {
    fn default() -> Self {
        let zero = || Cell::new(0);
        let (bytes, answers, resets, goaways) = (zero(), zero(), zero(), zero());
        let (window, stream_window) = (Cell::new(65_535), Cell::new(65_535));
        let settings = Cell::new(0);
        Self { bytes, answers, resets, goaways, settings, window, stream_window }
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Cut,
    Left,
}

struct Attacker {
    flood: Flood,
    hello: Vec<u8>,
    report: Cell<Report>,
}

impl Flood {
    /// Attacks until its time is over.
    ///
    /// # Errors
    /// There is no reactor.
    pub fn run(self) -> io::Result<Report> {
        // The reactor is asked in each turn: who only says something would hear nothing for seconds.
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().event_interval(1).build()?;
        let (connections, lasts) = (self.attack.connections(), self.lasts);
        let hello = crate::ca::client_hello("attacked.test", &["h2", "http/1.1"]);
        let attacker = Rc::new(Attacker { flood: self, hello, report: Cell::default() });
        let local = LocalSet::new();
        for _ in 0..connections {
            let attacker = Rc::clone(&attacker);
            local.spawn_local(async move { attacker.lane().await });
        }
        runtime.block_on(local.run_until(async move { tokio::time::sleep(lasts).await }));
        drop(local);
        Ok(attacker.report.take())
    }
}

/// What was heard goes into the report however the conversation ends.
struct Noted<'a> {
    attacker: &'a Attacker,
    heard: Heard,
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        self.attacker.note(|report| {
            report.heard += self.heard.bytes.get();
            report.answers += self.heard.answers.get();
            report.resets += self.heard.resets.get();
            report.goaways += self.heard.goaways.get();
        });
    }
}

impl Attacker {
    fn note(&self, change: impl FnOnce(&mut Report)) {
        let mut report = self.report.take();
        change(&mut report);
        self.report.set(report);
    }

    /// One connection after the other.
    async fn lane(&self) {
        loop {
            match timeout(CONNECT, TcpStream::connect(self.flood.to)).await {
                Ok(Ok(mut stream)) => {
                    self.note(|report| report.opened += 1);
                    // Closed with a reset: no port rests afterwards.
                    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                    let _ = stream.set_nodelay(true);
                    if self.converse(&mut stream).await == End::Cut {
                        self.note(|report| report.cut += 1);
                    }
                }
                _ => {
                    self.note(|report| report.refused += 1);
                    tokio::time::sleep(REFUSED).await;
                }
            }
        }
    }

    async fn converse(&self, stream: &mut TcpStream) -> End {
        let (reader, writer) = stream.split();
        let noted = Noted { attacker: self, heard: Heard::default() };
        let (heard, news) = (&noted.heard, Notify::new());
        // Whoever is cut while it says something may still hear why: GOAWAY.
        tokio::select! {
            biased;
            () = self.hear(reader, heard, &news) => End::Cut,
            () = self.say(writer, heard, &news) => End::Left,
        }
    }

    /// Hears to the end.
    async fn hear(&self, mut reader: ReadHalf<'_>, heard: &Heard, news: &Notify) {
        let is_h2 = self.flood.attack.ground() == Ground::H2;
        let mut frames = Reader::default();
        let mut buffer = vec![0; BUFFER];
        while let Ok(read @ 1..) = reader.read(&mut buffer).await {
            heard.bytes.set(heard.bytes.get() + read as u64);
            if is_h2 {
                frames.take(&buffer[..read], heard);
            }
            news.notify_one();
        }
    }

    /// Says what the script has, until the attacker leaves by itself.
    async fn say(&self, mut writer: WriteHalf<'_>, heard: &Heard, news: &Notify) {
        let mut script = self.flood.attack.script(&self.hello);
        let mut said = Vec::new();
        loop {
            said.clear();
            let next = script.next(heard, &mut said);
            if !said.is_empty() && writer.write_all(&said).await.is_err() {
                // What was heard before it is still to be read.
                return std::future::pending().await;
            }
            self.note(|report| report.said += said.len() as u64);
            match next {
                Next::Send => tokio::task::yield_now().await,
                Next::Wait(limit) => drop(timeout(limit, news.notified()).await),
                Next::Finish => {
                    let _ = writer.shutdown().await;
                    return std::future::pending().await;
                }
                Next::Leave => return,
            }
        }
    }
}
