//! Comments of haproxy.cfg, each handed out once, where its line goes.

use crate::sections::{Line, Sources};

/// Those that are left.
pub(crate) struct Comments<'s> {
    lines: &'s [Line],
    below: &'s [String],
    told: Vec<bool>,
}

impl<'s> Comments<'s> {
    pub(crate) fn new(sources: &'s Sources) -> Self {
        let told = vec![false; sources.lines.len()];
        Self { lines: &sources.lines, below: &sources.below, told }
    }

    /// Those above a line and behind it.
    pub(crate) fn take(&mut self, line: usize) -> Vec<String> {
        let Some(told) = self.told.get_mut(line) else { return Vec::new() };
        if std::mem::replace(told, true) {
            return Vec::new();
        }
        let line = &self.lines[line];
        line.above.iter().chain(&line.beside).filter(|it| it.len() > 1).cloned().collect()
    }

    /// Those above a line; the one behind it apart.
    pub(crate) fn apart(&mut self, line: usize) -> (Vec<String>, Option<String>) {
        let mut all = self.take(line);
        let beside = self.lines.get(line).and_then(|line| line.beside.as_ref());
        let has_beside = beside.is_some_and(|text| text.len() > 1);
        let beside = if has_beside { all.pop() } else { None };
        (all, beside)
    }

    /// Those of several lines, in order.
    pub(crate) fn of(&mut self, lines: &[usize]) -> Vec<String> {
        lines.iter().flat_map(|line| self.take(*line)).collect()
    }

    /// Those that nobody took, and those below the last line.
    pub(crate) fn rest(&mut self) -> Vec<String> {
        let mut rest: Vec<String> =
            (0..self.lines.len()).flat_map(|line| self.take(line)).collect();
        rest.extend(self.below.iter().filter(|it| it.len() > 1).cloned());
        rest
    }

    /// The line itself, as a comment.
    pub(crate) fn shown(&self, line: usize) -> String {
        let text = self.lines.get(line).map_or("", |line| line.text.as_str());
        let clean = |char: char| if char.is_control() { ' ' } else { char };
        let text: String = text.chars().map(clean).collect();
        // What stands behind it is a comment that is carried over by itself.
        let code = text.split(" #").next().unwrap_or_default().trim_end();
        format!("# haproxy.cfg: {code}")
    }
}
