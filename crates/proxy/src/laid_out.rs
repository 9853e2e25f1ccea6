//! How the files of certificates are called: certbot's, HAProxy's, and plain pairs. The engine finds
//! by these names what belongs together; the keeper opens no others beside and below what the
//! configuration names.

use std::path::{Path, PathBuf};

/// Endings of files that hold certificates, in a directory. The last ones are HAProxy's bundles,
/// `shop.pem.ecdsa` beside `shop.pem.rsa`.
const ENDINGS: [&str; 5] = ["pem", "crt", "cer", "rsa", "ecdsa"];

/// The ending of files that hold keys alone.
const KEY: &str = "key";

/// Whether a file of this name in a directory of certificates holds one.
#[must_use]
pub fn holds_certificate(path: &Path) -> bool {
    path.extension().is_some_and(|end| ENDINGS.iter().any(|known| end == *known))
}

/// Where the key of a chain may be, best first: `privkey3.pem` for `fullchain3.pem`; `NAME.pem.key`
/// or `NAME.key` for `NAME.pem`.
#[must_use]
pub fn keys_of(chain: &Path) -> Vec<PathBuf> {
    let name = chain.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if let Some(rest) = name.strip_prefix("fullchain") {
        return vec![chain.with_file_name(format!("privkey{rest}"))];
    }
    let mut keys = vec![chain.with_file_name(format!("{name}.{KEY}"))];
    if chain.extension().is_some_and(|ending| ending != KEY) {
        keys.push(chain.with_extension(KEY));
    }
    keys
}

/// Whether `path` is a file that a layout may name in `directory`, or in a directory in it.
pub(crate) fn may_be_below(directory: &Path, path: &Path) -> bool {
    let name = path.file_name().map(std::ffi::OsStr::as_encoded_bytes).unwrap_or_default();
    let known = holds_certificate(path) || path.extension().is_some_and(|end| end == KEY);
    let Some(parent) = path.parent().filter(|_| known && !name.starts_with(b".")) else {
        return false;
    };
    // `..` has no name: nothing leads out this way.
    let inner = parent.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."));
    parent == directory || inner && parent.parent() == Some(directory)
}

/// Certbot's archive of a directory: `/etc/letsencrypt/archive/NAME` for `/etc/letsencrypt/live/NAME`,
/// and for `live` itself all of `archive`. Its links lead there.
pub(crate) fn archive_of(directory: &Path) -> Option<PathBuf> {
    let archive = |live: &Path| {
        let is_live = live.file_name().is_some_and(|name| name == "live");
        is_live.then(|| live.with_file_name("archive"))
    };
    let above = directory.parent()?;
    archive(directory).or_else(|| Some(archive(above)?.join(directory.file_name()?)))
}

/// Whether certbot's archive has a file of this name for what `live` calls `path`: `privkey3.pem` for
/// `privkey.pem`.
pub(crate) fn is_archived_as(path: &Path, name: &Path) -> bool {
    let of = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let (Some(live), Some(name)) = (of(path), of(name)) else { return false };
    let number = live.strip_suffix(".pem").and_then(|stem| name.strip_prefix(stem));
    let number = number.and_then(|rest| rest.strip_suffix(".pem"));
    number.is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_below_a_directory() {
        let below = |path: &str| may_be_below(Path::new("/certs"), Path::new(path));
        for path in ["/certs/a.pem", "/certs/a.pem.key", "/certs/a.key", "/certs/n/privkey.pem"] {
            assert!(below(path), "{path}");
        }
        for path in [
            "/certs/a.txt",
            "/certs/.a.pem",
            "/certs/.hidden/a.pem",
            "/certs/n/m/a.pem",
            "/certs/../a.pem",
            "/certs/n/../../a.pem",
            "/other/a.pem",
            "/certs",
            "/certs.pem",
            "a.pem",
        ] {
            assert!(!below(path), "{path}");
        }
    }

    #[test]
    fn certbot_s_archive() {
        let of = |path: &str| archive_of(Path::new(path));
        assert_eq!(of("/le/live/shop.test"), Some("/le/archive/shop.test".into()));
        assert_eq!(of("/le/live"), Some("/le/archive".into()));
        assert_eq!(of("/le/certs/shop.test"), None);
        let is = |live: &str, name: &str| is_archived_as(Path::new(live), Path::new(name));
        assert!(is("live/n/privkey.pem", "privkey12.pem"));
        for name in ["privkey.pem", "privkey1", "privkeyx1.pem", "fullchain1.pem", "privkey-1.pem"]
        {
            assert!(!is("live/n/privkey.pem", name), "{name}");
        }
    }
}
