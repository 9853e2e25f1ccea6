//! What is told of files that change by themselves: certificates of listeners, lists.

use super::Page;
use crate::observe::View;
use crate::observe::metrics::table;
use eclusa_policy::condition::List as _;
use std::time::UNIX_EPOCH;

pub(super) fn write(page: &mut Page, view: &View) {
    page.family(&table::LISTENER_CERTIFICATE_END);
    let mut services: Vec<_> = view.services.iter().collect();
    services.sort_by_key(|(listener, _)| *listener);
    for (listener, service) in services {
        for shown in service.certificates() {
            let end = shown.not_after.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let labels = [listener, &*shown.name, &shown.file.to_string_lossy()];
            page.sample(&table::LISTENER_CERTIFICATE_END, &labels, end);
        }
    }
    page.family(&table::LIST_ENTRIES);
    for list in view.lists.iter() {
        let labels = [&*list.file().to_string_lossy(), list.subject().name()];
        page.sample(&table::LIST_ENTRIES, &labels, list.entries());
    }
    page.family(&table::LIST_REFUSED);
    for list in view.lists.iter() {
        let labels = [&*list.file().to_string_lossy(), list.subject().name()];
        page.sample(&table::LIST_REFUSED, &labels, u8::from(list.is_refused()));
    }
}
