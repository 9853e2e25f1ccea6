//! Certificates as certbot and HAProxy lay them out, for root alone.

use eclusa_testkit::ca::{Ca, Leaf, VALID_FOR};
use eclusa_testkit::process::Scratch;
use eclusa_testkit::tls::ClientConfig;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// A directory with certificates; gone when dropped.
pub(crate) struct Certificates {
    ca: Ca,
    /// A client that trusts the CA and nobody else.
    pub(crate) trust: Arc<ClientConfig>,
    scratch: Scratch,
    count: u32,
    mode: u32,
}

impl Certificates {
    /// Nobody but root may read them.
    pub(crate) fn of_root() -> Self {
        let (ca, scratch) = (Ca::new(), Scratch::new("certificates").unwrap());
        let trust = ca.client(&["http/1.1"]);
        Self { ca, trust, scratch, count: 0, mode: 0o600 }
    }

    /// Everybody may.
    pub(crate) fn of_all() -> Self {
        Self { mode: 0o644, ..Self::of_root() }
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.scratch.path().join(path)
    }

    /// The same, as it stands in a configuration.
    pub(crate) fn shown(&self, path: &str) -> String {
        self.at(path).display().to_string()
    }

    /// Writes a file, with the directories above it.
    pub(crate) fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.at(path);
        let directory = path.parent().unwrap();
        fs::create_dir_all(directory).unwrap();
        // Who may read a file may pass its directory.
        let mode = self.mode | 0o100 | (self.mode >> 2) & 0o011;
        for above in directory.ancestors().take_while(|above| *above != self.scratch.path()) {
            fs::set_permissions(above, Permissions::from_mode(mode)).unwrap();
        }
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(self.mode)).unwrap();
        path
    }

    /// Renews as certbot does: new files in the archive, then a link to each in place of the old one.
    /// (Certbot itself takes the old link away first; who swaps it never leaves a gap.)
    pub(crate) fn renew(&mut self, name: &str, leaf: &Leaf) {
        self.count += 1;
        let number = self.count;
        let files = [("privkey", &leaf.key_pem), ("fullchain", &leaf.pem), ("cert", &leaf.pem)];
        for (what, text) in files {
            self.write(&format!("archive/{name}/{what}{number}.pem"), text);
        }
        self.write(&format!("live/{name}/README"), "as certbot writes it");
        for (what, _) in files {
            let link = self.at(&format!("live/{name}/{what}.pem"));
            swap_link(&format!("../../archive/{name}/{what}{number}.pem"), &link);
        }
    }

    /// A certificate for `name`, of a year.
    pub(crate) fn leaf(&self, name: &str) -> Leaf {
        self.leaf_until(name, SystemTime::now() + VALID_FOR)
    }

    /// One that ends then.
    pub(crate) fn leaf_until(&self, name: &str, not_after: SystemTime) -> Leaf {
        self.ca.leaf_of(&[name], not_after)
    }
}

/// A link in place of what is there, at one stroke.
fn swap_link(target: &str, link: &Path) {
    let fresh = link.with_extension("new");
    symlink(target, &fresh).unwrap();
    fs::rename(fresh, link).unwrap();
}
