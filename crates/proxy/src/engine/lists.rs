//! Watches the files of lists: hosts and networks that conditions ask. As with certificates by looking,
//! and what has changed is taken when two looks in a row see the same, so that it may be written in
//! several steps. A list with a mistake changes nothing: what it said before holds, and the log names
//! the line.

use crate::files;
use crate::found::{Kind, Stamp};
use crate::observe::Event;
use eclusa_config::list::{LIST_MAX, List};
use eclusa_policy::condition::List as _;
use std::io::Read;
use std::sync::Arc;

/// The lists of the plan in force, and what was seen of their files.
#[derive(Debug, Default)]
pub(super) struct Lists(Vec<Watched>);

#[derive(Debug)]
struct Watched {
    list: Arc<List>,
    /// What the last look saw; what is wrong, in words, where it was no file.
    seen: Option<Result<Stamp, String>>,
    /// What it was when it was taken last.
    taken: Option<Result<Stamp, String>>,
}

impl Lists {
    /// Looks once at the files of these lists; `tell` writes an event.
    pub(super) fn look(&mut self, lists: &[Arc<List>], tell: &dyn Fn(Event)) {
        let same = self.0.len() == lists.len()
            && self.0.iter().zip(lists).all(|(watched, list)| Arc::ptr_eq(&watched.list, list));
        if !same {
            let watch = |list: &Arc<List>| Watched { list: list.clone(), seen: None, taken: None };
            self.0 = lists.iter().map(watch).collect();
        }
        for event in self.0.iter_mut().filter_map(Watched::look) {
            tell(event);
        }
    }
}

impl Watched {
    fn look(&mut self) -> Option<Event> {
        let file = self.list.file();
        let now = match files::look(file) {
            Ok(Kind::File(stamp)) => Ok(stamp),
            Ok(_) => Err("it is no file".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        if self.seen.as_ref() != Some(&now) {
            self.seen = Some(now);
            return None;
        }
        if self.taken == self.seen {
            return None;
        }
        self.taken.clone_from(&self.seen);
        let before = self.list.entries();
        let taken = now.and_then(|_| self.read());
        let (entries, was_refused) = (self.list.entries(), self.list.is_refused());
        self.list.set_refused(taken.is_err());
        let file = file.display().to_string();
        let event = match taken {
            Ok(false) if !was_refused => return None,
            Ok(_) => {
                let words =
                    format!("the list {file} was read again: {entries} entries, {before} before");
                Event::new("list", words)
            }
            Err(why) => {
                let words =
                    format!("the list {file} stays as it was, with {entries} entries: {why}");
                Event::new("list_refused", words)
            }
        };
        let of = self.list.subject().name();
        Some(event.about("file", file).about("of", of).about("entries", entries))
    }

    /// Reads it; says whether it is another than before.
    fn read(&self) -> Result<bool, String> {
        let mut text = Vec::new();
        files::open(self.list.file())
            .and_then(|file| file.take(LIST_MAX as u64 + 1).read_to_end(&mut text))
            .map_err(|error| error.to_string())?;
        self.list.take(&text).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_policy::condition::Subject;
    use std::cell::RefCell;
    use std::fs;

    #[test]
    fn what_has_changed_is_taken_whole_or_not_at_all() {
        let file = std::env::temp_dir().join(format!("eclusa-list-{}", std::process::id()));
        fs::write(&file, "10.0.0.0/8\n").unwrap();
        let list = Arc::new(List::new(Subject::Source, file.clone()));
        list.take(b"10.0.0.0/8\n").unwrap();
        let (mut lists, told) = (Lists::default(), RefCell::new(Vec::new()));
        let mut looks = |count: usize| {
            for _ in 0..count {
                let tell = |event: Event| {
                    let event = serde_json::to_value(&event).unwrap();
                    told.borrow_mut().push(event["message"].as_str().unwrap().to_owned());
                };
                lists.look(std::slice::from_ref(&list), &tell);
            }
            told.take()
        };
        let has = |address: &str| list.has_address(address.parse().unwrap());
        assert_eq!(looks(4), Vec::<String>::new(), "nothing has changed");
        fs::write(&file, "10.0.0.0/8\n192.0.2.0/24\n").unwrap();
        assert_eq!(looks(1).len(), 0, "it may not be all");
        let shown = file.display();
        assert_eq!(looks(1), [format!("the list {shown} was read again: 2 entries, 1 before")]);
        assert!(has("192.0.2.1"));
        fs::write(&file, "10.0.0.0/8\n192.0.2.0/24\n198.51.100.0/33\n").unwrap();
        let said = looks(5);
        let begin =
            format!("the list {shown} stays as it was, with 2 entries: line 3: `198.51.100.0/33`");
        assert!(matches!(&said[..], [one] if one.starts_with(&begin)), "once: {said:?}");
        assert!(list.is_refused() && has("192.0.2.1") && !has("198.51.100.1"));
        fs::remove_file(&file).unwrap();
        assert!(matches!(&looks(5)[..], [one] if one.contains("No such file")));
        assert!(list.is_refused() && has("192.0.2.1"));
        fs::write(&file, "198.51.100.0/24\n").unwrap();
        assert_eq!(looks(5).len(), 1);
        assert!(!list.is_refused() && has("198.51.100.1") && !has("10.0.0.1"));
        fs::remove_file(&file).unwrap();
    }
}
