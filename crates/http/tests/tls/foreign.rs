//! Clients that are not ours: OpenSSL's and curl.

use crate::support::{Authority, Dir, Key, Server, load, settings};
use eclusa_http::tls::files::HostFiles;
use eclusa_http::tls::store;
use eclusa_http::tls::terminate::{Clients, Settings, Terminator};
use eclusa_http::tls::tickets::Tickets;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// A program that goes with the test, however that ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Site {
    dir: Dir,
    server: Server,
}

impl Site {
    /// A strict one with ECDSA and RSA for `shop.test`, which asks for a certificate.
    fn new(label: &str) -> Self {
        let (dir, ca) = (Dir::new(label), Authority::new("ca"));
        dir.write("certs/a.pem", ca.issue(&["shop.test"], Key::Ecdsa).both());
        dir.write("certs/b.pem", ca.issue(&["shop.test"], Key::Rsa).both());
        dir.write("ca.pem", &ca.pem);
        dir.write("client.pem", ca.issue(&["worker.test"], Key::Rsa).both());
        let certificates = settings(&[&dir.at("certs")]);
        let certificates = store::Settings { strict: true, ..certificates };
        let offer = Settings {
            alpn: vec!["http/1.1".into()],
            clients: Clients::Optional { ca: dir.at("ca.pem") },
            ..Settings::default()
        };
        let tickets = Tickets::random(Instant::now());
        let live = load(&certificates).live();
        let server = Server::start(Terminator::new(&HostFiles, &offer, live, &tickets).unwrap());
        Self { dir, server }
    }

    fn file(&self, name: &str) -> String {
        self.dir.at(name).display().to_string()
    }

    /// `openssl s_client`; what it says, and whether it is content.
    fn openssl(&self, name: &str, more: &[&str]) -> (bool, String) {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &self.server.address.to_string()]);
        command.args([
            "-servername",
            name,
            "-CAfile",
            &self.file("ca.pem"),
            "-verify_return_error",
        ]);
        command.args(["-alpn", "http/1.1"]).args(more);
        let output = command.stdin(Stdio::null()).output().expect("openssl is installed");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }
}

#[test]
fn openssl_is_content() {
    let site = Site::new("openssl");
    let table: [(&[&str], &[&str]); 6] = [
        (&["-tls1_3"], &["TLSv1.3", "ECDSA", "ALPN protocol: http/1.1"]),
        (&["-tls1_2"], &["TLSv1.2", "ECDHE-ECDSA-", "ALPN protocol: http/1.1"]),
        (&["-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"], &["RSA-PSS"]),
        (&["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], &["ECDHE-RSA-AES128-GCM-SHA256"]),
        // Asks for a group that it has sent no share for: the hello comes twice.
        (&["-tls1_3", "-groups", "secp521r1:P-256"], &["prime256v1"]),
        (&["-tls1_3", "-servername", "SHOP.test"], &["TLSv1.3"]),
    ];
    for (more, expected) in table {
        let (content, said) = site.openssl("shop.test", more);
        assert!(content, "{more:?}: {said}");
        assert!(said.contains("Verify return code: 0 (ok)"), "{more:?}: {said}");
        for text in expected {
            assert!(said.contains(text), "{more:?} without {text}: {said}");
        }
        let handshake = site.server.next().unwrap();
        assert_eq!(handshake.server_name.as_deref(), Some("shop.test"));
        assert_eq!(handshake.identity, None);
    }
    let client = site.file("client.pem");
    for version in ["-tls1_2", "-tls1_3"] {
        let (content, said) = site.openssl("shop.test", &[version, "-cert", &client]);
        assert!(content, "{said}");
        let identity = site.server.next().unwrap().identity.unwrap();
        assert_eq!(identity.dns_names, ["worker.test".into()]);
    }
}

#[test]
fn openssl_sees_why_it_is_refused() {
    let site = Site::new("openssl-refused");
    for (name, version, alert) in [
        ("other.test", "-tls1_3", "unrecognized name"),
        ("other.test", "-tls1_2", "unrecognized name"),
        ("shop.test", "-tls1_1", "handshake failure"),
    ] {
        let security = ["-cipher", "DEFAULT:@SECLEVEL=0"];
        let (content, said) = site.openssl(name, &[&[version], &security[..]].concat());
        assert!(!content && said.contains(alert), "{name} {version}: {said}");
        assert!(site.server.next().is_err());
    }
}

#[test]
fn openssl_resumes() {
    let site = Site::new("openssl-resumes");
    let session = site.file("session");
    for version in ["-tls1_2", "-tls1_3"] {
        // Waits for the ticket, which comes after the handshake: it sends a request and reads on.
        let address = site.server.address.to_string();
        let mut saves = Command::new("openssl");
        saves.args([
            "s_client",
            "-quiet",
            "-connect",
            &address,
            "-servername",
            "shop.test",
            version,
        ]);
        saves.args(["-CAfile", &site.file("ca.pem"), "-sess_out", &session]);
        saves.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut saved = Killed(saves.spawn().expect("openssl is installed"));
        saved.0.stdin.as_mut().unwrap().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        eclusa_testkit::wait_until(crate::support::LIMIT, "a saved session", || {
            std::fs::metadata(&session).is_ok_and(|file| file.len() > 0)
        });
        drop(saved);
        assert!(!site.server.next().unwrap().resumed);
        let (content, said) = site.openssl("shop.test", &[version, "-sess_in", &session]);
        assert!(content && said.contains("Reused, "), "{version}: {said}");
        assert!(site.server.next().unwrap().resumed);
        std::fs::remove_file(&session).unwrap();
    }
}

#[test]
fn curl_is_content() {
    let site = Site::new("curl");
    let port = site.server.address.port();
    let resolve = |name: &str| format!("{name}:{port}:127.0.0.1");
    let curl = |name: &str, more: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-sS", "--noproxy", "*", "--cacert", &site.file("ca.pem")]);
        command.args(["--resolve", &resolve(name), &format!("https://{name}:{port}/")]).args(more);
        let output = command.output().expect("curl is installed");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let client = site.file("client.pem");
    let table: [&[&str]; 4] =
        [&[], &["--tls-max", "1.2"], &["--tlsv1.3"], &["--cert", &client, "--tlsv1.3"]];
    for more in table {
        assert_eq!(curl("shop.test", more), (Some(0), "ok".to_owned()), "{more:?}");
        let identity = site.server.next().unwrap().identity;
        assert_eq!(identity.is_some(), more.contains(&"--cert"));
    }
    let (code, said) = curl("other.test", &[]);
    assert_eq!(code, Some(35), "{said}");
    assert!(said.contains("unrecognized name"), "{said}");
}
