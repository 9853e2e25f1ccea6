//! A tar archive (POSIX.1-2001, `ustar` interchange format) of files in memory: no crate for sixty lines.

/// Bytes of a block.
const BLOCK: usize = 512;
/// The longest name of a member.
const NAME_MAX: usize = 100;

/// An archive under way.
#[derive(Debug, Default)]
pub(super) struct Tar(Vec<u8>);

impl Tar {
    /// Adds a file that its owner alone may read. `name`: at most 100 bytes of ASCII; `modified`: seconds
    /// since 1970.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8], modified: u64) {
        debug_assert!(name.is_ascii() && name.len() <= NAME_MAX, "{name}");
        let mut header = [0_u8; BLOCK];
        let mut put = |at: usize, text: &[u8]| {
            if let Some(place) = header.get_mut(at..at + text.len()) {
                place.copy_from_slice(text);
            }
        };
        put(0, name.as_bytes().get(..NAME_MAX).unwrap_or(name.as_bytes()));
        put(100, b"0000600\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, format!("{:011o}\0", bytes.len()).as_bytes());
        put(136, format!("{modified:011o}\0").as_bytes());
        // The checksum counts its own place as blanks.
        put(148, b"        ");
        put(156, b"0");
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        if let Some(place) = header.get_mut(148..156) {
            place.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        self.0.extend_from_slice(&header);
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
    }

    /// The whole archive.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    #[test]
    fn tar_reads_it() {
        let mut tar = Tar::default();
        tar.add("bundle/a.txt", b"first\n", 1_796_000_000);
        tar.add("bundle/empty", b"", 0);
        tar.add("bundle/large", &[b'x'; 1000], 0);
        let bytes = tar.into_bytes();
        let run = |arguments: &[&str]| {
            let mut child = Command::new("tar")
                .args(arguments)
                .env("TZ", "UTC")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(&bytes).unwrap();
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap()
        };
        let listed = run(&["-tvf", "-"]);
        for part in ["-rw------- ", " 2026-11-30 ", " bundle/a.txt", " 1000 ", " bundle/empty"] {
            assert!(listed.contains(part), "{part} not in:\n{listed}");
        }
        assert_eq!(run(&["-xOf", "-", "bundle/a.txt"]), "first\n");
        assert_eq!(run(&["-xOf", "-", "bundle/large"]), "x".repeat(1000));
    }
}
