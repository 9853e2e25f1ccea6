//! What is said about bad files. All of it stands in mistakes.txt beside; `BLESS=1 cargo test -p
//! eclusa-http` writes it anew.

use crate::support::{Authority, DAY, Dir, Issued, Key, load, settings};
use eclusa_http::tls::files::HostFiles;
use eclusa_http::tls::store::{Settings, Store};
use rcgen::date_time_ymd;
use std::fmt::Write;
use std::path::Path;
use std::time::SystemTime;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/mistakes.txt");

/// What loading says: mistakes, warnings, what was loaded.
fn said(dir: &Dir, settings: &Settings, previous: Option<&Store>) -> String {
    let mut text = String::new();
    match Store::load(&HostFiles, settings, previous, SystemTime::now()) {
        Ok(loaded) => {
            for warning in loaded.warnings {
                writeln!(text, "warning: {warning}").unwrap();
            }
            for certificate in loaded.store.certificates() {
                let (file, key) = (certificate.file().display(), certificate.key_type());
                writeln!(text, "loaded: {file}: {key} for {}", certificate.names()).unwrap();
            }
        }
        Err(mistakes) => {
            for mistake in mistakes {
                writeln!(text, "mistake: {mistake}").unwrap();
            }
        }
    }
    text.replace(&format!("{}/", dir.at("").display().to_string().trim_end_matches('/')), "")
}

struct Golden {
    dir: Dir,
    text: String,
}

impl Golden {
    fn case(&mut self, title: &str, files: &[(&str, &[u8])], change: impl FnOnce(&mut Settings)) {
        for (name, bytes) in files {
            self.dir.write(&format!("{title}/{name}"), bytes);
        }
        std::fs::create_dir_all(self.dir.at(title)).unwrap();
        let mut settings = settings(&[&self.dir.at(title)]);
        change(&mut settings);
        let said = said(&self.dir, &settings, None).replace(&format!("{title}/"), "");
        writeln!(self.text, "## {title}\n{said}").unwrap();
    }

    fn file(&mut self, title: &str, name: &str, bytes: impl AsRef<[u8]>) {
        self.case(title, &[(name, bytes.as_ref())], |settings| {
            settings.certificates[0].push(name);
        });
    }
}

fn certificates(golden: &mut Golden, ca: &Authority, good: &Issued) {
    let other = Key::Ecdsa.pair().serialize_pem();
    golden.file("good", "a.pem", good.both());
    golden.file("key first", "a.pem", format!("{}{}", good.key, good.pem));
    golden.case(
        "certbot",
        &[
            ("live/README", b"text"),
            ("live/shop.test/fullchain.pem", good.pem.as_bytes()),
            ("live/shop.test/privkey.pem", good.key.as_bytes()),
            ("live/shop.test/cert.pem", good.pem.as_bytes()),
            ("live/shop.test/chain.pem", ca.pem.as_bytes()),
        ],
        |settings| settings.certificates[0].push("live"),
    );
    golden.case(
        "certbot archive",
        &[
            ("fullchain1.pem", b"old"),
            ("fullchain10.pem", good.pem.as_bytes()),
            ("fullchain9.pem", b"old"),
            ("privkey10.pem", good.key.as_bytes()),
        ],
        |_| {},
    );
    golden.case(
        "haproxy",
        &[
            ("a.pem", good.pem.as_bytes()),
            ("a.pem.key", good.key.as_bytes()),
            (".hidden.pem", b"no"),
            ("a.pem.ocsp", b"no"),
        ],
        |_| {},
    );
    golden.case(
        "pair",
        &[("tls.crt", good.pem.as_bytes()), ("tls.key", good.key.as_bytes())],
        |_| {},
    );
    golden.file("foreign key", "a.pem", format!("{}{other}", good.pem));
    golden.case(
        "foreign key beside",
        &[("a.pem", good.pem.as_bytes()), ("a.key", other.as_bytes())],
        |_| {},
    );
    golden.file("no key", "a.pem", &good.pem);
    golden.file("no key, certbot", "cert.pem", &good.pem);
    golden.case("half a renewal", &[("fullchain.pem", good.pem.as_bytes())], |_| {});
    golden.file("two keys", "a.pem", format!("{}{other}", good.both()));
    golden.file("leaf last", "a.pem", format!("{}{}{}", ca.pem, good.pem, good.key));
}

fn chains(golden: &mut Golden) {
    let root = Authority::new("root");
    let middle = root.below("middle");
    let twin = Authority::new("middle");
    let leaf = middle.issue(&["shop.test"], Key::Ecdsa);
    let Issued { pem, key } = &leaf;
    let chain = |parts: &[&String]| parts.iter().map(|part| part.as_str()).collect::<String>();
    golden.file("whole chain", "a.pem", chain(&[pem, &middle.pem, &root.pem, key]));
    golden.file("chain without root", "a.pem", chain(&[key, pem, &middle.pem]));
    golden.file("chain out of order", "a.pem", chain(&[pem, &root.pem, &middle.pem, key]));
    golden.file("chain with a stranger", "a.pem", chain(&[pem, &Authority::new("else").pem, key]));
    golden.file("chain with a twin", "a.pem", chain(&[pem, &twin.pem, key]));
}

fn pem(golden: &mut Golden, good: &Issued) {
    golden.file("empty", "a.pem", "");
    golden.file("no pem", "a.pem", "hello\n");
    golden.file("der", "a.pem", crate::support::der(good));
    golden.file("cut", "a.pem", &good.pem[..200]);
    golden.file("broken base64", "a.pem", good.both().replacen("\nM", "\n*", 1));
    golden.file(
        "broken label",
        "a.pem",
        good.both().replacen("CERTIFICATE-----", "CERTIFICATE--", 1),
    );
    golden.file("other label", "a.pem", good.pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE"));
    golden.file("request", "a.pem", good.pem.replace("CERTIFICATE", "CERTIFICATE REQUEST"));
    golden.file("key alone", "a.pem", &good.key);
    golden.file("no certificate", "a.pem", good.both().replacen("\nMII", "\nMAA", 1));
    golden.file(
        "encrypted key",
        "a.pem",
        good.both().replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
    );
    let old = "RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n";
    golden.file(
        "encrypted key of old",
        "a.pem",
        good.both().replacen("PRIVATE KEY-----\n", old, 1),
    );
    let ssh = good.key.replace("PRIVATE KEY", "OPENSSH PRIVATE KEY");
    golden.case("ssh key", &[("a.pem", good.pem.as_bytes()), ("a.key", ssh.as_bytes())], |_| {});
    let dsa = good.key.replace("PRIVATE KEY", "DSA PRIVATE KEY");
    golden.case("dsa key", &[("a.pem", good.pem.as_bytes()), ("a.key", dsa.as_bytes())], |_| {});
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    golden.file("nonsense key", "a.pem", format!("{}{no_key}", good.pem));
    golden.file("large", "a.pem", vec![b'\n'; (1 << 20) + 1]);
}

fn names_and_dates(golden: &mut Golden, ca: &Authority) {
    let dated = |not_before, not_after| {
        let change = |params: &mut rcgen::CertificateParams| {
            params.not_before = not_before;
            params.not_after = not_after;
        };
        ca.issue_with(&["shop.test"], &Key::Ecdsa.pair(), change).both()
    };
    golden.file("expired", "a.pem", dated(date_time_ymd(2020, 1, 1), date_time_ymd(2020, 4, 1)));
    golden.file("early", "a.pem", dated(date_time_ymd(2120, 1, 1), date_time_ymd(2120, 4, 1)));
    let alone = ca.issue_with(&[], &Key::Ecdsa.pair(), |_| {}).both();
    golden.file("no names", "a.pem", alone);
    golden.file("an address", "a.pem", ca.issue(&["192.0.2.1"], Key::Ecdsa).both());
    let strange = ["*.shop.test", "w*.shop.test", "*.*.test", "a b.test"];
    golden.file("strange names", "a.pem", ca.issue(&strange, Key::Ecdsa).both());
    let (one, two) =
        (ca.issue(&["a.test", "b.test"], Key::Ecdsa), ca.issue(&["b.test"], Key::Ecdsa));
    let (rsa, wild) = (ca.issue(&["b.test"], Key::Rsa), ca.issue(&["*.test"], Key::Ecdsa));
    let (one, two, rsa, wild) = (one.both(), two.both(), rsa.both(), wild.both());
    golden.case("twice", &[("a.pem", one.as_bytes()), ("b.pem", two.as_bytes())], |_| {});
    golden.case(
        "other types and wildcards",
        &[("a.pem", one.as_bytes()), ("b.pem", rsa.as_bytes()), ("c.pem", wild.as_bytes())],
        |_| {},
    );
    golden.case("the same one twice", &[("a.pem", one.as_bytes())], |settings| {
        let file = settings.certificates[0].join("a.pem");
        settings.certificates.push(file);
    });
    golden.case("default", &[("a.pem", one.as_bytes())], |settings| {
        settings.default = Some("other.test".into());
    });
    golden.case(
        "several at once",
        &[("a.pem", b"no"), ("b.pem", two.as_bytes()), ("c.pem", b"")],
        |_| {},
    );
}

#[test]
fn each_mistake_names_file_reason_and_remedy() {
    let (dir, ca) = (Dir::new("mistakes"), Authority::new("ca"));
    let good = ca.issue(&["shop.test"], Key::Ecdsa);
    let mut golden = Golden { dir, text: String::new() };
    certificates(&mut golden, &ca, &good);
    chains(&mut golden);
    pem(&mut golden, &good);
    names_and_dates(&mut golden, &ca);
    golden.case("missing", &[], |settings| settings.certificates[0].push("nowhere.pem"));
    golden.case("an empty directory", &[("README", b"text")], |_| {});
    golden.case("a device", &[], |settings| settings.certificates[0] = "/dev/null".into());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(GOLDEN, &golden.text).unwrap();
    }
    let expected = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    for (said, expected) in golden.text.split("## ").zip(expected.split("## ")) {
        assert_eq!(said, expected, "run: BLESS=1 cargo test -p eclusa-http");
    }
    assert_eq!(golden.text.len(), expected.len());
}

#[test]
fn an_expired_one_that_was_served_goes_on() {
    let (dir, ca) = (Dir::new("expired"), Authority::new("ca"));
    let past = ca.issue_with(&["shop.test"], &Key::Ecdsa.pair(), |params| {
        params.not_after = (SystemTime::now() - DAY).into();
        params.not_before = (SystemTime::now() - 2 * DAY).into();
    });
    let good = dir.write("b.pem", ca.issue(&["good.test"], Key::Ecdsa).both());
    let file = dir.write("a.pem", past.both());
    let settings = settings(&[&file, &good]);
    let at_start = load(&settings);
    assert_eq!(at_start.certificates().len(), 2, "a restart makes nothing worse");
    assert!(said(&dir, &settings, Some(&at_start)).starts_with("warning: a.pem: it has expired"));
    let before = load(&crate::support::settings(&[&good]));
    assert!(said(&dir, &settings, Some(&before)).starts_with("mistake: a.pem: it has expired"));
}

#[test]
fn what_may_not_be_read_is_told() {
    /// Files of which one is root's.
    struct Forbidden;

    impl eclusa_http::tls::files::Files for Forbidden {
        fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
            match path.ends_with("privkey.pem") {
                true => Err(std::io::ErrorKind::PermissionDenied.into()),
                false => HostFiles.read(path),
            }
        }

        fn list(&self, path: &Path) -> std::io::Result<Vec<eclusa_http::tls::files::Entry>> {
            HostFiles.list(path)
        }

        fn look(&self, path: &Path) -> std::io::Result<eclusa_http::tls::files::Kind> {
            HostFiles.look(path)
        }
    }

    let (dir, ca) = (Dir::new("forbidden"), Authority::new("ca"));
    let good = ca.issue(&["shop.test"], Key::Ecdsa);
    dir.write("fullchain.pem", &good.pem);
    let key = dir.write("privkey.pem", &good.key);
    let settings = settings(&[&dir.at("")]);
    let loaded = Store::load(&Forbidden, &settings, None, SystemTime::now());
    let mistakes = loaded.unwrap_err();
    let words = format!(
        "{}: it may not be read: let the service's user, or root where it has a keeper, read it",
        key.display()
    );
    assert_eq!(mistakes[0].to_string(), words);
    assert_eq!(mistakes.len(), 1);
}
