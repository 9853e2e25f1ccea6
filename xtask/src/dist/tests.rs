//! Packages of stand-ins for the programs: what is in them, and that Debian's tools take them.

use super::files::{Content, File};
use super::*;

const EPOCH: u64 = 1_795_994_055;

fn package<'a>(program: &'a str, binaries: &'a Path) -> Package<'a> {
    Package { program, version: "0.1.0+1", epoch: EPOCH, maintainer: "A B <a@b.example>", binaries }
}

/// Paths and permissions.
fn listing(files: &[File]) -> Vec<(String, u32)> {
    files.iter().map(|file| (file.path.clone(), file.mode)).collect()
}

#[test]
fn packages_have_what_an_operator_looks_for() {
    for program in DAEMONS {
        let package = package(program, Path::new("/nowhere"));
        let files = files::all(&package, "notices").unwrap();
        let has = |path: &str| files.iter().any(|file| file.path == path);
        let short = package.short();
        for path in [
            format!("usr/bin/{program}"),
            format!("usr/lib/systemd/system/{program}.service"),
            format!("usr/lib/sysusers.d/{program}.conf"),
            format!("etc/logrotate.d/{program}"),
            "etc/eclusa/".to_owned(),
            format!("usr/share/man/man8/{program}.8.gz"),
            format!("usr/share/man/man8/{program}-reload.8.gz"),
            format!("usr/share/man/man5/{program}.toml.5.gz"),
            format!("usr/share/bash-completion/completions/{program}"),
            format!("usr/share/fish/vendor_completions.d/{program}.fish"),
            format!("usr/share/zsh/vendor-completions/_{program}"),
            format!("usr/share/doc/{program}/changelog.gz"),
            format!("usr/share/doc/{program}/copyright"),
            format!("usr/share/doc/{program}/third-party-licences.gz"),
            format!("usr/share/doc/{program}/{short}.schema.json"),
            format!("usr/share/doc/{program}/install.md"),
            format!("usr/share/doc/{program}/start.md"),
            format!("usr/share/doc/{program}/alerts/EclusaDown.md"),
            format!("usr/share/doc/{program}/pt-BR/alerts/EclusaDown.md"),
            format!("usr/share/doc/{program}/prometheus/eclusa.rules.yml"),
            format!("usr/share/doc/{program}/examples/{short}-full.toml"),
            format!("usr/share/doc/{program}/examples/90-eclusa.conf"),
        ] {
            assert!(has(&path), "{program} lacks {path}");
        }
        let other = DAEMONS.into_iter().find(|daemon| *daemon != program).unwrap();
        for (path, mode) in listing(&files) {
            assert!(!path.contains(other), "{program} has {path}");
            let executable = path.starts_with("usr/bin/") || path.ends_with('/');
            assert_eq!(mode, if executable { 0o755 } else { 0o644 }, "{path}");
        }
        // The program finds its configuration nowhere: none is right for every host.
        assert!(!has(&format!("etc/eclusa/{short}.toml")));
        let unnamed = files.iter().filter_map(|file| match &file.content {
            Content::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        });
        assert!(unnamed.filter(|text| text.contains("@PROGRAM@")).count() == 0);
    }
}

/// What the book says of installed files: `/usr/...` with a program's name, or a star for both.
#[test]
fn what_the_book_promises_is_in_the_packages() {
    let tree = crate::tree::files().unwrap();
    let pages = tree.iter().filter(|file| {
        let is_measured = file.path.starts_with("docs/proof/");
        file.has_extension("md") && (file.path.starts_with("docs/") && !is_measured)
    });
    let listings = DAEMONS.map(|program| {
        listing(&files::all(&package(program, Path::new("/nowhere")), "notices").unwrap())
    });
    let mut promised = 0;
    for file in pages {
        let end = |char: char| char.is_whitespace() || "`'\"),;".contains(char);
        let paths = file.text.match_indices("/usr/").map(|(at, _)| &file.text[at + 1..]);
        for path in paths.filter_map(|rest| rest.split(end).next()) {
            if !path.contains("eclusa") {
                continue;
            }
            promised += 1;
            // `usr/share/doc/eclusa-*/*.schema.json`: some file that begins and ends so.
            let parts: Vec<_> = path.split('*').collect();
            let fits = |name: &str| {
                let mut at = 0;
                let found = parts.iter().all(|part| {
                    let found = name[at..].find(part);
                    at += found.map_or(0, |start| start + part.len());
                    found.is_some()
                });
                found && name.starts_with(parts[0])
            };
            for (program, listing) in DAEMONS.iter().zip(&listings) {
                let is_meant = path.contains('*') || path.contains(program);
                let is_there = listing.iter().any(|(name, _)| fits(name));
                assert!(!is_meant || is_there, "{}: {program} lacks /{path}", file.path);
            }
        }
    }
    assert!(promised >= 5, "only {promised} paths of packages in the book");
}

/// Both may be installed on one host: only directories are in both packages.
#[test]
fn packages_share_no_file() {
    let [one, other] = DAEMONS.map(|program| {
        listing(&files::all(&package(program, Path::new("/nowhere")), "notices").unwrap())
    });
    let both: Vec<_> = one.iter().filter(|file| other.contains(file)).map(|file| &file.0).collect();
    assert_eq!(both, ["etc/eclusa/"]);
}

#[test]
fn scripts_are_posix_shell_that_stops_at_a_failure() {
    for program in DAEMONS {
        for name in deb::SCRIPTS {
            let text = files::script(&package(program, Path::new("/nowhere")), name).unwrap();
            assert!(text.starts_with("#!/bin/sh\nset -e\n"), "{name}");
            assert!(!text.contains('@'), "{name}: {text}");
            said(Command::new("sh").arg("-n"), text.as_bytes()).unwrap();
        }
    }
}

#[test]
fn versions_of_packages() {
    for right in [VERSION, "0.1.0+1", "1.0~rc1"] {
        assert!(is_version(right), "{right}");
    }
    for wrong in ["", "v1", "1.0-1", "1:1.0", "1 0", "1/0"] {
        assert!(!is_version(wrong), "{wrong}");
    }
}

/// A directory of a test, removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Packed twice, apart from the programs: a small one of this system stands for each.
#[test]
fn what_is_packed_again_is_the_same() {
    let test = "what_is_packed_again_is_the_same";
    if let Some((tool, _)) = TOOLS.iter().find(|(tool, _)| !has(tool)) {
        let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: no {tool}");
        return;
    }
    let scratch = Scratch::new("dist");
    let (program, binaries) = (DAEMONS[0], scratch.0.join("binaries"));
    fs::create_dir(&binaries).unwrap();
    fs::copy("/usr/bin/true", binaries.join(program)).unwrap();
    let package = package(program, &binaries);
    let files = files::all(&package, "notices").unwrap();
    let packed = ["one", "two"].map(|out| {
        let out = scratch.0.join(out);
        fs::create_dir(&out).unwrap();
        pack(&package, &files, &out).unwrap()
    });
    for (one, two) in packed[0].iter().zip(&packed[1]) {
        assert!(fs::read(one).unwrap() == fs::read(two).unwrap(), "{} differs", one.display());
    }
    let deb = &packed[0][0];
    let field = |name: &str| {
        let said = said(Command::new("dpkg-deb").arg("--field").arg(deb).arg(name), &[]).unwrap();
        String::from_utf8(said).unwrap().trim().to_owned()
    };
    assert_eq!(field("Package"), program);
    assert_eq!(field("Version"), "0.1.0+1");
    assert!(field("Depends").starts_with("libc6 (>= 2."), "{}", field("Depends"));
    let conffiles = said(Command::new("dpkg-deb").arg("--info").arg(deb).arg("conffiles"), &[]);
    assert_eq!(conffiles.unwrap(), format!("/etc/logrotate.d/{program}\n").into_bytes());
    let list = said(Command::new("dpkg-deb").arg("--contents").arg(deb), &[]).unwrap();
    let list = String::from_utf8(list).unwrap();
    assert!(list.lines().all(|line| line.contains(" root/root ")), "{list}");
}
