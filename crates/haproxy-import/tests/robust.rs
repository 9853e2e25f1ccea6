//! What nobody should write: rubbish, parts of files, many lines, files that lead to each other.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/oracles/haproxy.rs"]
mod oracle;

fn each(folder: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display()); // the last one printed is the one that fails
        check(&fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count > 0, "nothing in {}", folder.display());
}

#[test]
fn haproxy_corpus() {
    each("../../fuzz/corpus/haproxy", oracle::check);
    each("tests/lines", oracle::check);
}

/// Files that end in the midst, and files of which every seventh line is gone.
#[test]
fn parts_of_files() {
    for name in ["015.cfg", "031.cfg", "069.cfg", "075.cfg"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cfg").join(name);
        let bytes = fs::read(path).unwrap();
        for end in (0..bytes.len()).step_by(1_499) {
            oracle::check(&bytes[..end]);
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        for gap in 0..7 {
            let lines = text.lines().enumerate().filter(|(at, _)| at % 7 != gap);
            let rest: Vec<_> = lines.map(|(_, line)| line).collect();
            oracle::check(rest.join("\n").as_bytes());
        }
    }
}

/// Many of everything: what is read is bounded by what is written.
#[test]
fn many_lines() {
    let mut text = String::from("defaults\n mode http\n");
    for number in 0..100 {
        text += &format!(
            "frontend f{number}\n bind 127.0.0.1:{}\n acl a path_beg /{number}\n use_backend b{number} if a\n \
             default_backend b{number}\nbackend b{number}\n http-request set-header X-A b\n server s 10.0.{}.{}:80 \
             check\n",
            1_000 + number,
            number / 50,
            number % 50 + 1
        );
    }
    oracle::check(text.as_bytes());
    // One listener with many routes, each with rules behind it: conditions must not square.
    let mut text = String::from("frontend f\n mode http\n bind :80\n");
    for number in 0..200 {
        text += &format!(" use_backend b{number} if {{ path /{number} }}\n");
    }
    for number in 0..200 {
        text += &format!(
            "backend b{number}\n mode http\n http-request deny\n server s 10.0.0.1:{}\n",
            1_000 + number
        );
    }
    oracle::check(text.as_bytes());
}
