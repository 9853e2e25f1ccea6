//! A file of ticket keys that several hosts share, in HAProxy's format (`tls-ticket-keys`).
//!
//! One key a line in base64, 32, 48 or 80 bytes each. The last three are in use: the one before the
//! last makes new tickets, all three are accepted. So a new key is put at the end, on all hosts;
//! with the next one it makes tickets, when every host has long known it. A file with a single key
//! uses that.

use super::mistake::Mistake;
use data_encoding::BASE64;
use std::path::Path;

/// Keys in use at a time.
pub(super) const IN_USE: usize = 3;

/// The keys that are in use, the one that makes tickets first.
pub(super) fn read(file: &Path, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Mistake> {
    let mut keys = Vec::new();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let mistake = |what: String| {
            let remedy = "each line is 32, 48 or 80 random bytes in base64, as `openssl rand -base64 \
                          -A 80` writes them";
            Mistake::new(file, format!("line {}: {what}", index + 1), remedy)
        };
        let key = BASE64.decode(line).map_err(|_| mistake("this is no base64".to_owned()))?;
        if ![32, 48, 80].contains(&key.len()) {
            return Err(mistake(format!("this key has {} bytes", key.len())));
        }
        if keys.contains(&key) {
            return Err(mistake("this key stands there already".to_owned()));
        }
        keys.push(key);
    }
    if keys.is_empty() {
        let remedy = "write one to three lines, each as `openssl rand -base64 -A 80` writes them";
        return Err(Mistake::new(file, "there is no ticket key in it", remedy));
    }
    let unused = keys.len().saturating_sub(IN_USE);
    keys.drain(..unused);
    let current = keys.len().saturating_sub(2);
    keys.swap(0, current);
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(keys: &[u8]) -> String {
        keys.iter().map(|&key| BASE64.encode(&[key; 80]) + "\n").collect()
    }

    fn in_use(keys: &[u8]) -> Vec<u8> {
        let keys = read(Path::new("keys"), file(keys).as_bytes()).unwrap();
        keys.iter().map(|key| key[0]).collect()
    }

    #[test]
    fn the_last_but_one_makes_tickets() {
        assert_eq!(in_use(&[1]), [1]);
        assert_eq!(in_use(&[1, 2]), [1, 2]);
        assert_eq!(in_use(&[1, 2, 3]), [2, 1, 3]);
        assert_eq!(in_use(&[1, 2, 3, 4, 5]), [4, 3, 5]);
    }

    #[test]
    fn mistakes_name_the_line() {
        let said = |text: &str| read(Path::new("keys"), text.as_bytes()).unwrap_err().to_string();
        let good = BASE64.encode(&[7; 32]);
        assert!(
            said("").starts_with("keys: there is no ticket key in it: write one to three lines")
        );
        assert!(
            said("# a\n\nnonsense!\n").starts_with("keys: line 3: this is no base64: each line is")
        );
        let short = BASE64.encode(&[7; 16]);
        assert!(said(&short).starts_with("keys: line 1: this key has 16 bytes: each line is"));
        let twice = format!("{good}\r\n{good}");
        assert!(said(&twice).starts_with("keys: line 2: this key stands there already"));
    }
}
