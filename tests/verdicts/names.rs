//! A name server of one host, which can fall silent.

use eclusa_testkit::netns::Host;
use eclusa_testkit::process::{Runner, Scratch};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

/// What masters are called: `master1.test`.
const DOMAIN: &str = "test";
/// Between two looks whether it should end.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const HEADER: usize = 12;
const TYPE_A: [u8; 2] = [0, 1];

/// A name server on the loopback of a host; ends when dropped.
#[derive(Debug)]
pub struct Names {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
    files: Scratch,
}

#[derive(Debug, Default)]
struct State {
    stop: AtomicBool,
    silent: AtomicBool,
    /// Questions that stayed without an answer.
    unanswered: AtomicU64,
}

impl Names {
    /// Starts it on `host` with the names of these masters.
    ///
    /// # Panics
    /// The host has another one.
    #[track_caller]
    pub fn start(host: &Host, masters: &[(String, SocketAddr)]) -> Self {
        let files = Scratch::new("names").unwrap();
        files.write("resolv.conf", "nameserver 127.0.0.1\n").unwrap();
        files.write("hosts", "127.0.0.1 localhost\n").unwrap();
        let socket = host.enter(|| UdpSocket::bind("127.0.0.1:53")).unwrap();
        socket.set_read_timeout(Some(LOOK_EVERY)).unwrap();
        let state = Arc::new(State::default());
        let (shared, masters) = (Arc::clone(&state), masters.to_vec());
        let thread = std::thread::spawn(move || serve(&socket, &shared, &masters));
        Self { state, thread: Some(thread), files }
    }

    /// Makes it the one that a program asks, and the only source of names.
    pub fn give(&self, runner: Runner) -> Runner {
        ["resolv.conf", "hosts"].into_iter().fold(runner, |runner, name| {
            runner.in_place_of(format!("/etc/{name}"), self.files.path().join(name))
        })
    }

    /// From now on it hears, and says nothing.
    pub fn fall_silent(&self) {
        self.state.silent.store(true, Relaxed);
    }

    /// How many questions it has left unanswered.
    pub fn unanswered(&self) -> u64 {
        self.state.unanswered.load(Relaxed)
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.state.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed.
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, state: &State, masters: &[(String, SocketAddr)]) {
    let mut bytes = [0; 512];
    while !state.stop.load(Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
        if state.silent.load(Relaxed) {
            state.unanswered.fetch_add(1, Relaxed);
        } else if let Some(answer) = answer(&bytes[..length], masters) {
            // Who asked asks again.
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// The answer to a question with one name in it (RFC 1035 section 4): its address, or that it has
/// none of this type, or that it does not exist.
fn answer(question: &[u8], masters: &[(String, SocketAddr)]) -> Option<Vec<u8>> {
    let (name, length) = name_of(question.get(HEADER..)?)?;
    let end = HEADER + length + 4;
    let kind = question.get(end - 4..end - 2)?;
    let known = masters.iter().find(|(master, _)| name == format!("{master}.{DOMAIN}"));
    let address = known.and_then(|(_, address)| match address.ip() {
        IpAddr::V4(address) if kind == TYPE_A => Some(address),
        _ => None,
    });
    let mut answer = question.get(..2)?.to_vec();
    // A response of an authority; recursion is there; 3: no such name.
    answer.extend([0x85, if known.is_some() { 0x80 } else { 0x83 }]);
    answer.extend([0, 1, 0, u8::from(address.is_some()), 0, 0, 0, 0]);
    answer.extend_from_slice(question.get(HEADER..end)?);
    if let Some(address) = address {
        // The name as above, A, IN, 1 s, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}

/// The name at the beginning, and how many bytes it takes.
fn name_of(bytes: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 0);
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8(bytes.get(at..at + length)?.to_vec()).ok()?);
        at += length;
    }
}
