//! The operator's book, as tests read it: README and `docs/`, without what `cargo xtask prove` writes.
//!
//! A reader types what stands in a block, so a test does it first: every command of a program is
//! parsed by its own command line ([`commands_parse`]), what can be run without a running program is
//! run ([`offline_commands_run`]), and every TOML is read by the program's own reader
//! ([`files_are_right`]).
//!
//! What a block is stands behind the three backticks: `sh`; `toml edge` and `toml apiserver` for whole
//! files; `toml edge fragment`, `toml apiserver fragment`, or `toml fragment` for both, for parts.

mod run;
mod shell;
mod toml;

pub use run::offline_commands_run;
pub use toml::files_are_right;

use crate::process::workspace;
use clap::error::ErrorKind;
use std::path::Path;
use std::{fs, io};

/// A page of the book.
#[derive(Clone, Debug)]
pub struct Page {
    /// Relative to the repository.
    pub path: String,
    /// The whole text.
    pub text: String,
}

/// What stands between two lines of three backticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// `PATH:LINE` of its first line.
    pub place: String,
    /// What stands behind the backticks that open it, such as `toml edge`.
    pub info: String,
    /// The lines between, each with its end.
    pub text: String,
}

/// All pages, in order of their paths.
///
/// # Panics
/// One cannot be read.
#[must_use]
pub fn pages() -> Vec<Page> {
    let mut pages = Vec::new();
    for name in ["README.md", "README.pt-BR.md"] {
        pages.extend(
            page(&workspace().join(name)).unwrap_or_else(|error| panic!("{name}: {error}")),
        );
    }
    below(&workspace().join("docs"), &mut pages).unwrap_or_else(|error| panic!("docs: {error}"));
    pages.sort_by(|one, other| one.path.cmp(&other.path));
    pages
}

fn below(folder: &Path, pages: &mut Vec<Page>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            // Measured, not written: it names commands as they were then.
            if !path.ends_with("docs/proof") {
                below(&path, pages)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.extend(page(&path)?);
        }
    }
    Ok(())
}

fn page(path: &Path) -> io::Result<Option<Page>> {
    let Ok(relative) = path.strip_prefix(workspace()) else { return Ok(None) };
    let path = relative.to_string_lossy().into_owned();
    Ok(Some(Page { path, text: fs::read_to_string(workspace().join(relative))? }))
}

impl Page {
    /// Its blocks, in order.
    ///
    /// # Panics
    /// The last one does not end.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (index, line) in self.text.lines().enumerate() {
            let fence = line.strip_prefix("```");
            match (&mut open, fence) {
                (None, Some(info)) => {
                    let place = format!("{}:{}", self.path, index + 2);
                    open = Some(Block { place, info: info.trim().into(), text: String::new() });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(block), None) => block.text += &format!("{line}\n"),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block without an end", self.path);
        blocks
    }

    /// What stands `between single backticks` outside of blocks, with its place.
    #[must_use]
    pub fn spans(&self) -> Vec<(String, &str)> {
        let mut spans = Vec::new();
        let mut in_block = false;
        for (index, line) in self.text.lines().enumerate() {
            in_block ^= line.starts_with("```");
            if !in_block && !line.starts_with("```") {
                let place = format!("{}:{}", self.path, index + 1);
                spans.extend(line.split('`').skip(1).step_by(2).map(|span| (place.clone(), span)));
            }
        }
        spans
    }

    /// The commands of a program in blocks and in the text.
    fn commands(&self, program: &str) -> Vec<Command> {
        let typed = self.blocks().into_iter().flat_map(|block| {
            let steps = shell::steps(&block);
            steps.into_iter().filter_map(move |step| match step {
                shell::Step::Run(words) => {
                    Some(Command { place: block.place.clone(), words, typed: true })
                }
                shell::Step::File { .. } => None,
            })
        });
        let named = self.spans().into_iter().map(|(place, span)| Command {
            place,
            words: shell::words(span),
            typed: false,
        });
        // A name alone is the program.
        let named = named.filter(|command| command.words.len() > 1);
        let is_ours = |command: &Command| command.words.first().is_some_and(|word| word == program);
        typed.chain(named).filter(is_ours).collect()
    }
}

/// A command of a page.
struct Command {
    place: String,
    /// The program's name is the first.
    words: Vec<String>,
    /// As it is to be typed, in a block; else it may be the mere name of a command.
    typed: bool,
}

impl Command {
    /// What the program says against it.
    fn mistake(&self, program: &clap::Command) -> Option<String> {
        let error = program.clone().try_get_matches_from(&self.words).err()?;
        let is_named = matches!(
            error.kind(),
            ErrorKind::MissingRequiredArgument
                | ErrorKind::MissingSubcommand
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        );
        // Help and version are no mistakes.
        let is_fine = !error.use_stderr() || (is_named && !self.typed);
        (!is_fine).then(|| format!("{}: {}: {error}", self.place, self.words.join(" ")))
    }
}

/// Holds the book's commands of a program against its command line.
///
/// # Panics
/// One is no command of it, or there are hardly any.
#[track_caller]
pub fn commands_parse(program: &clap::Command) {
    let pages = pages();
    let commands = pages.iter().flat_map(|page| page.commands(program.get_name()));
    let commands: Vec<_> = commands.collect();
    let wrong: Vec<_> = commands.iter().filter_map(|command| command.mistake(program)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let count = commands.iter().filter(|command| command.typed).count();
    assert!(count >= 10, "only {count} commands of {} in the book", program.get_name());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page { path: "docs/a.md".into(), text: text.into() }
    }

    #[test]
    fn blocks_have_their_place_and_kind() {
        let page = page("a `b` c\n```toml edge\nx = 1\n\ny = 2\n```\n`d`\n```\ne `f`\n```\n");
        let block = |place: &str, info: &str, text: &str| Block {
            place: place.into(),
            info: info.into(),
            text: text.into(),
        };
        let blocks = page.blocks();
        assert_eq!(blocks[0], block("docs/a.md:3", "toml edge", "x = 1\n\ny = 2\n"));
        assert_eq!(blocks[1], block("docs/a.md:9", "", "e `f`\n"));
        let spans: Vec<_> =
            page.spans().into_iter().map(|(place, span)| place + " " + span).collect();
        assert_eq!(spans, ["docs/a.md:1 b", "docs/a.md:7 d"]);
    }

    #[test]
    fn commands_are_found_in_blocks_and_in_the_text() {
        let page = page("`eclusa-edge` and `eclusa-edge errors`\n```sh\neclusa-edge check\n```\n");
        let words: Vec<_> =
            page.commands("eclusa-edge").into_iter().map(|command| command.words).collect();
        assert_eq!(words, [vec!["eclusa-edge", "check"], vec!["eclusa-edge", "errors"]]);
    }

    #[test]
    fn a_command_in_the_text_may_be_a_mere_name_and_one_in_a_block_may_not() {
        let below = clap::Command::new("session").subcommand_required(true);
        let below = below.subcommand(clap::Command::new("list"));
        let program = clap::Command::new("a").subcommand(below);
        let mistakes = |text: &str| {
            let commands = page(text).commands("a");
            assert_eq!(commands.len(), 1, "{text}");
            commands.iter().filter_map(|command| command.mistake(&program)).count()
        };
        assert_eq!(mistakes("`a session`\n"), 0);
        assert_eq!(mistakes("`a session --help`\n"), 0);
        assert_eq!(mistakes("`a sessions`\n"), 1);
        assert_eq!(mistakes("```sh\na session list\n```\n"), 0);
        assert_eq!(mistakes("```sh\na session\n```\n"), 1);
    }
}
