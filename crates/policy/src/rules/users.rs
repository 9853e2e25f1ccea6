//! Users with their passwords' hashes, as `htpasswd` and `mkpasswd` write them: `name:hash`, one a
//! line.

use std::collections::BTreeMap;
use std::fmt;

/// Users by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Users(BTreeMap<Box<str>, PasswordHash>);

/// How a password is kept. Holds the hash as written.
#[derive(Clone, PartialEq, Eq)]
pub enum PasswordHash {
    /// bcrypt: `$2y$10$...`
    Bcrypt(Box<str>),
    /// SHA-256-crypt: `$5$...`
    Sha256(Box<str>),
    /// SHA-512-crypt: `$6$...`
    Sha512(Box<str>),
}

/// What is wrong with a text that should list users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsersError {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong with it, without what stands there: it may be a password.
    pub message: &'static str,
}

impl fmt::Display for UsersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// The dearest bcrypt: a quarter of a second for each guess, and for each login.
const COST_MAX: u32 = 12;
/// The dearest SHA-crypt, likewise.
const ROUNDS_MAX: u32 = 200_000;

const NO_HASH: &str = "the password is not hashed in a way known here";

impl PasswordHash {
    /// Reads a hash.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let parts: Vec<&str> = text.split('$').collect();
        match parts[..] {
            ["", "2a" | "2b" | "2y", cost, rest] => {
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"./".contains(&byte);
                if cost.len() != 2 || rest.len() != 53 || !rest.bytes().all(fits) {
                    return Err("the bcrypt hash is not whole");
                }
                match cost.parse::<u32>() {
                    Ok(cost) if (4..=COST_MAX).contains(&cost) => Ok(Self::Bcrypt(text.into())),
                    _ => Err("the cost of the bcrypt hash is not from 4 to 12"),
                }
            }
            ["", kind @ ("5" | "6"), .., hash] if parts.len() >= 4 => {
                let rounds = parts.get(2).and_then(|part| part.strip_prefix("rounds="));
                if parts.len() != 4 + usize::from(rounds.is_some()) {
                    return Err("the SHA-crypt hash is not whole");
                }
                if rounds
                    .is_some_and(|rounds| !rounds.parse::<u32>().is_ok_and(|n| n <= ROUNDS_MAX))
                {
                    return Err("the SHA-crypt hash has more than 200,000 rounds");
                }
                match (kind, hash.len()) {
                    ("5", 43) => Ok(Self::Sha256(text.into())),
                    ("6", 86) => Ok(Self::Sha512(text.into())),
                    _ => Err("the SHA-crypt hash is not whole"),
                }
            }
            ["", "apr1" | "1", ..] => Err("MD5 keeps no password: make it anew by `htpasswd -B`"),
            _ if text.starts_with("{SHA}") => {
                Err("SHA-1 without salt keeps no password: make it anew by `htpasswd -B`")
            }
            _ => Err(NO_HASH),
        }
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Bcrypt(text) | Self::Sha256(text) | Self::Sha512(text) => text,
        }
    }
}

/// Without the hash: this may get into a log.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bcrypt(_) => "Bcrypt",
            Self::Sha256(_) => "Sha256",
            Self::Sha512(_) => "Sha512",
        })
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Users {
    /// Reads a file of users; empty lines and those that begin with `#` say nothing.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, UsersError> {
        let mut users = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim_end_matches('\r');
            if !line.trim().is_empty() && !line.starts_with('#') {
                users.add(line).map_err(|message| UsersError { line: number, message })?;
            }
        }
        Ok(users)
    }

    /// Adds `name:hash`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add(&mut self, line: &str) -> Result<(), &'static str> {
        let (name, hash) = line.split_once(':').ok_or("there is no `:` behind the name")?;
        if name.is_empty() || name.contains(char::is_control) {
            return Err("there is no name before the `:`");
        }
        let hash = PasswordHash::parse(hash)?;
        match self.0.insert(name.into(), hash) {
            None => Ok(()),
            Some(_) => Err("the name is there twice"),
        }
    }

    /// The hash of a user's password.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&PasswordHash> {
        self.0.get(name)
    }

    /// One hash of those that are there: what a password of an unknown name is compared with, so
    /// that the time that it takes tells nobody which names there are. `pick` chooses it: the same for
    /// a name each time, and nothing that an outsider could tell; hashes differ in what they cost.
    #[must_use]
    pub fn any(&self, pick: u64) -> Option<&PasswordHash> {
        let count = u64::try_from(self.0.len()).ok().filter(|count| *count > 0)?;
        self.0.values().nth(usize::try_from(pick % count).ok()?)
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These and `others`; who is in both has the hash of `others`.
    #[must_use]
    pub fn and(mut self, others: &Self) -> Self {
        self.0.extend(others.0.iter().map(|(name, hash)| (name.clone(), hash.clone())));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC";

    #[test]
    fn hashes_are_told_apart() {
        let sha256 = format!("$5$rounds=5000$salt${}", "x".repeat(43));
        let sha512 = format!("$6$salt${}", "x".repeat(86));
        for (text, shown) in [(BCRYPT, "Bcrypt"), (&sha256, "Sha256"), (&sha512, "Sha512")] {
            assert_eq!(format!("{:?}", PasswordHash::parse(text).unwrap()), shown);
        }
        for wrong in [
            "",
            "secret",
            "$apr1$salt$hash",
            "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
            "$1$a$b",
            "$5$a",
            &BCRYPT.replace("$05$", "$20$"),
            &BCRYPT[..50],
            &sha256.replace("5000", "9999999"),
            &sha512[..60],
            "$2y$05",
            "$6$$$$$",
        ] {
            assert!(PasswordHash::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_file_is_read_to_its_first_mistake() {
        let users = Users::parse(&format!("# ours\n\nalice:{BCRYPT}\r\nbob:{BCRYPT}\n")).unwrap();
        assert!(users.get("alice").is_some() && users.get("carol").is_none());
        assert_eq!(format!("{users:?}"), "{\"alice\", \"bob\"}");
        assert!((0..5).all(|pick| users.any(pick).is_some()) && Users::default().any(1).is_none());
        for (text, line) in [
            (format!("a:{BCRYPT}\na:{BCRYPT}\n"), 2),
            ("alice\n".to_owned(), 1),
            ("\n:x\n".to_owned(), 2),
            ("alice:secret".to_owned(), 1),
        ] {
            let error = Users::parse(&text).unwrap_err();
            assert_eq!(error.line, line, "{error}");
            assert!(!error.to_string().contains("secret"));
        }
    }
}
