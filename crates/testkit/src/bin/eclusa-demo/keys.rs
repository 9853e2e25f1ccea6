//! Single keys from the terminal, without Enter and without echo.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::Read;
use tokio::sync::mpsc::{Receiver, channel};

/// Keys as they are pressed; dropping it gives the terminal its habits back.
pub(crate) struct Keys {
    keys: Receiver<char>,
    before: Option<Termios>,
}

impl Keys {
    /// Begins to listen on standard input, which is a terminal.
    pub(crate) fn listen() -> Self {
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin).ok();
        if let Some(before) = &before {
            let mut raw = before.clone();
            // ISIG stays: Ctrl-C is a signal as ever.
            raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            // Without it keys need Enter, which is a nuisance and no failure.
            let _ = tcsetattr(&stdin, OptionalActions::Now, &raw);
        }
        let (send, keys) = channel(8);
        // The thread waits in read(2) and ends with the program.
        let _ = std::thread::Builder::new().name("keys".into()).spawn(move || {
            for byte in std::io::stdin().lock().bytes().map_while(Result::ok) {
                if send.blocking_send(char::from(byte)).is_err() {
                    return;
                }
            }
        });
        Self { keys, before }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// The next key; never one where nobody listens, or when the terminal is gone.
pub(crate) async fn next(keys: &mut Option<Keys>) -> char {
    if let Some(keys) = keys
        && let Some(key) = keys.keys.recv().await
    {
        return key;
    }
    std::future::pending().await
}
