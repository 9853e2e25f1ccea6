//! Asks an address by ICMP, again and again.

use eclusa_testkit::netns::Host;
use eclusa_testkit::wait::pause;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two questions.
const EVERY: Duration = Duration::from_millis(10);
/// An answer that takes longer does not come.
const LATE: Duration = Duration::from_secs(1);
/// Echo request and reply (RFC 792).
const REQUEST: u8 = 8;
const REPLY: u8 = 0;

/// What was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) asked: u32,
    pub(super) lost: u32,
    pub(super) slowest: Duration,
}

/// Asks until it is stopped.
pub(super) struct Pinger {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: Option<JoinHandle<()>>,
}

impl Pinger {
    pub(super) fn start(from: &Host, address: Ipv4Addr) -> Self {
        let socket =
            from.enter(|| Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))).unwrap();
        socket.connect(&SockAddr::from(SocketAddr::from((address, 0)))).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let (stop, seen) =
            (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let (until, noted) = (stop.clone(), seen.clone());
        let thread = std::thread::spawn(move || {
            let mut number = 0;
            while !until.load(Ordering::Relaxed) {
                number = (number + 1) % u16::MAX;
                let took = ask(&socket, number);
                let mut seen = noted.lock().unwrap();
                seen.asked += 1;
                seen.lost += u32::from(took.is_none());
                seen.slowest = seen.slowest.max(took.unwrap_or(LATE));
                drop(seen);
                pause(EVERY);
            }
        });
        Self { stop, seen, thread: Some(thread) }
    }

    pub(super) fn stop(mut self) -> Seen {
        self.end();
        *self.seen.lock().unwrap()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed.
            drop(thread.join());
        }
    }
}

impl Drop for Pinger {
    fn drop(&mut self) {
        self.end();
    }
}

/// How long the answer took; `None`: there is none.
fn ask(mut socket: &Socket, number: u16) -> Option<Duration> {
    let begin = Instant::now();
    let id = u16::try_from(std::process::id() & 0xffff).unwrap_or_default();
    let [id, number] = [id.to_be_bytes(), number.to_be_bytes()];
    let mut request = [REQUEST, 0, 0, 0, id[0], id[1], number[0], number[1]];
    let sum = checksum(&request).to_be_bytes();
    request[2..4].copy_from_slice(&sum);
    // An address that nobody has: the answer is missed.
    let _ = socket.send(&request);
    let mut packet = [0; 256];
    while begin.elapsed() < LATE {
        let Ok(read) = socket.read(&mut packet) else { continue };
        let header = usize::from(packet[0] & 0xf) * 4;
        let answer = packet.get(header..read).unwrap_or_default();
        if answer.first() == Some(&REPLY) && answer.get(4..8) == Some(&request[4..8]) {
            return Some(begin.elapsed());
        }
    }
    None
}

/// RFC 1071, for an even number of bytes.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or_default()
}
