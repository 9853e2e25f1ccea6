//! What the keys of the admin socket mean.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use eclusa_config::plan::{Admin, Program};
use eclusa_config::{Mode, admin_of, parse};

const MASTERS: &str = "masters = [\"10.0.0.11\"]\n";

fn admin(text: &str) -> Option<Admin> {
    let text = format!("{MASTERS}{text}");
    parse(Program::Apiserver, "admin", &text, Mode::Offline).unwrap().plan.admin
}

#[test]
fn there_is_a_socket_unless_it_is_switched_off() {
    assert_eq!(admin(""), Some(Admin::default()));
    assert_eq!(admin("[admin]"), Some(Admin::default()));
    assert_eq!(admin("admin = false"), None);
    let all = admin("admin = { socket = \"/run/a.sock\", mode = \"640\", group = \"adm\" }");
    let socket = Some("/run/a.sock".into());
    let group = Some("adm".into());
    assert_eq!(all, Some(Admin { socket, mode: 0o640, group, drills: false }));
    let drills = admin("[admin]\ndrills = true");
    assert_eq!(drills, Some(Admin { drills: true, ..Admin::default() }));
}

#[test]
fn a_broken_file_still_says_where_the_socket_is() {
    let path = std::env::temp_dir().join(format!("eclusa-admin-{}.toml", std::process::id()));
    let text = "masters = [\"10.0.0.300\"\nrun_directory = \"/run/x\"\n\
                admin = { socket = \"/run/b.sock\", colour = 1 }\nports = 7\n";
    for text in [text.to_owned(), text.replacen("300\"", "300\"]", 1)] {
        std::fs::write(&path, &text).unwrap();
        assert!(parse(Program::Apiserver, "t", &text, Mode::Offline).is_err());
        let (admin, run_directory) = admin_of(Program::Apiserver, &path).unwrap();
        if text.contains("300\"]") {
            assert_eq!(admin.unwrap().socket, Some("/run/b.sock".into()));
            assert_eq!(run_directory, Some("/run/x".into()));
        }
    }
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    admin_of(Program::Apiserver, &path).unwrap_err();
    std::fs::remove_file(&path).unwrap();
    admin_of(Program::Apiserver, &path).unwrap_err();
}
