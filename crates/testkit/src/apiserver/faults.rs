//! What can be wrong with a fake apiserver.

use crate::wait::parse_duration;
use serde::Serialize;
use std::time::Duration;

/// What is wrong with a fake apiserver now; the default is nothing. Applies to standing
/// connections as well, unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct Faults {
    /// The first byte of each *new* connection (of its ServerHello) is late by this much.
    pub first_byte_late: Duration,
    /// Every byte is late by this much, as on a long line.
    pub every_byte_late: Duration,
    /// Every HTTP answer but the health endpoints' is late by this much; TLS is not.
    pub answer_late: Duration,
    /// The answers of `/readyz`, `/livez` and `/healthz` are late by this much; TLS is not.
    pub health_late: Duration,
    /// The status of `/readyz`; `None`: 200, or 500 while it ends.
    pub readyz: Option<u16>,
    /// The status of `/livez` and `/healthz`; `None`: 200.
    pub livez: Option<u16>,
    /// The status of everything else; `None`: 200. 429 comes with `Retry-After: 1`.
    pub status: Option<u16>,
    /// Connections are accepted; nothing is read or written.
    pub silent: bool,
    /// New connections are reset after their first byte.
    pub reset: bool,
    /// New connections get a fatal TLS alert (`handshake_failure`) after their first byte.
    pub alert: bool,
    /// The listener is closed: the system refuses. Standing connections go on.
    pub refuse: bool,
}

impl Faults {
    /// Changes one fault by a line of the control interface (`readyz 500`, `silent on`).
    ///
    /// # Errors
    /// What is wrong with the line.
    pub fn apply(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let name = words.next().ok_or("an empty line")?;
        let value = words.next();
        if let Some(more) = words.next() {
            return Err(format!("`{more}` is one word too many"));
        }
        let need = || value.ok_or(format!("`{name}` needs a value"));
        match name {
            "first-byte" => self.first_byte_late = parse_duration(need()?)?,
            "every-byte" => self.every_byte_late = parse_duration(need()?)?,
            "answer" => self.answer_late = parse_duration(need()?)?,
            "health" => self.health_late = parse_duration(need()?)?,
            "readyz" => self.readyz = status(need()?)?,
            "livez" => self.livez = status(need()?)?,
            "status" => self.status = status(need()?)?,
            "silent" => self.silent = switch(value)?,
            "reset" => self.reset = switch(value)?,
            "alert" => self.alert = switch(value)?,
            "refuse" => self.refuse = switch(value)?,
            "heal" => *self = Self::default(),
            _ => return Err(format!("no fault is called `{name}`")),
        }
        Ok(())
    }

    /// The lines that bring the default to these faults.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        let late = [
            ("first-byte", self.first_byte_late),
            ("every-byte", self.every_byte_late),
            ("answer", self.answer_late),
            ("health", self.health_late),
        ];
        let codes = [("readyz", self.readyz), ("livez", self.livez), ("status", self.status)];
        let switches = [
            ("silent", self.silent),
            ("reset", self.reset),
            ("alert", self.alert),
            ("refuse", self.refuse),
        ];
        let late = late.iter().filter(|(_, late)| !late.is_zero());
        let mut lines: Vec<String> =
            late.map(|(name, late)| format!("{name} {}s", late.as_secs_f64())).collect();
        let codes = codes.iter().filter_map(|(name, code)| Some((name, (*code)?)));
        lines.extend(codes.map(|(name, code)| format!("{name} {code}")));
        let switches = switches.iter().filter(|(_, on)| *on);
        lines.extend(switches.map(|(name, _)| format!("{name} on")));
        lines
    }
}

fn status(text: &str) -> Result<Option<u16>, String> {
    if text == "ok" {
        return Ok(None);
    }
    match text.parse() {
        Ok(code) if (200..=599).contains(&code) => Ok(Some(code)),
        _ => Err(format!("`{text}` is neither `ok` nor a status from 200 to 599")),
    }
}

fn switch(text: Option<&str>) -> Result<bool, String> {
    match text {
        None | Some("on") => Ok(true),
        Some("off") => Ok(false),
        Some(other) => Err(format!("`{other}` is neither `on` nor `off`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_set_and_end_faults() {
        let mut faults = Faults::default();
        for line in ["first-byte 800ms", "every-byte 1.5s", "readyz 500", "silent", "refuse on"] {
            faults.apply(line).unwrap();
        }
        let expected = Faults {
            first_byte_late: Duration::from_millis(800),
            every_byte_late: Duration::from_millis(1500),
            readyz: Some(500),
            silent: true,
            refuse: true,
            ..Faults::default()
        };
        assert_eq!(faults, expected);
        let mut again = Faults::default();
        for line in faults.commands() {
            again.apply(&line).unwrap();
        }
        assert_eq!(again, expected);
        for line in ["first-byte 0", "every-byte 0s", "readyz ok", "silent off", "refuse off"] {
            faults.apply(line).unwrap();
        }
        assert_eq!(faults, Faults::default());
    }

    #[test]
    fn what_is_no_command_is_refused_in_words() {
        for (line, part) in [
            ("", "empty"),
            ("fly", "`fly`"),
            ("readyz", "needs a value"),
            ("readyz 99", "200 to 599"),
            ("answer 5", "no duration"),
            ("answer -5s", "no duration"),
            ("silent maybe", "`maybe`"),
            ("silent on now", "too many"),
        ] {
            let mut faults = Faults::default();
            let error = faults.apply(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
            assert_eq!(faults, Faults::default());
        }
    }
}
