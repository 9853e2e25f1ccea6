//! The token of the dashboard as `check` finds it on this host.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use eclusa_config::plan::Program;
use eclusa_config::{Mode, parse};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

/// What is said of a configuration with this text and mode in its file of the token.
fn said(token: &str, mode: u32) -> Result<String, String> {
    let path = std::env::temp_dir().join(format!("eclusa-token-{}", std::process::id()));
    fs::write(&path, token).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    let text = format!(
        "masters = [\"127.0.0.11\"]\ndashboard = {{ listen = \"127.0.0.1:9901\", token_file = {path:?} }}\n"
    );
    let checked = parse(Program::Apiserver, "t", &text, Mode::Host);
    fs::remove_file(&path).unwrap();
    let told = checked.map(|loaded| {
        assert_eq!(loaded.plan.dashboard.token_file.as_ref(), Some(&path));
        assert!(loaded.plan.files().any(|file| file == path), "the keeper opens it");
        loaded.warnings.to_string()
    });
    told.map_err(|wrong| wrong.to_string())
}

#[test]
fn a_token_is_hard_to_guess_and_nobody_elses() {
    let token = "0123456789abcdef\n";
    assert!(!said(token, 0o600).unwrap().contains("token"));
    assert!(!said(token, 0o640).unwrap().contains("other users"), "the service's group may");
    let open = said(token, 0o644).unwrap();
    assert!(
        open.contains("can be read by other users of this host") && open.contains("chmod 0600"),
        "{open}"
    );
    for (wrong, why) in [
        ("", "is empty"),
        ("two words of text", "holds more than one word"),
        ("0123456789abcde", "holds a token of 15 characters: it can be guessed"),
    ] {
        let told = said(wrong, 0o600).unwrap_err();
        assert!(told.contains(why) && told.contains("openssl rand -hex 24"), "{told}");
    }
}
