//! What is checked of the host, and in which mode.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use eclusa_config::plan::Program;
use eclusa_config::{Diagnostics, Loaded, Mode, parse};
use std::fs;
use std::path::PathBuf;

fn pool(keys: &str, mode: Mode) -> Result<Loaded, Diagnostics> {
    let listener = "[listener.web]\nlisten = \"127.0.0.1:443\"\npool = \"web\"\n";
    let text = format!("upstreams_within = \"10.0.0.0/22\"\n{listener}[pool.web]\n{keys}\n");
    parse(Program::Edge, "host.toml", &text, mode)
}

fn warnings(keys: &str, mode: Mode) -> Vec<String> {
    pool(keys, mode).unwrap_or_else(|errors| panic!("{errors}")).warnings.lines()
}

#[test]
fn names_are_resolved_by_check_alone() {
    let keys = "endpoints = \"localhost:443\"";
    let told = warnings(keys, Mode::Host);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("outside `upstreams_within`"), "{told:?}");
    let told = warnings("endpoints = \"nobody.invalid:443\"", Mode::Host);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("`nobody.invalid` does not resolve"), "{told:?}");
    for mode in [Mode::Start, Mode::Offline] {
        assert_eq!(warnings(keys, mode), [""; 0]);
    }
}

#[test]
fn files_matter_unless_offline() {
    let path = std::env::temp_dir().join(format!("eclusa-ca-{}.pem", std::process::id()));
    let keys = |path: &PathBuf| {
        let probe = format!("kind = \"tls\", server_name = \"web\", ca = {path:?}");
        format!("endpoints = \"10.0.1.100:443\"\nprobe = {{ {probe} }}")
    };
    let certificate = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    fs::write(&path, certificate).unwrap();
    assert_eq!(warnings(&keys(&path), Mode::Start), [""; 0]);
    fs::write(&path, "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n").unwrap();
    let text = pool(&keys(&path), Mode::Start).unwrap_err().to_string();
    assert!(text.contains("is broken"), "{text}");
    fs::write(&path, "no certificate").unwrap();
    let text = pool(&keys(&path), Mode::Host).unwrap_err().to_string();
    assert!(text.contains("has no certificate in it"), "{text}");
    fs::remove_file(&path).unwrap();
    let text = pool(&keys(&path), Mode::Start).unwrap_err().to_string();
    assert!(text.contains("cannot be read"), "{text}");
    assert_eq!(warnings(&keys(&path), Mode::Offline), [""; 0]);
}

#[test]
fn what_a_probe_shows_must_be_there() {
    let path = |name: &str| {
        std::env::temp_dir().join(format!("eclusa-probe-{}-{name}", std::process::id()))
    };
    let files = ["ca", "certificate", "key", "token"].map(path);
    let [ca, certificate, key, token] = &files;
    let keys = format!(
        "endpoints = \"10.0.1.100:443\"\nprobe = {{ kind = \"https\", server_name = \"web\", \
         ca = {ca:?}, certificate = {certificate:?}, key = {key:?}, token_file = {token:?} }}"
    );
    let section = |name: &str| format!("-----BEGIN {name}-----\nMAA=\n-----END {name}-----\n");
    let refused = |wanted: &str| {
        let errors = pool(&keys, Mode::Start).unwrap_err().lines();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].contains(wanted), "{errors:?}");
    };
    for file in [ca, certificate] {
        fs::write(file, section("CERTIFICATE")).unwrap();
    }
    fs::write(key, section("PRIVATE KEY")).unwrap();
    fs::write(token, "abc.def\n").unwrap();
    assert_eq!(warnings(&keys, Mode::Start), [""; 0]);
    // The two files mixed up, and a key with a passphrase.
    fs::write(key, section("CERTIFICATE")).unwrap();
    refused("has no private key in it");
    fs::write(key, section("ENCRYPTED PRIVATE KEY")).unwrap();
    refused("has no private key in it");
    fs::write(key, section("PRIVATE KEY").repeat(2)).unwrap();
    refused("has 2 private keys in it");
    fs::write(key, section("EC PRIVATE KEY")).unwrap();
    fs::write(token, "Bearer abc").unwrap();
    refused("holds more than one word");
    fs::write(token, "\n").unwrap();
    refused("is empty");
    fs::remove_file(token).unwrap();
    refused("cannot be read");
    assert_eq!(warnings(&keys, Mode::Offline), [""; 0]);
    for file in [ca, certificate, key] {
        fs::remove_file(file).unwrap();
    }
}
