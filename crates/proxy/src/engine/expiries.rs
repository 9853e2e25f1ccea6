//! Tells, once a day, of certificates that listeners show and that end soon or have ended. Who watches
//! the log hears of it in time; the page of metrics has all of them.

use crate::layer7::{Services, ShownCertificate};
use crate::observe::Event;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// A certificate that ends within this should have been renewed: certbot does it 30 days before.
const SOON: Duration = Duration::from_secs(14 * DAY.as_secs());
/// Between two looks.
const LOOK: Duration = Duration::from_secs(60);

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Expiries {
    looked: Option<Instant>,
    /// By file: the end of the certificate that was in it, and when it was told.
    told: HashMap<PathBuf, (SystemTime, SystemTime)>,
}

impl Expiries {
    /// Looks, if it is time, and returns what there is to tell.
    pub(super) fn look(&mut self, services: &Services, now: Instant) -> Vec<Event> {
        if self.looked.is_some_and(|looked| now.saturating_duration_since(looked) < LOOK) {
            return Vec::new();
        }
        self.looked = Some(now);
        let shown = services.iter().flat_map(|(listener, service)| {
            service.certificates().into_iter().map(|shown| (&**listener, shown))
        });
        self.due(shown, SystemTime::now())
    }

    /// What there is to tell at `now` of certificates, each with a listener that shows it.
    fn due<'a>(
        &mut self,
        shown: impl Iterator<Item = (&'a str, ShownCertificate)>,
        now: SystemTime,
    ) -> Vec<Event> {
        // A file that several listeners name is told of once.
        let mut ending: HashMap<PathBuf, (ShownCertificate, Vec<&str>)> = HashMap::new();
        for (listener, shown) in shown.filter(|(_, shown)| shown.not_after < now + SOON) {
            let entry = ending.entry(shown.file.clone());
            entry.or_insert_with(|| (shown, Vec::new())).1.push(listener);
        }
        self.told.retain(|file, _| ending.contains_key(file));
        let mut events = Vec::new();
        for (file, (shown, mut listeners)) in ending {
            let told = self.told.get(&file);
            let again = told.is_none_or(|(end, at)| {
                *end != shown.not_after || now.duration_since(*at).is_ok_and(|since| since >= DAY)
            });
            if again {
                self.told.insert(file, (shown.not_after, now));
                listeners.sort_unstable();
                events.push(event(&shown, &listeners, now));
            }
        }
        events
    }
}

fn event(shown: &ShownCertificate, listeners: &[&str], now: SystemTime) -> Event {
    let ShownCertificate { name, file, not_after } = shown;
    let date = humantime::format_rfc3339_seconds(*not_after).to_string();
    let words = match not_after.duration_since(now) {
        Ok(left) => format!("ends at {date}, in {} days: renew it", left.as_secs() / DAY.as_secs()),
        Err(_) => format!("has ended at {date} and clients refuse it: renew it"),
    };
    let file = file.display().to_string();
    Event::new("certificate", format!("the certificate {file} (for {name}) {words}"))
        .about("file", file)
        .about("name", name.clone())
        .about("listeners", listeners.to_vec())
        .about("not_after", date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once_a_day_until_it_is_renewed() {
        let (mut expiries, now) = (Expiries::default(), SystemTime::UNIX_EPOCH + 20_000 * DAY);
        let shown = |file: &str, days: u32| ShownCertificate {
            name: "shop.test".into(),
            file: file.into(),
            not_after: now + days * DAY - DAY / 2,
        };
        let mut due = |after: u32, days: u32| -> Vec<String> {
            let all = [
                ("b", shown("/a.pem", days)),
                ("a", shown("/a.pem", days)),
                ("a", shown("/c.pem", 90)),
            ];
            let events = expiries.due(all.into_iter(), now + after * DAY);
            let told = |event: &Event| {
                let event = serde_json::to_value(event).unwrap();
                format!("{} {}", event["message"].as_str().unwrap(), event["listeners"])
            };
            events.iter().map(told).collect()
        };
        let first = due(0, 10);
        assert_eq!(first.len(), 1, "{first:?}");
        let words = "the certificate /a.pem (for shop.test) ends at 2024-10-13T12:00:00Z, in 9 days: \
                     renew it [\"a\",\"b\"]";
        assert_eq!(first, [words]);
        assert_eq!(due(0, 10), Vec::<String>::new(), "not again on the same day");
        assert_eq!(due(1, 10).len(), 1);
        assert!(due(11, 10)[0].contains("has ended at"));
        assert_eq!(due(11, 90), Vec::<String>::new(), "renewed");
        assert_eq!(due(11, 12).len(), 1, "by one that ends soon");
    }
}
