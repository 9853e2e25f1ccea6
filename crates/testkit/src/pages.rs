//! Manual pages and completions of a program, from the command tree that the program itself parses by.
//!
//! They are committed below `packaging/`, so that a package is made of files that somebody has read,
//! and a program carries no generator. A test of each program calls [`are_up_to_date`].

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Programs of the system stand in section 8.
const SECTION: &str = "8";

/// Compares what is below `packaging/` with what `command` yields; with `BLESS` in the environment it
/// is written anew.
///
/// # Panics
/// Something is not up to date, too much, or cannot be read or written.
#[track_caller]
pub fn are_up_to_date(command: Command) {
    let name = command.get_name().to_owned();
    let folder = super::process::workspace().join("packaging");
    let wanted = rendered(&command).unwrap_or_else(|error| panic!("{error}"));
    let there = existing(&folder, &name).unwrap_or_else(|error| panic!("{error}"));
    if std::env::var_os("BLESS").is_some() {
        let removed = there.iter().filter(|path| !wanted.contains_key(*path)).map(fs::remove_file);
        let written = wanted.iter().map(|(path, text)| write(path, text));
        removed.chain(written).for_each(|done| done.unwrap_or_else(|error| panic!("{error}")));
        return;
    }
    let is_old = |path: &&PathBuf| fs::read(path).ok().as_ref() != wanted.get(*path);
    let old: Vec<_> = wanted.keys().chain(&there).filter(is_old).collect();
    assert!(old.is_empty(), "{old:?}: BLESS=1 cargo test -p {name}");
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// Manual pages of the program that are there: `NAME.8`, `NAME-COMMAND.8`.
fn existing(folder: &Path, name: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    // Before the first time there is no folder.
    let Ok(entries) = fs::read_dir(folder.join("man")) else { return Ok(found) };
    for entry in entries {
        let path = entry?.path();
        let is_page = path.extension().is_some_and(|extension| extension == SECTION);
        let is_ours = path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| {
            stem.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        });
        if is_page && is_ours {
            found.push(path);
        }
    }
    Ok(found)
}

/// The tree without the commands that are hidden, which generators tell all the same.
fn shown(command: &Command) -> Command {
    // A name must live as long as the program, and this one, a test, is about to end.
    let mut tree = Command::new(&*command.get_name().to_owned().leak())
        .args(command.get_arguments())
        .subcommands(command.get_subcommands().filter(|below| !below.is_hide_set()).map(shown))
        .subcommand_required(command.is_subcommand_required_set());
    tree = command.get_about().into_iter().fold(tree, |tree, text| tree.about(text.clone()));
    tree =
        command.get_long_about().into_iter().fold(tree, |tree, text| tree.long_about(text.clone()));
    let notes = command.get_after_long_help().into_iter();
    tree = notes.fold(tree, |tree, text| tree.after_long_help(text.clone()));
    let version = command.get_version().into_iter();
    version.fold(tree, |tree, version| tree.version(&*version.to_owned().leak()))
}

/// Paths below `packaging/` and what belongs there.
fn rendered(command: &Command) -> io::Result<BTreeMap<PathBuf, Vec<u8>>> {
    let packaging = super::process::workspace().join("packaging");
    let name = command.get_name().to_owned();
    let mut command = shown(command);
    let mut files = BTreeMap::new();
    for (shell, path) in [
        (Shell::Bash, format!("completions/bash/{name}")),
        (Shell::Fish, format!("completions/fish/{name}.fish")),
        (Shell::Zsh, format!("completions/zsh/_{name}")),
    ] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command.clone(), &name, &mut text);
        files.insert(packaging.join(path), text);
    }
    // A tree without `help`, which is a command at every level and no page.
    command = command.disable_help_subcommand(true);
    command.build();
    let version = command.get_version().unwrap_or_default().to_owned();
    let source = format!("{name} {version}");
    pages(&command, &source, &packaging.join("man"), &mut files)?;
    Ok(files)
}

/// The page of a command and those of its commands.
fn pages(
    command: &Command,
    source: &str,
    folder: &Path,
    files: &mut BTreeMap<PathBuf, Vec<u8>>,
) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    files.insert(folder.join(format!("{name}.{SECTION}")), page(command, &name, source)?);
    for below in command.get_subcommands() {
        pages(below, source, folder, files)?;
    }
    Ok(())
}

/// In the macros of man(7); `source` is the program with its version.
fn page(command: &Command, name: &str, source: &str) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone()).section(SECTION);
    // The title by hand: the generator leaves an empty date out, and what follows moves up.
    let mut page = Vec::new();
    writeln!(page, ".TH {name} {SECTION} \"\" \"{source}\" \"System administration\"")?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.get_arguments().next().is_some() {
        man.render_options_section(&mut page)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut rest = Roff::default();
    if let Some(notes) = command.get_after_long_help() {
        // Laid out with blanks: line by line as it is.
        rest.control("SH", ["NOTES"]).control("nf", []);
        rest.text([roman(notes.to_string())]).control("fi", []);
    }
    rest.control("SH", ["SEE ALSO"]);
    let program = name.splitn(3, '-').take(2).collect::<Vec<_>>().join("-");
    let pages = [format!("{program}({SECTION})"), format!("{program}.toml(5)")];
    let others = pages.iter().filter(|page| **page != format!("{name}({SECTION})"));
    rest.text([roman(others.cloned().collect::<Vec<_>>().join(", "))]);
    rest.to_writer(&mut page)?;
    Ok(without_repetition(&page))
}

/// Each part of a page comes with two lines that say how an apostrophe looks; they stand once.
fn without_repetition(page: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(page);
    let is_preamble =
        |line: &&str| line.starts_with(".ie \\n(.g") || line.starts_with(".el .ds Aq");
    let mut preamble: Vec<_> = text.lines().filter(is_preamble).take(2).collect();
    preamble.extend(text.lines().filter(|line| !is_preamble(line)));
    (preamble.join("\n") + "\n").into_bytes()
}
