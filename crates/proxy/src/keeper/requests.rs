//! What the engine asks for, and what it gets.

use super::Keeper;
use super::listed::Listed;
use super::message::{Answer, Ask, How, NotTheFile, VERSION};
use super::opens::Refusal;
use super::sockets::Wanted;
use super::tell::Line;
use eclusa_sys::channel::DESCRIPTORS_MAX;
use eclusa_sys::memory;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

impl Keeper {
    /// Does what the engine asks for.
    ///
    /// # Errors
    /// The engine does not keep to the protocol, or does not read.
    pub(super) fn obey(&mut self, ask: Ask) -> io::Result<()> {
        let greeted = self.engine.as_ref().is_some_and(|engine| engine.greeted);
        match ask {
            Ask::Hello { version } => return self.greet(version),
            _ if !greeted => return Err(io::Error::other("it says no hello")),
            Ask::Claim { address } => {
                let answer = self.claim(address);
                return self.answer(&answer, &[]);
            }
            Ask::Listen(wanted) => return self.give(&wanted),
            Ask::Release { address } => {
                self.store.release(address, &self.systemd);
                return self.answer(&Answer::Done, &[]);
            }
            Ask::ReleaseAll => {
                self.store.release_all(&self.systemd);
                return self.answer(&Answer::Done, &[]);
            }
            Ask::Open { path } => return self.open(&path),
            Ask::Look { path } => return self.look(&path),
            Ask::List { directory } => return self.list(&directory),
            Ask::InForce { digest, how } => return self.in_force(digest, how),
            Ask::LastGood => return self.text("no configuration", |listed| listed.in_force()),
            Ask::Before => return self.text("no other configuration", Listed::before),
            Ask::Ready => self.ready(),
            Ask::Reloading => self.systemd.reloading(),
            Ask::Stopping { within } => self.systemd.stopping(Some(Duration::from_millis(within))),
            Ask::Status { text } => self.systemd.status(&text),
            Ask::Heartbeat => self.systemd.pet(),
        }
        Ok(())
    }

    fn answer(&self, answer: &Answer, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        match &self.engine {
            Some(engine) => engine.answer(answer, descriptors),
            None => Ok(()),
        }
    }

    fn greet(&mut self, version: u32) -> io::Result<()> {
        if version != VERSION {
            return Err(io::Error::other(format!("it speaks version {version}, not {VERSION}")));
        }
        if let Some(engine) = &mut self.engine {
            engine.greeted = true;
        }
        let heartbeat = self.systemd.heartbeat();
        let heartbeat = heartbeat.map(|every| u64::try_from(every.as_millis()).unwrap_or(u64::MAX));
        let stored = self.systemd.stores();
        let crashes = self.crashes;
        let failed = self.start_failed && self.listed.has_changed();
        let last_good = match self.listed.lapse() {
            None if failed => Some(NotTheFile::StartFailed),
            why => why,
        };
        let hello = Answer::Hello { version: VERSION, stored, heartbeat, crashes, last_good };
        self.answer(&hello, &[])
    }

    fn claim(&mut self, address: SocketAddr) -> Answer {
        if !self.listed.has_address(address) {
            return self.refuse(format!("{address} is not in the configuration file"));
        }
        match self.store.claim(address) {
            Ok(()) => Answer::Done,
            Err(error) => Answer::Refused { message: error.to_string() },
        }
    }

    fn give(&mut self, wanted: &Wanted) -> io::Result<()> {
        if !self.listed.has_address(wanted.address) {
            let message = format!("{} is not in the configuration file", wanted.address);
            let refusal = self.refuse(message);
            return self.answer(&refusal, &[]);
        }
        let Some(engine) = &self.engine else { return Ok(()) };
        let sockets = match self.store.give(wanted, &self.systemd) {
            Ok(sockets) => sockets,
            Err(error) => return engine.answer(&failed(&error), &[]),
        };
        let mut left = sockets.len();
        for batch in sockets.chunks(DESCRIPTORS_MAX) {
            left -= batch.len();
            let batch: Vec<_> = batch.iter().map(|socket| socket.as_fd()).collect();
            engine.answer(&Answer::Sockets { left }, &batch)?;
        }
        Ok(())
    }

    fn open(&mut self, path: &Path) -> io::Result<()> {
        match self.listed.open(path) {
            Ok(file) => self.answer(&Answer::File, &[file.as_fd()]),
            Err(refusal) => self.not_opened(refusal),
        }
    }

    fn look(&mut self, path: &Path) -> io::Result<()> {
        match self.listed.look(path) {
            Ok(kind) => self.answer(&Answer::Found { kind }, &[]),
            Err(refusal) => self.not_opened(refusal),
        }
    }

    /// A listing may be long: it goes as a file that lies in memory.
    fn list(&mut self, directory: &Path) -> io::Result<()> {
        let listed = self.listed.list(directory).and_then(|entries| {
            let text = serde_json::to_vec(&entries).map_err(io::Error::from)?;
            Ok(memory::sealed("list", &text)?)
        });
        match listed {
            Ok(file) => self.answer(&Answer::File, &[file.as_fd()]),
            Err(refusal) => self.not_opened(refusal),
        }
    }

    fn not_opened(&mut self, refusal: Refusal) -> io::Result<()> {
        let answer = match refusal {
            Refusal::System(error) => failed(&error),
            refusal => self.refuse(refusal.to_string()),
        };
        self.answer(&answer, &[])
    }

    fn in_force(&mut self, digest: u64, how: How) -> io::Result<()> {
        let known = match how {
            How::File => self.listed.confirm(digest),
            How::Trial => self.listed.on_trial(digest),
            How::Back => self.listed.gone_back(digest),
        };
        self.remember();
        if !known {
            let message = "the file has changed since the engine read it: should it be broken when the \
                           engine crashes, an earlier configuration goes on";
            self.tell(Line::new("warning", message));
        }
        self.answer(&Answer::Done, &[])
    }

    /// A text that was read here, for an engine that is not to take the file.
    fn text(&mut self, what: &str, of: fn(&mut Listed) -> Option<&str>) -> io::Result<()> {
        let sealed = of(&mut self.listed).map(|text| memory::sealed("config", text.as_bytes()));
        match sealed {
            Some(Ok(file)) => self.answer(&Answer::File, &[file.as_fd()]),
            Some(Err(error)) => self.answer(&failed(&error), &[]),
            None => {
                let message = format!("{what} was in force so far");
                self.answer(&Answer::Refused { message }, &[])
            }
        }
    }

    fn ready(&mut self) {
        (self.was_ready, self.recalled) = (true, false);
        self.start_failed = false;
        if let Some(engine) = &mut self.engine {
            engine.ready.get_or_insert_with(Instant::now);
        }
        for address in self.store.drop_unwanted(&self.systemd) {
            let message =
                format!("no longer listening on {address}: the configuration has changed");
            self.tell(Line::new("sockets_dropped", message).about("address", address.to_string()));
        }
        self.systemd.ready();
        self.systemd.pet();
    }

    /// A refusal is told in the log, too, at most once a second: no engine of ours asks for what it
    /// cannot have.
    fn refuse(&mut self, message: String) -> Answer {
        if self.refused.is_none_or(|told| told.elapsed() >= Duration::from_secs(1)) {
            self.refused = Some(Instant::now());
            self.tell(Line::new("refused", format!("the engine asked in vain: {message}")));
        }
        Answer::Refused { message }
    }
}

fn failed(error: &io::Error) -> Answer {
    Answer::Failed { errno: error.raw_os_error().unwrap_or(0), message: error.to_string() }
}
