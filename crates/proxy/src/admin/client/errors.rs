//! `errors` for people.

use super::page::{Page, Style};
use super::show::counted;
use crate::admin::{RefusedMessage, RefusedTable};

/// Bytes of a message in one line, at most.
const LINE: usize = 64;

/// Writes all of them.
pub(super) fn table(page: &mut Page, table: &RefusedTable) {
    let kept = table.messages.len() as u64;
    let all = match table.total > kept {
        true => format!("{} refused, the last {kept} here", counted(table.total, "message")),
        false => format!("{} refused", counted(kept, "message")),
    };
    for message in &table.messages {
        self::message(page, message);
        page.gap();
    }
    page.line(&all, Style::Plain);
}

fn message(page: &mut Page, message: &RefusedMessage) {
    let RefusedMessage { number, at, listener, client, reason, why, .. } = message;
    let of = match (&message.pool, message.endpoint) {
        (Some(pool), Some(endpoint)) => {
            format!("answer of {pool}/{endpoint} to {client} at {listener}")
        }
        _ => format!("request of {client} at {listener}"),
    };
    page.line(&format!("#{number} {at} {of}"), Style::Bold);
    page.raw(&format!("  {reason}: {why}"), Style::Bad);
    let (part, offset, length) = (&message.part, message.offset, message.length);
    page.raw(&format!("  {part}: {length} bytes were there, read to {offset}"), Style::Plain);
    lines(page, message);
}

/// The bytes, a line for each of the message's; `^` stands under the place where reading ended.
fn lines(page: &mut Page, message: &RefusedMessage) {
    let signs = message.signs();
    let mut rest = &*signs;
    let mut at = message.from;
    loop {
        let end = rest.iter().position(|sign| *sign == "\\n").map_or(rest.len(), |end| end + 1);
        let (line, behind) = rest.split_at(end.min(LINE));
        let text: String = line.iter().copied().collect();
        page.raw(&format!("  {at:>6}  {text}"), Style::Plain);
        let here = message
            .offset
            .checked_sub(at)
            .filter(|place| *place < line.len() || (*place == line.len() && behind.is_empty()));
        if let Some(place) = here {
            let before: usize = line.iter().take(place).map(|sign| sign.len()).sum();
            page.raw(&format!("  {:>6}  {:before$}^", "", ""), Style::Bad);
        }
        at += line.len();
        rest = behind;
        if rest.is_empty() {
            return;
        }
    }
}
