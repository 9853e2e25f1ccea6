//! What would have HAProxy run the code of somebody else: scripts, engines, plugins, programs. Nothing of it is
//! run on the bed, for it may do whatever it likes to this host.

use eclusa_haproxy_import::outline::Outline;
use std::collections::BTreeSet;

/// Words of `global` that load code of OpenSSL's.
const LIBRARIES: [&str; 4] = ["ssl-engine", "ssl-propquery", "ssl-provider", "ssl-provider-path"];

/// What is told of what is left out.
const SCRIPTS: &str = "scripts of Lua are not run: lines that load or use them are left out of HAProxy's copy, and \
                       what they do is not compared";
const ENGINES: &str = "engines and providers of OpenSSL are not loaded: lines that name them are left out of \
                       HAProxy's copy";
const TRACERS: &str =
    "plugins that trace are not loaded: their filter is left out of HAProxy's copy";
const PROGRAMS: &str = "what stands in sections `program` is not started";

/// The code of a file.
#[derive(Debug, Default)]
pub(super) struct Code {
    /// ACLs that ask a script.
    asking: BTreeSet<String>,
    /// Scripts are loaded: without that HAProxy refuses what uses them, and shall.
    scripts: bool,
}

impl Code {
    pub(super) fn of(outline: &Outline) -> Self {
        let all = || outline.lines.iter().map(|line| line.words.as_slice());
        let asking = all().filter_map(|words| match words {
            [word, name, rest @ ..] if word == "acl" && rest.iter().any(|it| is_script(it)) => {
                Some(name.clone())
            }
            _ => None,
        });
        let loads = |words: &[String]| words.first().is_some_and(|word| word.starts_with("lua-"));
        Self { asking: asking.collect(), scripts: all().any(loads) }
    }

    /// What is told of a line that must not be in the copy; `None`: it may.
    pub(super) fn note(&self, section: &str, words: &[String]) -> Option<&'static str> {
        let first = words.first().map_or("", String::as_str);
        let second = words.get(1).map_or("", String::as_str);
        if section == "program" {
            return Some(PROGRAMS);
        }
        if section == "global" && LIBRARIES.contains(&first) {
            return Some(ENGINES);
        }
        if (first, second) == ("filter", "opentracing") || second == "ot-group" {
            return Some(TRACERS);
        }
        let of_scripts =
            first.starts_with("lua-") || words.iter().any(|it| is_script(it)) || self.asks(words);
        (self.scripts && of_scripts).then_some(SCRIPTS)
    }

    /// Whether the condition of a line names an ACL that asks a script.
    fn asks(&self, words: &[String]) -> bool {
        let condition = words.iter().skip_while(|word| *word != "if" && *word != "unless");
        condition.skip(1).any(|word| self.asking.contains(word.trim_start_matches('!')))
    }
}

/// `lua.a`, `%[lua.a]`, `path,lua.a(1)`
fn is_script(word: &str) -> bool {
    let mut found = word.match_indices("lua.");
    found.any(|(at, _)| word[..at].chars().next_back().is_none_or(|char| "[(,! ".contains(char)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_found_wherever_they_are_used() {
        for word in ["lua.a", "%[lua.a]", "path,lua.a(1)", "!lua.a", "x %[path,lower,lua.a]"] {
            assert!(is_script(word), "{word}");
        }
        for word in ["/srv/a.lua.bak", "lua", "evaluation", "xlua.a"] {
            assert!(!is_script(word), "{word}");
        }
    }
}
