//! The fake apiserver over real sockets.

mod end;
mod faults;
mod paths;

use super::*;
use crate::ca::Ca;
use crate::client::{Failed, Outcome, Step, Target, Who, who_answers};
use crate::wait_until;
use std::io::{Read, Write};
use std::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(10);
const LOCAL: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// A running master and its CA.
struct Bed {
    ca: Ca,
    master: ApiServer,
}

impl Bed {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let ca = Ca::new();
        let mut settings = Settings::new("m1", &ca.leaf(&["kubernetes"]));
        change(&mut settings);
        let master = ApiServer::start(LOCAL.into(), settings).unwrap();
        Self { ca, master }
    }

    fn target(&self) -> Target {
        Target::new(self.master.address(), "kubernetes", &self.ca)
    }

    fn get(&self, path: &str) -> Result<Who, Failed> {
        who_answers(&self.target(), path, LIMIT)
    }

    /// How a request fails that has only a short time.
    fn fails(&self, path: &str) -> (Step, Outcome) {
        let failed = who_answers(&self.target(), path, Duration::from_millis(200)).unwrap_err();
        (failed.step, failed.outcome)
    }

    /// A TLS connection over which a test writes its own HTTP/1.1.
    fn raw(&self) -> rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
        let tcp = TcpStream::connect(self.master.address()).unwrap();
        tcp.set_read_timeout(Some(LIMIT)).unwrap();
        let name = rustls_pki_types::ServerName::try_from("kubernetes").unwrap();
        let config = self.ca.client(&["http/1.1"]);
        rustls::StreamOwned::new(rustls::ClientConnection::new(config, name).unwrap(), tcp)
    }
}

/// Writes a request, and reads to the end of the connection.
fn talk(mut stream: impl Read + Write, request: &[u8]) -> String {
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
