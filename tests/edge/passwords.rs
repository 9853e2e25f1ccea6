//! Passwords: by curl, with files as `openssl passwd` and `htpasswd -B` make them.

use crate::bed::Bed;
use crate::figures::{OBSERVED, page, value, wait_for};
use crate::reply::Wire;
use e2e::product::PATIENCE;
use eclusa_testkit::netns::skipped;
use eclusa_testkit::process::Scratch;
use eclusa_testkit::wait::{wait_for as wait_to_see, wait_until};
use std::process::Command;

/// `htpasswd -B`: "open sesame".
const ALICE: &str = "alice:$2y$05$abcdefghijklmnopqrstuupx2xBUC4954936wVIjyyPHmUBFu0wCW";
/// The same with a dear hash: "bobs".
const BOB: &str = "bob:$2y$10$abcdefghijklmnopqrstuuy838AXoZDPJl/4w6CMZtapo3iIDmcY6";

fn rules(users: &Scratch) -> String {
    let file = users.path().join("users").display().to_string();
    format!(
        "[[listener.plain.rule]]\npath_prefix = [\"/private\"]\n\
         basic_auth = {{ realm = \"ours\", users = [\"{ALICE}\"], users_file = \"{file}\" }}\n\
         {OBSERVED}"
    )
}

/// A line of a file of users as `openssl passwd` makes it.
fn hashed(user: &str, kind: &str, password: &str) -> String {
    let output = Command::new("openssl").args(["passwd", kind, password]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    format!("{user}:{}", String::from_utf8(output.stdout).unwrap())
}

/// Three bytes in Base 64.
fn digits(bytes: [u8; 3]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = bytes.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte));
    [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63])).iter().collect()
}

/// The status that curl gets with this name and password.
fn status(bed: &Bed, login: &str) -> String {
    let how = ["-o", "/dev/null", "-w", "%{http_code}", "-u", login, "http://app.test/private"];
    bed.curl(&how).unwrap()
}

#[test]
fn who_has_a_password_comes_in_and_nobody_else() {
    if skipped("who_has_a_password_comes_in_and_nobody_else") {
        return;
    }
    let users = Scratch::new("users").unwrap();
    let (carol, dave) = (hashed("carol", "-5", "carols"), hashed("dave", "-6", "d:ve"));
    users.write("users", &format!("# ours\n{carol}{dave}")).unwrap();
    let bed = Bed::without_nginx(&rules(&users));
    let mut wire = bed.connect();
    let challenged = wire.get("app.test", "/private").unwrap();
    let challenge = challenged.field("www-authenticate");
    assert_eq!(
        (challenged.status, challenge),
        (401, Some("Basic realm=\"ours\", charset=\"UTF-8\""))
    );
    assert_eq!(wire.get("app.test", "/open").unwrap().status, 200, "the connection is kept");
    for right in ["alice:open sesame", "carol:carols", "dave:d:ve"] {
        assert_eq!(status(&bed, right), "200", "{right}");
    }
    for wrong in ["alice:open sesam", "alice:", "bob:bobs", "Carol:carols", ":", "dave:d"] {
        assert_eq!(status(&bed, wrong), "401", "{wrong}");
    }
    assert_eq!(value(&page(&bed), "eclusa_listener_logins_total{outcome=\"right\"}"), 3.0);
    assert_eq!(value(&page(&bed), "eclusa_listener_logins_total{outcome=\"wrong\"}"), 6.0);
    // Once it is known a kept connection asks for nothing more.
    for number in 0..50 {
        let login = "Authorization: Basic YWxpY2U6b3BlbiBzZXNhbWU=";
        let head = format!("GET /private/{number} HTTP/1.1\r\nHost: app.test\r\n{login}\r\n\r\n");
        wire.say(head.as_bytes()).unwrap();
        assert_eq!(wire.reply().unwrap().text(), format!("/private/{number}"));
    }
    wait_for(&bed, "eclusa_listener_logins_total{outcome=\"right\"}", 53.0);
    let log = bed.edge.stderr_lines().join("\n");
    for secret in ["sesame", "carols", "d:ve", "YWxpY2U6b3BlbiBzZXNhbWU", "$5$", "$2y$"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn a_file_of_users_that_changes_counts_at_once() {
    if skipped("a_file_of_users_that_changes_counts_at_once") {
        return;
    }
    let users = Scratch::new("users").unwrap();
    users.write("users", &hashed("carol", "-6", "carols")).unwrap();
    let bed = Bed::without_nginx(&rules(&users));
    assert_eq!(
        (status(&bed, "carol:carols"), status(&bed, "dave:daves")),
        ("200".into(), "401".into())
    );
    users.write("users", &hashed("dave", "-5", "daves")).unwrap();
    wait_until(PATIENCE, "the new user", || status(&bed, "dave:daves") == "200");
    assert_eq!(status(&bed, "carol:carols"), "401", "what was known of her counts no more");
    users.write("users", "dave:daves\n").unwrap();
    let warning = wait_to_see(PATIENCE, "a warning", || {
        let mut events = bed.edge.events().into_iter();
        let of_users = |words: &str| words.contains("/users: line 1: ");
        events.find(|event| event["message"].as_str().is_some_and(of_users))
    });
    assert_eq!(warning["event"], "warning", "{warning}");
    assert!(!warning["message"].as_str().unwrap().contains("daves"), "{warning}");
    assert_eq!(status(&bed, "dave:daves"), "200", "the users of before stay");
}

#[test]
fn guesses_fill_the_queue_and_hold_up_nobody_else() {
    if skipped("guesses_fill_the_queue_and_hold_up_nobody_else") {
        return;
    }
    let users = Scratch::new("users").unwrap();
    users.write("users", BOB).unwrap();
    let bed = Bed::without_nginx(&rules(&users));
    let mut open = bed.connect();
    assert_eq!(status(&bed, "alice:open sesame"), "200", "she is known from here on");
    // As many as one network may have wait; all others are turned away at once.
    let mut guesses: Vec<Wire> = (0..40).map(|_| bed.connect()).collect();
    for (number, wire) in guesses.iter_mut().enumerate() {
        let guess = digits([b':', b'x', u8::try_from(number).unwrap() + b'0']);
        let login = format!("Authorization: Basic Ym9i{guess}");
        let head = format!("GET /private HTTP/1.1\r\nHost: app.test\r\n{login}\r\n\r\n");
        wire.say(head.as_bytes()).unwrap();
    }
    let full = "eclusa_listener_logins_total{outcome=\"unheard\"}";
    wait_until(PATIENCE, "a full queue", || value(&page(&bed), full) >= 1.0);
    assert_eq!(open.get("app.test", "/open").unwrap().status, 200);
    assert_eq!(status(&bed, "alice:open sesame"), "200", "nobody asks the thread about her");
    let turned_away = bed.exchanges();
    let turned_away = turned_away.iter().find(|record| record["status"] == 503).unwrap();
    assert_eq!(turned_away["reason"], "too many other passwords wait to be checked");
    // Those who have gone are not looked at any more.
    drop(guesses);
    wait_until(PATIENCE, "room in the queue", || status(&bed, "bob:bobs") == "200");
}
