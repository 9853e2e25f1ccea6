//! What nobody should write: rubbish, parts of files, many lines, files that lead to each other.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use eclusa_config::plan::Program;
use eclusa_haproxy_import::{Elsewhere, File, Imported, Kind, Options, import};
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

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

/// Without optimisation a part of everything: `cargo test` is not to wait for the rest.
fn size(full: usize, short: usize) -> usize {
    if cfg!(debug_assertions) { short } else { full }
}

fn imported(text: &str) -> Imported {
    let files = [File { name: "haproxy.cfg".to_owned(), text: text.to_owned() }];
    import(Program::Edge, &files, &Options::default(), &Elsewhere)
}

/// A right file, and after which of its lines a wrong one comes, in `frontend` or in `defaults`.
const AROUND: &str = "global\ndefaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
                      &\nfrontend f\n bind 127.0.0.1:8080\n%\n default_backend b\nbackend b\n server s 10.0.0.1:80\n";

/// The file with a wrong line, and what that is by itself.
fn with(line: &str) -> (String, String) {
    let (mark, line) = match line.strip_prefix("defaults: ") {
        Some(line) => ('&', line),
        None => ('%', line),
    };
    let text = AROUND.replace(mark, &format!(" {line}")).replace(['&', '%'], "");
    (text, line.lines().next().unwrap_or_default().to_owned())
}

/// Lines for which HAProxy refuses the whole file, as HAProxy itself says: the report names each, and the rest is
/// carried over.
#[test]
fn files_that_haproxy_refuses() {
    let wrong = [
        "nosuchword 1",
        "bind",
        "bind 127.0.0.1:99999",
        "bind 127.0.0.1:81 nosuchoption",
        "mode what",
        "timeout client soon",
        "timeout never 5s",
        "acl",
        "acl a",
        "use_backend",
        "http-request",
        "http-request nosuchaction",
        "http-request deny if {",
        "http-request deny if nosuchacl",
        "use_backend b if { nosuchfetch }",
        "option nosuchoption",
        "retries",
        "stats",
        "log",
        "bind \"127.0.0.1:82",
        "errorfile 503",
        ".if maybe(\n.endif",
        ".if 1",
        ".endif",
        ".alert stop",
        "defaults: bind :81",
        "defaults: server s 10.0.0.1:80",
        "defaults: server-template s 2 10.0.0.1:80",
        "defaults: use_backend b",
        "defaults: dispatch 10.0.0.1:80",
        "defaults: stick on src",
        "defaults: stick-table type ip size 1k",
        "defaults: redirect location /",
    ];
    let mut untold = Vec::new();
    for line in wrong {
        let (text, first) = with(line);
        oracle::check(text.as_bytes());
        let imported = imported(&text);
        let told = imported.report.lines.iter().find(|told| told.text == first);
        if told.is_none_or(|told| told.kind != Kind::Unsupported) {
            untold.push(format!("{line}: {told:?}"));
        }
        assert!(imported.toml.contains("10.0.0.1:80"), "{line}: {}", imported.toml);
    }
    assert!(untold.is_empty(), "{}", untold.join("\n"));
    let folder = std::env::temp_dir().join(format!("eclusa-refused-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let checked = |line: &str| {
        let file = folder.join("haproxy.cfg");
        fs::write(&file, with(line).0).unwrap();
        Command::new("haproxy").args(["-c", "-q", "-f"]).arg(&file).output().ok()
    };
    let Some(right) = checked("") else {
        eprintln!("SKIPPED: files_that_haproxy_refuses with haproxy: apt-get install haproxy");
        return fs::remove_dir_all(&folder).unwrap();
    };
    assert!(right.status.success(), "{}", String::from_utf8_lossy(&right.stderr));
    let taken: Vec<_> =
        wrong.into_iter().filter(|line| checked(line).unwrap().status.success()).collect();
    fs::remove_dir_all(&folder).unwrap();
    assert!(taken.is_empty(), "HAProxy takes them: {taken:?}");
}

/// Words of haproxy.cfg, and signs.
const WORDS: [&str; 68] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "userlist",
    "from",
    "a",
    "b",
    "bind",
    "server",
    "acl",
    "if",
    "unless",
    "{",
    "}",
    "!",
    "||",
    "or",
    "path_beg",
    "hdr(host)",
    "-i",
    "-f",
    "-m",
    "reg",
    "/x",
    "*:80",
    "10.0.0.1:80",
    "http-request",
    "deny",
    "set-header",
    "redirect",
    "location",
    "%[src]",
    "option",
    "httpchk",
    "timeout",
    "client",
    "5s",
    "0",
    "99999999999999999999",
    "mode",
    "http",
    "tcp",
    "default_backend",
    "use_backend",
    "default-server",
    "check",
    "ssl",
    "crt",
    "weight",
    "\"",
    "'",
    "\\",
    "\\x4",
    "$",
    "\"${A",
    "#",
    ".if",
    ".else",
    ".endif",
    "setenv",
    "no",
    "\u{1b}[2J",
    "\u{0}",
    "é",
    "stick-table",
    "cookie",
];

/// All of them, thrown together.
#[test]
fn rubbish() {
    // Numbers that are the same each time (Knuth's MMIX).
    let mut state = 7_u64;
    let mut next = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % below
    };
    for _ in 0..size(1_000, 40) {
        let mut text = String::new();
        for _ in 0..next(30) {
            for _ in 0..next(9) {
                let _ = write!(text, "{} ", WORDS[next(WORDS.len())]);
            }
            text.push('\n');
        }
        oracle::check(text.as_bytes());
    }
}

/// What leads to itself, and what grows with each step.
#[test]
fn circles_end() {
    for text in [
        "defaults a from b\n mode http\ndefaults b from a\n mode tcp\nfrontend f from a\n bind :80\n".to_owned(),
        "defaults a from a\nfrontend f from a\n bind :80\n default_backend f\n".to_owned(),
        "listen a\n bind :80\n default_backend b\nlisten b\n bind :81\n default_backend a\n".to_owned(),
        "backend a\n server s 10.0.0.1:80 track b/s\nbackend b\n server s 10.0.0.1:80 track a/s\nlisten l\n \
         bind :80\n use_backend a if TRUE\n default_backend b\n"
            .to_owned(),
        "frontend f\n bind :80\n acl a acl(b)\n acl b acl(a)\n http-request deny if a\n".to_owned(),
        ".if 1\n".repeat(size(20_000, 2_000)),
        format!("global\n{}", " setenv A \"x${A}${A}\"\n".repeat(200)),
        format!("global\n setenv A \"{}\"\n{}", "y".repeat(60_000), " log-tag \"$A$A$A$A\"\n".repeat(size(2_000, 200))),
    ] {
        oracle::check(text.as_bytes());
    }
    let grown = imported(&format!("global\n{}", " setenv A \"x${A}${A}\"\n".repeat(200)));
    let last = grown.report.lines.last().unwrap();
    assert!(last.kind == Kind::Unsupported && last.notes[0].contains("64 KiB"), "{last:?}");
}

/// What thousands of sections inherit of thousands of lines is bounded, and told.
#[test]
fn defaults_without_end() {
    let mut text = "defaults\n mode http\n".to_owned();
    for number in 0..4_000 {
        let _ = writeln!(text, " errorfile 503 /etc/haproxy/errors/{number}.http");
    }
    for number in 0..4_000 {
        let _ = writeln!(text, "backend b{number}\n server s 10.0.0.1:80");
    }
    let begun = Instant::now();
    let imported = imported(&text);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let told = |line: &str| imported.report.lines.iter().find(|it| it.text == line).unwrap();
    let notes = &told("backend b3999").notes;
    assert!(notes.iter().any(|note| note.contains("it is read without them")), "{notes:?}");
    assert!(!told("backend b9").notes.iter().any(|note| note.contains("without them")));
}

/// A whole provider's edge in one file: sites with rules, pools with endpoints.
fn large(lines: usize) -> String {
    let mut text = String::from(
        "global\n maxconn 10000\ndefaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n",
    );
    let mut count = 7;
    let mut site = 0;
    while count < lines {
        let _ = write!(
            text,
            "# Site {site}\nfrontend f{site}\n bind 10.{}.{}.{}:80\n acl a hdr(host) -i a{site}.test\n acl b path_beg /b\n \
             http-request set-header X-Site {site}\n http-request deny if b !a\n use_backend b{site} if a\n \
             default_backend b{site}\nbackend b{site}\n balance leastconn\n option httpchk GET /up\n \
             http-response del-header Server\n",
            site / 65_536,
            site / 256 % 256,
            site % 256,
        );
        count += 12;
        for endpoint in 1..=8 {
            let _ = writeln!(text, " server s{endpoint} 10.200.{}.{endpoint}:80 check", site % 256);
            count += 1;
        }
        site += 1;
    }
    text
}

/// 100,000 lines within two seconds.
#[test]
fn a_hundred_thousand_lines() {
    let wanted = size(100_000, 3_000);
    let text = large(wanted);
    let begun = Instant::now();
    let imported = imported(&text);
    let human = imported.report.human();
    let took = begun.elapsed();
    println!("{} lines: {took:?}", imported.report.lines.len());
    assert!(imported.report.lines.len() >= wanted * 95 / 100, "{}", imported.report.lines.len());
    assert!(imported.report.is_complete(), "{}", &human[human.len() - 2_000..]);
    assert_eq!(imported.mistakes, None);
    // What others do on this machine is no matter of a short run.
    let bound = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 2 });
    assert!(took < bound, "{took:?}");
}
