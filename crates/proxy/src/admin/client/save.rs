//! `save`: what was ordered, written into the file by whoever calls.

use super::Target;
use super::call::{Answered, call};
use super::page::{Page, Style, safe};
use crate::admin::request::Request;
use crate::admin::{Outcome, SaveReport, edit};
use eclusa_config::plan::Program;
use serde::Serialize;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What was saved, for programs.
#[derive(Debug, Serialize)]
struct Saved {
    file: String,
    /// Whether it was written; not with `--dry-run`, and not where nothing is to be.
    written: bool,
    /// Orders that the file says now, or would.
    orders: Vec<String>,
    /// Orders that it does not say, with why.
    left_out: Vec<String>,
    /// Lines that come and go.
    diff: String,
}

type Told = (String, String, u8);

/// Writes what was ordered into the file: what goes to standard output and to standard error, and the exit
/// code.
pub(super) fn save(
    program: Program,
    target: &Target,
    request: &Request,
    dry_run: bool,
    colour: bool,
) -> Told {
    let Answered { outcome, messages, data } = match call(program, target, request) {
        Ok(answered) => answered,
        Err(trouble) => return (String::new(), trouble.message(program), trouble.code()),
    };
    if outcome != Outcome::Done {
        let lines = messages.iter().map(|line| safe(line) + "\n").collect();
        return (String::new(), lines, outcome.code());
    }
    let report = serde_json::from_value::<SaveReport>(data).map_err(|error| error.to_string());
    match report.and_then(|report| save_report(program, target, &report, dry_run)) {
        Ok(saved) => told(program, target, &saved, colour),
        Err(why) => (String::new(), safe_lines(&why), Outcome::Failed.code()),
    }
}

fn safe_lines(text: &str) -> String {
    text.lines().map(|line| safe(line) + "\n").collect()
}

fn save_report(
    program: Program,
    target: &Target,
    report: &SaveReport,
    dry_run: bool,
) -> Result<Saved, String> {
    let own = env!("CARGO_PKG_VERSION");
    if report.version != own {
        return Err(format!(
            "version {} runs, and this is {own}: save with the version that runs",
            report.version
        ));
    }
    if let Some(why) = &report.not_in_force {
        return Err(format!(
            "{} is not what is in force ({why}): correct it and reload, then save",
            report.file
        ));
    }
    let file = target.config.clone().unwrap_or_else(|| PathBuf::from(&report.file));
    if file.is_relative() && target.config.is_none() {
        return Err(format!("which file is {}? Name it: -c FILE", report.file));
    }
    let in_words = |error: io::Error| format!("{}: {error}", file.display());
    // A link stays one.
    let file = fs::canonicalize(&file).map_err(in_words)?;
    let in_words = |error: io::Error| format!("{}: {error}", file.display());
    let text = fs::read_to_string(&file).map_err(in_words)?;
    let same = |text: &str| (text.len() as u64, eclusa_config::digest(text)) == report.text;
    let changed = || {
        format!(
            "{} is not what is in force: it was changed since, or is another file; reload it \
             (`plan` shows what that would do), then save",
            file.display()
        )
    };
    if !same(&text) {
        return Err(changed());
    }
    let edited = edit::write(program, &text, &report.orders)?;
    let writes = edited.text != text && !dry_run;
    if writes {
        let unchanged = || fs::read_to_string(&file).is_ok_and(|now| same(&now));
        replace(&file, edited.text.as_bytes(), unchanged).map_err(|error| {
            match error.kind() == io::ErrorKind::ResourceBusy {
                true => changed(),
                false => format!("{} cannot be written: {error}", file.display()),
            }
        })?;
    }
    Ok(Saved {
        file: file.display().to_string(),
        written: writes,
        orders: edited.written,
        left_out: edited.left_out,
        diff: diff(&text, &edited.text),
    })
}

/// Replaces a file by a new one with its mode and owner: whoever reads it finds the old text or the new
/// one. `ResourceBusy` where `unchanged` says no just before that.
fn replace(file: &Path, bytes: &[u8], unchanged: impl Fn() -> bool) -> io::Result<()> {
    let directory = file.parent().ok_or(io::ErrorKind::NotFound)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let new = directory.join(format!(".{name}.{}", std::process::id()));
    let written = write_new(file, &new, bytes).and_then(|()| match unchanged() {
        true => fs::rename(&new, file),
        false => Err(io::ErrorKind::ResourceBusy.into()),
    });
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written?;
    File::open(directory)?.sync_all()
}

fn write_new(file: &Path, new: &Path, bytes: &[u8]) -> io::Result<()> {
    let old = fs::metadata(file)?;
    let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    let own = written.metadata()?;
    if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
        // Before the mode: nobody else may read it meanwhile, and this takes bits away from it.
        std::os::unix::fs::fchown(&written, Some(old.uid()), Some(old.gid()))?;
    }
    written.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
    written.write_all(bytes)?;
    written.sync_all()
}

fn told(program: Program, target: &Target, saved: &Saved, colour: bool) -> Told {
    let mut err = String::new();
    for line in &saved.left_out {
        err.push_str(&format!("not saved: {}\n", safe(line)));
    }
    let name = program.name();
    err.push_str(&match (saved.orders.len(), saved.written) {
        (0, _) => "nothing to save\n".to_owned(),
        (_, true) => {
            format!("{} is written; `{name} reload` then ends these orders\n", saved.file)
        }
        (_, false) => format!("{} is as it was (--dry-run)\n", saved.file),
    });
    if target.json {
        let text = serde_json::to_string_pretty(saved).unwrap_or_default();
        return (text + "\n", err, Outcome::Done.code());
    }
    let mut page = Page::new(colour);
    for line in saved.diff.lines() {
        let style = match line.chars().next() {
            Some('+') => Style::Good,
            Some('-') => Style::Bad,
            _ => Style::Plain,
        };
        page.raw(line, style);
    }
    (page.into_text(), err, Outcome::Done.code())
}

/// The lines that go (`-`) and come (`+`), with their numbers. Texts that are alike but for some lines here
/// and there, as these are, are compared well enough by looking a few lines ahead.
fn diff(old: &str, new: &str) -> String {
    const AHEAD: usize = 64;
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let (mut at, mut to) = (0, 0);
    let mut text = String::new();
    while at < old.len() || to < new.len() {
        if old.get(at) == new.get(to) {
            (at, to) = (at + 1, to + 1);
            continue;
        }
        let both = (0..=AHEAD).flat_map(|sum| (0..=sum).map(move |gone| (gone, sum - gone)));
        let alike = |(gone, come): &(usize, usize)| old.get(at + gone) == new.get(to + come);
        let rest = (old.len() - at, new.len() - to);
        let (gone, come) = both.into_iter().find(alike).unwrap_or(rest);
        let (gone, come) = (gone.min(rest.0), come.min(rest.1));
        text.push_str(&format!("@@ line {} @@\n", at + 1));
        for line in &old[at..at + gone] {
            text.push_str(&format!("-{line}\n"));
        }
        for line in &new[to..to + come] {
            text.push_str(&format!("+{line}\n"));
        }
        (at, to) = (at + gone, to + come);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_testkit::process::Scratch;

    #[test]
    fn lines_that_come_and_go() {
        assert_eq!(diff("a\nb\nc\n", "a\nb\nc\n"), "");
        assert_eq!(diff("a\nb\nc\n", "a\nB\nc\n"), "@@ line 2 @@\n-b\n+B\n");
        assert_eq!(diff("a\nc\n", "a\nb\nc\nd\n"), "@@ line 2 @@\n+b\n@@ line 3 @@\n+d\n");
        assert_eq!(diff("a\nb\n", "b\n"), "@@ line 1 @@\n-a\n");
        assert_eq!(diff("a\n", "b\n"), "@@ line 1 @@\n-a\n+b\n");
    }

    #[test]
    fn mode_and_owner_are_kept_and_a_change_meanwhile_is_not_lost() {
        let scratch = Scratch::new("save").unwrap();
        let file = scratch.write("a.toml", "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let owner = if rustix::process::getuid().is_root() { (65_534, 65_534) } else { own(&file) };
        std::os::unix::fs::chown(&file, Some(owner.0), Some(owner.1)).unwrap();
        replace(&file, b"new", || true).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!((own(&file), fs::metadata(&file).unwrap().mode() & 0o7777), (owner, 0o640));
        let error = replace(&file, b"newer", || false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1, "nothing is left behind");
    }

    fn own(file: &Path) -> (u32, u32) {
        let found = fs::metadata(file).unwrap();
        (found.uid(), found.gid())
    }
}
