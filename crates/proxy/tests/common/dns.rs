//! A name server of the test's own: it listens at the address that the system's resolver asks, in
//! the namespace of a host (RFC 1035).

use eclusa_testkit::netns::Host;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

const A: u16 = 1;
const NO_SUCH_NAME: u8 = 3;

/// What the name server knows.
#[derive(Clone, Default)]
pub struct Names {
    /// The one name that exists now and then, and its addresses.
    known: Arc<Mutex<(String, Option<Vec<Ipv4Addr>>)>>,
    asked: Arc<AtomicU32>,
}

impl Names {
    /// Serves `name` on `host`.
    pub fn serve(host: &Host, name: &str) -> Self {
        let names = Self::default();
        names.known.lock().unwrap().0 = name.to_owned();
        let address = asked_address();
        if !address.is_loopback() {
            let length = if address.is_ipv4() { 32 } else { 128 };
            host.run("ip", &["addr", "add", &format!("{address}/{length}"), "dev", "lo"]).unwrap();
        }
        let serving = names.clone();
        host.enter(|| {
            let socket = UdpSocket::bind((address, 53)).expect("the name server's port");
            // It ends with the process.
            thread::spawn(move || serving.answer_all(&socket));
        });
        names
    }

    /// From now on the name has these addresses; `None`: there is no such name.
    pub fn set(&self, addresses: Option<&[Ipv4Addr]>) {
        self.known.lock().unwrap().1 = addresses.map(<[_]>::to_vec);
    }

    /// How often somebody asked for addresses of IPv4.
    pub fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    fn answer_all(&self, socket: &UdpSocket) {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            if let Some(answer) = self.answer(&query[..length]) {
                let _ = socket.send_to(&answer, from);
            }
        }
    }

    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let (mut name, mut at) = (Vec::new(), 12);
        while let Some(length @ 1..) = query.get(at).copied().map(usize::from) {
            name.push(String::from_utf8_lossy(query.get(at + 1..at + 1 + length)?).into_owned());
            at += 1 + length;
        }
        let kind = u16::from_be_bytes([*query.get(at + 1)?, *query.get(at + 2)?]);
        let question = query.get(12..at + 5)?;
        if kind == A {
            self.asked.fetch_add(1, Ordering::Relaxed);
        }
        let known = self.known.lock().unwrap();
        let addresses = known.1.clone().filter(|_| name.join(".") == known.0);
        let code = if addresses.is_some() { 0 } else { NO_SUCH_NAME };
        let records = addresses.filter(|_| kind == A).unwrap_or_default();
        let mut answer = query.get(..2)?.to_vec();
        answer.extend([0x81, 0x80 | code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
        answer.extend(question);
        for address in records {
            // The name of the question, type A, class IN, not to be kept, four bytes.
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
            answer.extend(address.octets());
        }
        Some(answer)
    }
}

/// The address that the system's resolver asks first (resolv.conf(5)).
fn asked_address() -> IpAddr {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let first = text.lines().find_map(|line| line.strip_prefix("nameserver"));
    first.and_then(|address| address.trim().parse().ok()).unwrap_or(Ipv4Addr::LOCALHOST.into())
}
