//! Endpoints that record what reaches them, and answer: plain or by TLS, with a PROXY header in front or
//! without, whatever comes.

mod answer;
mod tls;

pub(crate) use tls::Presented;

use crate::http::{Message, Reader, What};
use answer::answer;
use eclusa_haproxy_import::outline::Good;
use eclusa_wire::proxy_protocol::{Header, Parsed, parse};
use rustix::net::shutdown;
use rustls::{ServerConnection, StreamOwned};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The field by which a request of the bed is known.
pub(crate) const ID: &str = "x-bed-id";

/// The field that says which answer the endpoint is to give.
pub(crate) const WANTED: &str = "x-bed-answer";

/// How long an endpoint waits for bytes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The most connections at once of one endpoint, and the longest PROXY header.
const CONNECTIONS_MAX: usize = 200;
const HEADER_MAX: usize = 1_024;

/// How an endpoint answers checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Nobody listens.
    Refuses,
    /// With this status.
    Says(u16),
    /// With another body than is expected.
    Babbles,
    /// It closes connections without an answer.
    Closes,
}

/// What an endpoint saw of a request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Which of the places it is.
    pub(crate) place: usize,
    /// Whose connection it is, as a PROXY header tells, and the version of that.
    pub(crate) proxied: Option<(u8, Option<SocketAddr>)>,
    /// Whether TLS was spoken, and for which name.
    pub(crate) tls: Option<Option<String>>,
    pub(crate) message: Message,
}

/// What all endpoints of one side saw, by the number of the request; the last try counts.
#[derive(Debug, Default)]
pub(crate) struct Book {
    seen: Mutex<HashMap<usize, Seen>>,
}

impl Book {
    pub(crate) fn take(&self, id: usize) -> Option<Seen> {
        lock(&self.seen).remove(&id)
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What all connections of an endpoint share.
struct Shared {
    place: usize,
    book: Arc<Book>,
    presented: Arc<Presented>,
    good: Good,
    mood: Mutex<Mood>,
    ended: AtomicBool,
    /// Connections that are open, so that one that refuses closes them.
    open: Mutex<HashMap<u64, TcpStream>>,
}

/// An endpoint. It ends when dropped.
pub(crate) struct Endpoint {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<(Arc<TcpListener>, JoinHandle<()>)>,
}

impl Endpoint {
    /// Listens and answers.
    ///
    /// # Errors
    /// The address cannot be had.
    pub(crate) fn start(
        address: SocketAddr,
        place: usize,
        good: Good,
        (book, presented): (&Arc<Book>, &Arc<Presented>),
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            place,
            book: Arc::clone(book),
            presented: Arc::clone(presented),
            good,
            mood: Mutex::new(Mood::Well),
            ended: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let mut endpoint = Self { address, shared, accepting: None };
        endpoint.listen()?;
        Ok(endpoint)
    }

    fn listen(&mut self) -> io::Result<()> {
        let listener = Arc::new(TcpListener::bind(self.address)?);
        let shared = Arc::clone(&self.shared);
        shared.ended.store(false, Ordering::SeqCst);
        let name = format!("endpoint {}", self.address);
        let taken = Arc::clone(&listener);
        let accept = move || accept(&taken, &shared);
        let thread = thread::Builder::new().name(name).spawn(accept)?;
        self.accepting = Some((listener, thread));
        Ok(())
    }

    fn close(&mut self) {
        let Some((listener, accepting)) = self.accepting.take() else { return };
        self.shared.ended.store(true, Ordering::SeqCst);
        // The thread sleeps in `accept`, which ends with an error then. To connect would want a
        // descriptor, and there may be none.
        let _ = shutdown(&*listener, rustix::net::Shutdown::Read);
        let _ = accepting.join();
        for (_, stream) in lock(&self.shared.open).drain() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// From now on checks are answered so.
    ///
    /// # Errors
    /// It cannot listen again.
    pub(crate) fn set(&mut self, mood: Mood) -> io::Result<()> {
        *lock(&self.shared.mood) = mood;
        match (mood, &self.accepting) {
            (Mood::Refuses, _) => self.close(),
            (_, None) => self.listen()?,
            _ => {}
        }
        Ok(())
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.close();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut next = 0_u64;
    loop {
        let accepted = listener.accept();
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: some come back.
            thread::park_timeout(Duration::from_millis(20));
            continue;
        };
        let mut open = lock(&shared.open);
        let Ok(twin) = stream.try_clone() else { continue };
        if open.len() >= CONNECTIONS_MAX {
            continue;
        }
        next += 1;
        let id = next;
        open.insert(id, twin);
        drop(open);
        let of = Arc::clone(shared);
        let serve = move || {
            // What goes wrong here the client sees.
            let _ = connection(stream, &of);
            lock(&of.open).remove(&id);
        };
        if thread::Builder::new().spawn(serve).is_err() {
            lock(&shared.open).remove(&id);
        }
    }
}

fn connection(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    if *lock(&shared.mood) == Mood::Closes {
        return Ok(());
    }
    let proxied = preamble(&mut stream)?;
    let mut first = [0];
    if stream.peek(&mut first)? == 0 {
        return Ok(());
    }
    // A handshake of TLS, or the hello of SSL 2 that some checks send.
    if first[0] != 0x16 && first[0] != 0x80 {
        return exchanges(stream, shared, (proxied, None));
    }
    let connection = ServerConnection::new(shared.presented.config()).map_err(io::Error::other)?;
    let mut tls = StreamOwned::new(connection, stream);
    while tls.conn.is_handshaking() {
        if let Err(error) = tls.conn.complete_io(&mut tls.sock) {
            // The alert that says why.
            let _ = tls.conn.write_tls(&mut tls.sock);
            return Err(error);
        }
    }
    let name = tls.conn.server_name().map(str::to_owned);
    exchanges(tls, shared, (proxied, Some(name)))
}

type Proxied = Option<(u8, Option<SocketAddr>)>;

/// A PROXY header, if one is in front.
fn preamble(stream: &mut TcpStream) -> io::Result<Proxied> {
    let mut seen = [0; 6];
    let mut count = stream.peek(&mut seen)?;
    // `PROXY ` and `POST ` begin alike.
    let mut tries = 0;
    while count > 0 && count < seen.len() && b"PROXY ".starts_with(&seen[..count]) && tries < 100 {
        thread::park_timeout(Duration::from_millis(5));
        count = stream.peek(&mut seen)?;
        tries += 1;
    }
    let version = match &seen[..count] {
        b"PROXY " => 1,
        [b'\r', b'\n', ..] => 2,
        _ => return Ok(None),
    };
    let mut read: Vec<u8> = Vec::new();
    loop {
        let wanted = match parse(&read).map_err(|_| io::ErrorKind::InvalidData)? {
            Parsed::Complete { header: Header::Proxied { source, .. }, .. } => {
                return Ok(Some((version, Some(source))));
            }
            Parsed::Complete { .. } => return Ok(Some((version, None))),
            Parsed::Incomplete { at_least } => at_least.min(HEADER_MAX) - read.len(),
        };
        let mut more = vec![0; wanted];
        let count = stream.read(&mut more)?;
        if count == 0 || read.len() + count >= HEADER_MAX {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read.extend_from_slice(&more[..count]);
    }
}

fn exchanges<S: Read + Write>(
    stream: S,
    shared: &Shared,
    (proxied, tls): (Proxied, Option<Option<String>>),
) -> io::Result<()> {
    let mut reader = Reader::new(stream);
    while let Some(message) = reader.message(What::Request)? {
        let id = message.field(ID).and_then(|text| text.parse().ok());
        let mood = *lock(&shared.mood);
        let text = match id {
            Some(id) => {
                let text = answer(&message);
                let seen = Seen {
                    place: shared.place,
                    proxied,
                    tls: tls.clone(),
                    message: message.clone(),
                };
                lock(&shared.book.seen).insert(id, seen);
                text
            }
            None => answer::to_check(&message, mood, &shared.good),
        };
        reader.stream().write_all(&text)?;
        reader.stream().flush()?;
        let closes = message.field("connection").is_some_and(|it| it.eq_ignore_ascii_case("close"));
        if closes || message.start.ends_with("HTTP/1.0") {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::Authority;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use std::fs::File;
    use std::process::Command;
    use std::time::Instant;

    /// The test that runs alone in a process: limits are of all of it.
    const ALONE: &str = "endpoint::tests::it_ends_without_a_descriptor_to_spare";

    fn started() -> Endpoint {
        let authority = Arc::new(Authority::new().unwrap());
        let presented = Arc::new(Presented::new(&authority).unwrap());
        let good = Good { status: 200, body: "ok".to_owned(), asks: false };
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Endpoint::start(free, 0, good, (&Arc::default(), &presented)).unwrap()
    }

    #[test]
    fn it_ends_and_listens_again() {
        let mut endpoint = started();
        let connects = |it: &Endpoint| TcpStream::connect(it.address).is_ok();
        assert!(connects(&endpoint));
        endpoint.set(Mood::Refuses).unwrap();
        assert!(!connects(&endpoint));
        endpoint.set(Mood::Well).unwrap();
        assert!(connects(&endpoint));
    }

    #[test]
    fn it_ends_where_descriptors_have_run_out() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", ALONE, "--ignored"])
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(20);
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if Instant::now() >= until => break None,
                None => thread::park_timeout(Duration::from_millis(20)),
            }
        };
        if status.is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert!(status.is_some_and(|status| status.success()), "{status:?}");
    }

    #[test]
    #[ignore = "a part of the test before, which gives it a process of its own"]
    fn it_ends_without_a_descriptor_to_spare() {
        let endpoint = started();
        let address = endpoint.address;
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..limit }).unwrap();
        // A client that is there already, and that nobody can accept.
        let _waiting = TcpStream::connect(address).unwrap();
        let mut all = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            all.push(file);
        }
        assert!(!all.is_empty());
        drop(endpoint);
    }
}
