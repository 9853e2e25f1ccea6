//! What a reader types: the little of a shell that blocks have.

use super::Block;

/// One command of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A command, its words without quotes; pipes and lists are several.
    Run(Vec<String>),
    /// `echo 'TEXT' > PATH`, or `cat > PATH <<'END'`: what a file has from then on.
    File { path: String, text: String },
}

/// What is typed in a block: all lines of `sh`, those behind `$ ` where output stands beside them.
pub(super) fn steps(block: &Block) -> Vec<Step> {
    let all = block.info == "sh";
    let mut lines = block.text.lines();
    let mut steps = Vec::new();
    while let Some(line) = lines.next() {
        let typed = line.strip_prefix("$ ");
        let Some(typed) = typed.or_else(|| all.then_some(line)) else { continue };
        let mut typed = typed.to_owned();
        while let Some(more) = typed.strip_suffix('\\') {
            let next = lines.next().unwrap_or_default();
            typed = format!("{more} {next}");
        }
        let mut here = None;
        if let Some((before, end)) = typed.clone().split_once("<<") {
            let end = end.trim().trim_matches('\'');
            let text = lines.by_ref().take_while(|line| *line != end);
            here = Some(text.map(|line| format!("{line}\n")).collect::<String>());
            before.clone_into(&mut typed);
        }
        steps.extend(split(&typed).into_iter().filter_map(|tokens| step(tokens, here.as_deref())));
    }
    steps
}

/// The words of one command.
pub(super) fn words(text: &str) -> Vec<String> {
    let step = split(text).into_iter().next().and_then(|tokens| step(tokens, None));
    if let Some(Step::Run(words)) = step { words } else { Vec::new() }
}

/// A word, or what a shell reads as a sign of its own.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `>` and what it goes to.
    To,
}

/// Takes redirections off.
fn step(tokens: Vec<Token>, here: Option<&str>) -> Option<Step> {
    let (mut words, mut path, mut is_path) = (Vec::new(), None, false);
    for token in tokens {
        match token {
            Token::To => is_path = true,
            Token::Word(word) if is_path => (path, is_path) = (Some(word), false),
            Token::Word(word) => words.push(word),
        }
    }
    let name = words.first()?.as_str();
    match (path, here) {
        (Some(path), Some(text)) if name == "cat" => Some(Step::File { path, text: text.into() }),
        (Some(path), None) if name == "echo" => {
            Some(Step::File { path, text: words[1..].join(" ") + "\n" })
        }
        _ => Some(Step::Run(words)),
    }
}

/// The commands of a line, apart at pipes and lists; comments are left out.
fn split(line: &str) -> Vec<Vec<Token>> {
    let (mut commands, mut tokens, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\'' | '"' => {
                let quoted: String = chars.by_ref().take_while(|next| *next != char).collect();
                word.get_or_insert_default().push_str(&quoted);
            }
            '#' if word.is_none() => break,
            ' ' => tokens.extend(word.take().map(Token::Word)),
            '|' | '&' | ';' => {
                tokens.extend(word.take().map(Token::Word));
                commands.push(std::mem::take(&mut tokens));
            }
            '>' | '<' => {
                // `2>` and `2>&1` are no words either.
                tokens.extend(word.take().filter(|word| word != "2").map(Token::Word));
                while chars.next_if(|next| *next == '>' || *next == '&').is_some() {}
                tokens.push(Token::To);
            }
            char => word.get_or_insert_default().push(char),
        }
    }
    tokens.extend(word.map(Token::Word));
    commands.push(tokens);
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(info: &str, text: &str) -> Vec<Step> {
        steps(&Block { place: String::new(), info: info.into(), text: text.into() })
    }

    fn run(words: &[&str]) -> Step {
        Step::Run(words.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn commands_are_told_apart_like_a_shell_does() {
        let text =
            "a 'b c' --d=\"e f\"  # g\nh | i && j > /k 2>&1; l 2>/dev/null\n# m\nn \\\n  o\n";
        let expected = [
            run(&["a", "b c", "--d=e f"]),
            run(&["h"]),
            run(&["i"]),
            run(&["j"]),
            run(&["l"]),
            run(&["n", "o"]),
        ];
        assert_eq!(found("sh", text), expected);
    }

    #[test]
    fn beside_output_only_what_stands_behind_a_prompt_is_typed() {
        assert_eq!(found("", "$ a b\nc\n\n$ d\n"), [run(&["a", "b"]), run(&["d"])]);
        assert_eq!(found("toml edge", "a = 1\n"), []);
    }

    #[test]
    fn files_are_written() {
        let file = |text: &str| Step::File { path: "/a".into(), text: text.into() };
        assert_eq!(found("sh", "echo 'b = \"c\"' > /a\n"), [file("b = \"c\"\n")]);
        let text = "cat > /a <<'END'\nb\nc\nEND\nd\n";
        assert_eq!(found("sh", text), [file("b\nc\n"), run(&["d"])]);
    }
}
