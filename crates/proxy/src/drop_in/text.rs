//! The text of the drop-in: each line with a comment that says where it comes from.

use super::{Rendered, short};
use ipnet::IpNet;
use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;

/// Addresses in one line; systemd adds the lines up.
const IN_A_LINE: usize = 8;
/// How long a line of a comment is.
const WIDTH: usize = 96;

#[derive(Default)]
pub(super) struct Text {
    text: String,
    /// What was written, with its source: the same line is not written again.
    written: HashSet<(String, String)>,
    warnings: Vec<String>,
}

impl Text {
    pub(super) fn head(&mut self, file: &Path, clients: &[IpNet]) {
        let clients: String =
            clients.iter().map(|network| format!(" --clients {}", short(network))).collect();
        let command = format!("eclusa-edge drop-in -c {}{clients}", file.display());
        self.comment("Whom the service may exchange packets with, printed by");
        self.comment(&format!("  {command}"));
        self.comment(
            "Print it anew when listeners, `allow` lists, endpoints, `upstreams_within`, `[log]` or \
             `[observe]` change: packets from and to other addresses are dropped without a word.",
        );
        self.comment(
            "In force from the next start of the service: systemctl daemon-reload, then restart it.",
        );
        self.text.push_str("\n[Service]\n");
    }

    /// Nobody but those who are named.
    pub(super) fn deny_any(&mut self) {
        self.comment("all clients are known: nobody else");
        self.text.push_str("IPAddressDeny=any\n");
    }

    /// No inner network but those that are named.
    pub(super) fn deny_inner(&mut self, whom: &str, inner: &[&str]) {
        self.comment(&format!(
            "Everyone may connect ({whom}), so the internet is open; private and link-local networks \
             are closed but for what is named below. Whoever takes the service over has no bridge into \
             them."
        ));
        self.comment(
            "Clients in private networks are dropped, too, unless they are named: an `allow` list or, \
             for clients in 192.168.1.0/24 beside all others,",
        );
        self.comment("  --clients 0.0.0.0/0 --clients 192.168.1.0/24");
        for networks in inner.chunks(IN_A_LINE) {
            // Writing to a String cannot fail; the same below.
            let _ = writeln!(self.text, "IPAddressDeny={}", networks.join(" "));
        }
    }

    /// Lets addresses through; none: writes nothing.
    pub(super) fn allow(&mut self, from: &str, addresses: impl IntoIterator<Item = String>) {
        let mut seen = HashSet::new();
        let fresh = |address: &String| {
            seen.insert(address.clone()) && !self.written.contains(&(from.into(), address.clone()))
        };
        let addresses: Vec<_> = addresses.into_iter().filter(fresh).collect();
        if addresses.is_empty() {
            return;
        }
        self.comment(from);
        for some in addresses.chunks(IN_A_LINE) {
            let _ = writeln!(self.text, "IPAddressAllow={}", some.join(" "));
        }
        self.written.extend(addresses.into_iter().map(|address| (from.to_owned(), address)));
    }

    /// Tells the reader something, beside the file and in it.
    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    pub(super) fn into_rendered(mut self) -> Rendered {
        let warnings = std::mem::take(&mut self.warnings);
        for warning in &warnings {
            self.comment(&format!("Warning: {warning}."));
        }
        Rendered { text: self.text, warnings }
    }

    fn comment(&mut self, words: &str) {
        let mut line = String::from("#");
        for word in words.split(' ') {
            if line.len() + 1 + word.len() > WIDTH && line.len() > 1 {
                let _ = writeln!(self.text, "{line}");
                line = String::from("#");
            }
            let _ = write!(line, " {word}");
        }
        let _ = writeln!(self.text, "{line}");
    }
}
