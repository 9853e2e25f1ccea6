//! The other side of the byte-exact endpoints, over any blocking stream of the caller's.

use crate::endpoint::Report;
use crate::stream::Stream;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};

const PART: usize = 64 * 1024;

/// Sends `bytes` bytes of the stream `seed` to a sink, ends with FIN, and reads its report.
///
/// # Errors
/// What the system said, or that the answer is no report.
pub fn upload(mut tcp: &TcpStream, seed: u64, bytes: u64) -> io::Result<Report> {
    send(tcp, seed, bytes)?;
    tcp.shutdown(Shutdown::Write)?;
    let mut line = String::new();
    BufReader::new(&mut tcp).read_line(&mut line)?;
    Report::read(&line)
}

/// Reads the stream `seed` from a source to its FIN, checks each byte, and returns how many
/// there were.
///
/// # Errors
/// What the system said, or the first wrong byte.
pub fn download(mut from: impl Read, seed: u64) -> io::Result<u64> {
    let stream = Stream::new(seed);
    let mut buffer = vec![0; PART];
    let mut offset = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            return Ok(offset);
        }
        stream.check(offset, &buffer[..read]).map_err(wrong)?;
        offset += read as u64;
    }
}

/// Sends `bytes` bytes of the stream `seed` to an echo while it reads and checks what comes back,
/// ends with FIN, and returns how many bytes came back before the other's FIN.
///
/// # Errors
/// What the system said (of reading first), or the first wrong byte.
pub fn both_ways(tcp: &TcpStream, seed: u64, bytes: u64) -> io::Result<u64> {
    std::thread::scope(|scope| {
        let sender = scope.spawn(move || {
            send(tcp, seed, bytes)?;
            tcp.shutdown(Shutdown::Write)
        });
        let received = download(tcp, seed);
        if received.is_err() {
            // Ends the sender, whose bytes nobody wants any more.
            let _ = tcp.shutdown(Shutdown::Both);
        }
        let sent = sender.join().unwrap_or_else(|_| Err(io::Error::other("the sender panicked")));
        received.and_then(|received| sent.map(|()| received))
    })
}

fn send(mut to: impl Write, seed: u64, bytes: u64) -> io::Result<()> {
    let stream = Stream::new(seed);
    let mut buffer = vec![0; PART];
    let mut offset = 0;
    while offset < bytes {
        let part = (bytes - offset).min(PART as u64) as usize;
        stream.fill(offset, &mut buffer[..part]);
        to.write_all(&buffer[..part])?;
        offset += part as u64;
    }
    Ok(())
}

fn wrong(difference: crate::stream::Difference) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, difference.to_string())
}
