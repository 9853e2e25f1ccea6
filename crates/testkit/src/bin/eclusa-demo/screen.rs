//! What the demo shows: an introduction, messages, and one line that is always fresh.

use super::End;
use super::balancer::{Balancer, Share};
use super::clients::Tally;
use eclusa_testkit::process::Scratch;
use rustix::termios::tcgetwinsize;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// Standard output: a terminal, on which a line can be replaced, or not.
pub(crate) struct Screen {
    terminal: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self { terminal: io::stdout().is_terminal() }
    }

    /// Between two looks at what happens.
    pub(crate) fn interval(&self) -> Duration {
        if self.terminal { Duration::from_millis(250) } else { Duration::from_secs(1) }
    }

    pub(crate) fn introduce(
        &self,
        balancer: &Balancer,
        directory: &Scratch,
        attended: bool,
        limit: Duration,
    ) {
        let address = balancer.address();
        let ca = directory.path().join("ca.pem").display().to_string();
        let (file, log) = (balancer.file().display(), balancer.log().display());
        let keys = if attended {
            "Keys: k kill/revive master2   d drain/revive master2   f freeze/thaw master3\n      \
             s slow/quick master3    q quit"
        } else {
            "Standard input is no terminal: faults come by themselves."
        };
        let text = format!(
            "eclusa-demo: three throw-away masters behind the engine of eclusa-apiserver.\n\n  \
             clients -> {address} -> master1, master2, master3 (TLS end to end)\n\n\
             Try, in another terminal, while it runs:\n  \
             curl --cacert {ca} https://{address}/version\n  \
             curl --cacert {ca} -N 'https://{address}/watch?rate=2'\n  \
             tail -f {log}\n  \
             cat {file}\n\n{keys}\n\
             The line: sessions, requests a second, failed (no connection, or no answer within 3 s),\n\
             then each master with the balancer's verdict and its share of the sessions.\n\
             It ends by itself after {limit:?} and removes its files.\n\n"
        );
        print(&text);
    }

    /// The line that is always fresh; of a narrow terminal it leaves out the last words.
    pub(crate) fn line(&self, at: Duration, rate: f64, tally: &Tally, shares: &[Share]) {
        let line = compose(rate, tally, shares);
        if self.terminal {
            let width = tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_col));
            // Some terminals do not know.
            let width = if width == 0 { 80 } else { width };
            let shown: String = line.chars().take(width - 1).collect();
            print(&format!("\r\x1b[K{shown}"));
        } else {
            print(&format!("{:5.1} s  {line}\n", at.as_secs_f64()));
        }
    }

    /// Something that stays on the screen.
    pub(crate) fn message(&self, at: Duration, text: &str) {
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        print(&format!("{clear}{:5.1} s  * {text}\n", at.as_secs_f64()));
    }

    pub(crate) fn finish(&self, total: &Tally, end: End) {
        let lead = if self.terminal { "\n" } else { "" };
        let why = match end {
            End::Time => "The time is over",
            End::Key => "As you wish",
            End::Signal => "Stopped by a signal",
        };
        let Tally { requests, connections, reconnects, failed } = total;
        print(&format!(
            "{lead}{why}. {requests} requests on {connections} connections, {failed} failed; \
             {reconnects} times a client had to reconnect.\n"
        ));
    }
}

fn compose(rate: f64, tally: &Tally, shares: &[Share]) -> String {
    let sessions: u32 = shares.iter().map(|share| share.sessions).sum();
    let mut line = format!("{sessions} sessions  {rate:.0}/s  failed {}", tally.failed);
    for share in shares {
        let percent = (share.sessions * 100).checked_div(sessions).unwrap_or(0);
        // Writing to a string cannot fail.
        let _ = write!(line, "  {} {} {percent}%", share.name, share.verdict);
    }
    line
}

/// Prints at once. A reader that has gone (`| head`) is no reason to fail.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_rate_shares_verdicts_and_failures() {
        let share = |name: &str, verdict, sessions| Share { name: name.into(), verdict, sessions };
        let shares = [share("master1", "up", 3), share("master2", "dead", 0)];
        let tally = Tally { failed: 2, ..Tally::default() };
        assert_eq!(
            compose(219.6, &tally, &shares),
            "3 sessions  220/s  failed 2  master1 up 100%  master2 dead 0%"
        );
        let nobody = [share("master1", "up", 0)];
        assert!(compose(0.0, &tally, &nobody).ends_with("master1 up 0%"));
    }
}
