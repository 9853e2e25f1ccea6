//! The changelog of a package (deb-changelog(5)), from CHANGELOG.md.

use super::{Package, VERSION, read};
use crate::Outcome;
use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// How wide lines may be, by lintian.
const WIDTH: usize = 79;

/// One entry: what CHANGELOG.md says of this version, or of what is not released yet.
///
/// # Errors
/// CHANGELOG.md cannot be read or says of neither.
pub fn render(package: &Package<'_>) -> Outcome<String> {
    let text = read("CHANGELOG.md")?;
    let changes = section(&text, VERSION)
        .or_else(|| section(&text, "Unreleased"))
        .ok_or_else(|| format!("CHANGELOG.md: neither `## {VERSION}` nor `## Unreleased`"))?;
    let mut page =
        format!("{} ({}) unstable; urgency=medium\n\n", package.program, package.version);
    for change in changes.split("\n- ").map(|change| change.trim().trim_start_matches("- ")) {
        let mut line = String::from("  *");
        for word in change.split_whitespace() {
            if line.chars().count() + 1 + word.chars().count() > WIDTH {
                let _ = writeln!(page, "{line}");
                line = String::from("   ");
            }
            let _ = write!(line, " {word}");
        }
        let _ = writeln!(page, "{line}");
    }
    let _ = write!(page, "\n -- {}  {}\n", package.maintainer, mail_date(package.epoch));
    Ok(page)
}

/// What stands below the heading that begins with `## NAME`.
fn section<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut parts = text.split("\n## ").skip(1);
    let part = parts.find(|part| part.lines().next().is_some_and(|line| line.starts_with(name)))?;
    part.split_once('\n').map(|(_, below)| below)
}

/// A time as mail writes it (RFC 5322): `Mon, 30 Nov 2026 00:00:00 +0000`.
fn mail_date(epoch: u64) -> String {
    let time = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(epoch));
    let time = time.to_string();
    let number = |range: std::ops::Range<usize>| time[range].parse::<usize>().unwrap_or(1);
    let month = MONTHS[(number(5..7) - 1) % 12];
    // 1 January 1970 was a Thursday.
    let day = DAYS[usize::try_from(epoch / 86_400 % 7).unwrap_or_default()];
    format!("{day}, {} {month} {} {} +0000", &time[8..10], &time[..4], &time[11..19])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_in_mail() {
        assert_eq!(mail_date(0), "Thu, 01 Jan 1970 00:00:00 +0000");
        // `date -uR -d @1795994055`
        assert_eq!(mail_date(1_795_994_055), "Sun, 29 Nov 2026 23:14:15 +0000");
    }

    #[test]
    fn a_version_has_its_own_section() {
        let text = "# Changelog\n\n## Unreleased\n\n- b\n\n## 0.1.0 (2026-01-01)\n\n- a\n";
        assert_eq!(section(text, "0.1.0").map(str::trim), Some("- a"));
        assert_eq!(section(text, "Unreleased").map(str::trim), Some("- b"));
        assert_eq!(section(text, "0.2.0"), None);
    }
}
