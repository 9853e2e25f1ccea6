//! The drop-in for the edge's unit: files beside the text that they must yield.
//!
//! `golden/drop-in-*.toml` beside `.conf`; `BLESS=1 cargo test -p eclusa-proxy --test drop_in` writes
//! those anew.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use eclusa_config::Mode;
use eclusa_config::plan::Program;
use eclusa_proxy::drop_in::{Host, Rendered, render};
use ipnet::IpNet;
use std::net::IpAddr;
use std::path::Path;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// A host of the DMZ.
fn host() -> Host {
    Host {
        resolvers: vec!["127.0.0.53".parse().unwrap(), "192.168.1.53".parse().unwrap()],
        networks: ["127.0.0.1/8", "192.168.1.2/24", "10.0.3.2/22"].map(net).to_vec(),
        names: [
            ("app.example".to_owned(), vec!["10.0.1.7".parse().unwrap()]),
            ("edge2.example".to_owned(), vec!["192.168.1.3".parse().unwrap()]),
        ]
        .into(),
    }
}

fn of(name: &str, clients: &[&str]) -> Rendered {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.toml"));
    let text = std::fs::read_to_string(path).unwrap();
    let loaded = eclusa_config::parse(Program::Edge, "edge.toml", &text, Mode::Offline);
    let plan = loaded.unwrap_or_else(|wrong| panic!("{wrong}")).plan;
    let clients: Vec<_> = clients.iter().map(|client| net(client)).collect();
    render(&plan, Path::new("/etc/eclusa/edge.toml"), &clients, &host())
}

#[test]
fn every_plan_has_its_drop_in() {
    let mut wrong = Vec::new();
    for (name, clients) in [
        ("drop-in-everyone", &[][..]),
        ("drop-in-listed", &[]),
        ("drop-in-names", &[]),
        ("drop-in-clients", &["192.168.0.0/16", "203.0.113.7/32"]),
        ("drop-in-everyone-and-clients", &["0.0.0.0/0", "192.168.1.0/24"]),
    ] {
        let Rendered { text, .. } = of(name, clients);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.conf"));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != text {
            wrong.push(format!("{name}:\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// What systemd makes of the lines: allowed, else denied, else let through.
fn passes(text: &str, address: &str) -> bool {
    let address: IpAddr = address.parse().unwrap();
    let holds = |key: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix(key));
        lines.flat_map(|line| line.split(' ')).any(|one| match one {
            "any" => true,
            "localhost" => {
                net("127.0.0.0/8").contains(&address) || net("::1/128").contains(&address)
            }
            one => one
                .parse()
                .unwrap_or_else(|_| IpNet::from(one.parse::<IpAddr>().unwrap()))
                .contains(&address),
        })
    };
    holds("IPAddressAllow=") || !holds("IPAddressDeny=")
}

#[test]
fn packets_pass_as_meant() {
    let everyone = of("drop-in-everyone", &[]);
    let listed = of("drop-in-listed", &[]);
    let both = of("drop-in-everyone-and-clients", &["0.0.0.0/0", "192.168.1.0/24"]);
    for (rendered, address, expected) in [
        (&everyone, "8.8.8.8", true),
        (&everyone, "2001:db8:99::1", true),
        (&everyone, "10.0.1.100", true),
        (&everyone, "10.0.2.1", false),
        (&everyone, "172.20.3.4", true),
        (&everyone, "172.21.3.4", false),
        (&everyone, "fd00::1", false),
        (&everyone, "169.254.169.254", false),
        (&everyone, "192.168.1.10", true),
        (&everyone, "192.168.2.10", false),
        (&everyone, "192.168.1.53", true),
        (&listed, "198.51.100.9", true),
        (&listed, "8.8.8.8", false),
        (&listed, "10.0.1.108", true),
        (&listed, "10.0.1.109", false),
        (&listed, "127.0.0.1", true),
        (&listed, "::1", true),
        (&listed, "192.168.1.53", false),
        (&both, "8.8.8.8", true),
        (&both, "192.168.1.9", true),
        (&both, "192.168.2.9", false),
    ] {
        assert_eq!(passes(&rendered.text, address), expected, "{address} in\n{}", rendered.text);
    }
}

#[test]
fn what_is_not_known_is_told() {
    let warnings = |name| of(name, &[]).warnings.join("\n");
    let names = warnings("drop-in-names");
    assert!(names.contains("app.example of pool.app is a name"), "{names}");
    assert!(names.contains("gone.example of pool.app is a name"), "{names}");
    assert!(names.contains("edge2.example:9644 is a name"), "{names}");
    assert!(warnings("drop-in-everyone").contains("private addresses are dropped"));
    assert_eq!(warnings("drop-in-listed"), "");
}
