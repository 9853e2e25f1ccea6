//! Options of `bind` and `server`, each with its arguments.

use eclusa_haproxy_import::outline::arguments;

/// Options in their order.
pub(super) struct Options {
    pub(super) all: Vec<(String, Vec<String>)>,
}

impl Options {
    pub(super) fn read(of_bind: bool, words: &[String]) -> Self {
        let mut all = Vec::new();
        let mut rest = words;
        while let Some((word, after)) = rest.split_first() {
            let mut takes = arguments(of_bind, word).unwrap_or(0).min(after.len());
            // `source ADDRESS [usesrc ADDRESS | interface NAME]`
            if word == "source"
                && after.get(1).is_some_and(|it| it == "usesrc" || it == "interface")
            {
                takes = after.len().min(3);
            }
            all.push((word.clone(), after[..takes].to_vec()));
            rest = &after[takes..];
        }
        Self { all }
    }

    pub(super) fn remove(&mut self, names: &[&str]) {
        self.all.retain(|(name, _)| !names.contains(&name.as_str()));
    }

    /// Adds one that is not there.
    pub(super) fn add(&mut self, name: &str, arguments: &[&str]) {
        if !self.all.iter().any(|(known, _)| known == name) {
            let arguments = arguments.iter().map(|it| (*it).to_owned()).collect();
            self.all.push((name.to_owned(), arguments));
        }
    }

    pub(super) fn into_words(self) -> Vec<String> {
        self.all
            .into_iter()
            .flat_map(|(name, arguments)| std::iter::once(name).chain(arguments))
            .collect()
    }
}

/// Words without some of them and their one argument each.
pub(super) fn without(words: &[String], names: &[&str]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut all = words.iter();
    while let Some(word) = all.next() {
        if names.contains(&word.as_str()) {
            all.next();
        } else {
            kept.push(word.clone());
        }
    }
    kept
}
