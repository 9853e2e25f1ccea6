//! Refused messages as `errors` tells them.

use super::Moment;
use crate::observe::Kept;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::net::SocketAddr;

/// Messages that the codec has refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefusedTable {
    /// How many there were since the engine began.
    pub(crate) total: u64,
    /// The last of them, the oldest first.
    pub(crate) messages: Vec<RefusedMessage>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefusedMessage {
    /// Its number, from 1.
    pub(crate) number: u64,
    /// When it was refused.
    pub(crate) at: Moment,
    /// `request` or `answer`.
    pub(crate) message: String,
    /// The listener of the client's connection.
    pub(crate) listener: String,
    /// The client.
    pub(crate) client: SocketAddr,
    /// Of an answer: the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pool: Option<String>,
    /// Of an answer: where its endpoint is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<SocketAddr>,
    /// `head` or `body`: of which the bytes are.
    pub(crate) part: String,
    /// Why, in the word that metrics have for it.
    pub(crate) reason: String,
    /// The same in a sentence.
    pub(crate) why: String,
    /// Bytes that were there.
    pub(crate) length: usize,
    /// Where in them reading ended.
    pub(crate) offset: usize,
    /// Where in them those that are kept begin.
    pub(crate) from: usize,
    /// These, with `\\r`, `\\n`, `\\t`, `\\\\` and `\\xNN` for all that is not printable ASCII; `*` in
    /// place of passwords and cookies.
    pub(crate) bytes: String,
}

impl From<Kept> for RefusedMessage {
    fn from(kept: Kept) -> Self {
        let (pool, endpoint) = kept.origin.endpoint.unzip();
        Self {
            number: kept.number,
            at: kept.when.into(),
            message: if pool.is_some() { "answer" } else { "request" }.to_owned(),
            listener: kept.origin.listener.to_string(),
            client: kept.origin.client,
            pool: pool.map(|pool| pool.to_string()),
            endpoint,
            part: kept.part.name().to_owned(),
            reason: kept.reason.word().to_owned(),
            why: kept.reason.text().to_owned(),
            length: kept.length,
            offset: kept.at,
            from: kept.from,
            bytes: escaped(&kept.bytes),
        }
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\r' => text.push_str("\\r"),
            b'\n' => text.push_str("\\n"),
            b'\t' => text.push_str("\\t"),
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => drop(write!(text, "\\x{byte:02x}")),
        }
    }
    text
}

impl RefusedMessage {
    /// What stands for each of the bytes that are kept.
    pub(crate) fn signs(&self) -> Vec<&str> {
        let mut signs = Vec::new();
        let mut rest = &*self.bytes;
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '\\' if rest[1..].starts_with('x') => 4,
                '\\' => 2,
                _ => first.len_utf8(),
            };
            // What another program says may be cut anywhere.
            let (sign, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
            signs.push(sign);
            rest = behind;
        }
        signs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_a_sign_of_its_own() {
        let bytes: Vec<u8> = (0..=255).collect();
        let message = RefusedMessage { bytes: escaped(&bytes), ..crate::admin::tests::refused() };
        let signs = message.signs();
        assert_eq!(signs.len(), 256);
        assert_eq!((signs[0], signs[10], signs[65], signs[92]), ("\\x00", "\\n", "A", "\\\\"));
        assert!(message.bytes.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        for cut in ["\\", "\\x", "\\x0", "a\\"] {
            let message =
                RefusedMessage { bytes: cut.to_owned(), ..crate::admin::tests::refused() };
            assert!(!message.signs().is_empty());
        }
    }
}
