//! Files that a haproxy.cfg names: what is on this host is used as it is, what is not is made on the
//! spot, the same for both programs.

use crate::certificate::Authority;
use crate::scratch::Scratch;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// The password of every user of the copies.
pub(crate) const PASSWORD: &str = "bed";

/// What `openssl passwd -5 -salt bed bed` prints.
pub(crate) const HASH: &str = "$5$bed$UjTjJ3M76aiXvLf/eYhcZNFbJ2SIEY3mL6RohEiA5r6";

/// Files for both programs.
pub(crate) struct Material<'m> {
    scratch: &'m Scratch,
    pub(crate) authority: Arc<Authority>,
    made: BTreeMap<String, String>,
    /// What is to be told of it.
    pub(crate) notes: Vec<String>,
}

impl<'m> Material<'m> {
    pub(crate) fn new(scratch: &'m Scratch) -> Result<Self, String> {
        let authority = Arc::new(Authority::new()?);
        scratch.write("ca.pem", &authority.pem())?;
        Ok(Self { scratch, authority, made: BTreeMap::new(), notes: Vec::new() })
    }

    /// The certificates of the authority that the bed's endpoints are signed by.
    pub(crate) fn ca(&self) -> String {
        self.scratch.path("ca.pem").display().to_string()
    }

    /// A certificate with its key, as a listener opens TLS with, or shows to endpoints: the file
    /// itself where it can be read here.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn certificate(&mut self, path: &str) -> Result<String, String> {
        if is_here(path) {
            return Ok(path.to_owned());
        }
        if let Some(made) = self.made.get(path) {
            return Ok(made.clone());
        }
        let issued = self.authority.issue(&names(path))?;
        let file = format!("certificate-{}.pem", self.made.len());
        let made = self.scratch.write(&file, &issued.pem())?.display().to_string();
        self.notes.push(format!(
            "{path} is not on this host: a certificate made on the spot stands for it"
        ));
        self.made.insert(path.to_owned(), made.clone());
        Ok(made)
    }

    /// The CAs that sign clients' certificates: the file itself where it can be read here.
    pub(crate) fn client_ca(&mut self, path: &str) -> String {
        if is_here(path) {
            return path.to_owned();
        }
        let note = format!("{path} is not on this host: a CA made on the spot stands for it");
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
        self.ca()
    }
}

/// Whether a file, or what is in a directory, can be read here.
pub(crate) fn is_here(path: &str) -> bool {
    let path = Path::new(path);
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => fs::read_dir(path).is_ok_and(|mut all| all.next().is_some()),
        Ok(_) => fs::File::open(path).is_ok(),
        Err(_) => false,
    }
}

/// The names that a certificate is likely for: `/etc/ssl/shop.example.com.pem`,
/// `/etc/letsencrypt/live/shop.example.com/full.pem`.
fn names(path: &str) -> Vec<String> {
    let is_name = |text: &str| {
        text.contains('.')
            && text.split('.').all(|label| {
                !label.is_empty()
                    && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            })
    };
    let ends = [".pem", ".crt", ".cer", ".bundle"];
    let parts = path
        .split('/')
        .rev()
        .map(|part| ends.iter().find_map(|end| part.strip_suffix(end)).unwrap_or(part));
    let found = parts.take(2).find(|part| is_name(part));
    vec![found.unwrap_or("certificate.test").to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_here_is_used_and_what_is_not_is_made_once() {
        let scratch = Scratch::new().unwrap();
        let mut material = Material::new(&scratch).unwrap();
        let made = material.certificate("/nowhere/shop.example.com.pem").unwrap();
        assert_eq!(material.certificate("/nowhere/shop.example.com.pem").unwrap(), made);
        assert_eq!(material.certificate(&made).unwrap(), made);
        assert_eq!(material.notes.len(), 1);
        let text = fs::read_to_string(&made).unwrap();
        assert!(text.contains("BEGIN CERTIFICATE") && text.contains("BEGIN PRIVATE KEY"));
        assert_eq!(names("/a/live/x.test/fullchain.pem"), ["x.test"]);
        assert_eq!(names("/etc/haproxy/certs"), ["certificate.test"]);
    }
}
