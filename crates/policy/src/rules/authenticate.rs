//! Basic authentication (RFC 7617): a name and a password, or no way in.
//!
//! Whether a password is right takes long to find out, by design of its hash. So nothing here does:
//! the caller keeps what it has found out, finds out the rest where it makes nobody wait, and not
//! more at once than the host can bear.

use super::{Context, Users, UsersError};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Who may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basic {
    /// What browsers show.
    pub realm: Arc<str>,
    /// Names with their passwords' hashes, written in the configuration.
    pub users: Arc<Users>,
    /// A file with more of them, as `htpasswd` writes it.
    pub file: Option<PathBuf>,
}

/// A name and a password.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// Without the password: this may get into a log.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({:?})", self.user)
    }
}

/// What a request shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// The right name and password.
    Right,
    /// Nothing, or wrong ones.
    Wrong,
    /// These, of which nobody knows yet.
    Unknown(Credentials),
}

impl Basic {
    /// Value of `WWW-Authenticate`.
    #[must_use]
    pub fn challenge(&self) -> String {
        let realm = self.realm.replace('\\', "\\\\").replace('"', "\\\"");
        format!("Basic realm=\"{realm}\", charset=\"UTF-8\"")
    }

    /// The users of the configuration and those of a file that has this text.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn with_file(&self, text: &str) -> Result<Users, UsersError> {
        Users::parse(text).map(|users| users.and(&self.users))
    }

    pub(super) fn login(
        &self,
        context: &Context<'_>,
        known: &mut dyn FnMut(&Self, &Credentials) -> Option<bool>,
    ) -> Login {
        let sent = context.facts.request.and_then(|asked| asked.first_header("authorization"));
        let Some(credentials) = sent.as_deref().and_then(Credentials::parse) else {
            return Login::Wrong;
        };
        match known(self, &credentials) {
            Some(true) => Login::Right,
            Some(false) => Login::Wrong,
            None => Login::Unknown(credentials),
        }
    }
}

impl Credentials {
    /// Reads the value of `Authorization`; `None`: it is none of this kind.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (scheme, rest) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = String::from_utf8(base64(rest.trim_matches(' '))?).ok()?;
        if text.contains(char::is_control) {
            return None;
        }
        let (user, password) = text.split_once(':')?;
        Some(Self { user: user.to_owned(), password: password.to_owned() })
    }
}

/// Undoes Base 64 (RFC 4648, section 4); `=` at the end may be missing.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 || digits.len() % 4 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for byte in group {
            bits = bits << 6 | u32::from(digit(*byte)?);
        }
        bits <<= 6 * (4 - group.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(out)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_read() {
        let read = |value: &str| {
            Credentials::parse(value).map(|found| format!("{}|{}", found.user, found.password))
        };
        // Of RFC 7617.
        let aladdin = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        assert_eq!(read(aladdin).as_deref(), Some("Aladdin|open sesame"));
        assert_eq!(read("basic dGVzdDoxMjPCow").as_deref(), Some("test|123\u{a3}"));
        assert_eq!(read("BASIC  YTpiOmM=").as_deref(), Some("a|b:c"));
        for wrong in
            ["Basic", "Basic YTpi!", "Bearer YTpi", "Basic YQ==", "Basic Y", "Basic YToK", ""]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        let shown = format!("{:?}", Credentials::parse(aladdin));
        assert!(!shown.contains("sesame"), "{shown}");
    }
}
