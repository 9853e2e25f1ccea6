//! The clients of HAProxy's socket: one line and its answer, then the connection ends, unless the
//! client has asked for a prompt. As bounded as those of the admin socket, and with the same code.

use super::command::{Command, parse};
use crate::admin::{Client, Cut, Next, Patience, Peer, Serving, Socket};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_local;
use tokio::time::sleep;

/// The longest line, in bytes.
const LINE_MAX: usize = 4 << 10;
/// Commands in one line.
const COMMANDS_MAX: usize = 32;
/// How long to wait when nothing can be accepted (no descriptors left).
const PAUSE: Duration = Duration::from_millis(100);

/// Who answers.
pub(crate) trait Answer: 'static {
    /// The answer to a command, each line with its end; empty: done.
    fn answer(&self, command: Command, by: &Peer) -> impl Future<Output = String>;
    /// A client came (1) or has gone (-1).
    fn came(&self, change: f64);
    /// A client was cut.
    fn cut(&self, why: Cut);
}

/// Begins to serve the socket, on this thread's reactor, which must be a local one: to `clients` at
/// once, others wait in the kernel's queue.
///
/// # Errors
/// The reactor does not take the socket, or it was taken before.
pub(crate) fn serve(
    mut socket: Socket,
    answer: impl Answer,
    clients: usize,
    patience: Patience,
) -> io::Result<Serving> {
    let listener = socket.take_listener()?;
    let accepting = spawn_local(accept(Rc::new(answer), listener, clients, patience));
    Ok(Serving::new(accepting, socket))
}

async fn accept<A: Answer>(
    answer: Rc<A>,
    listener: UnixListener,
    clients: usize,
    patience: Patience,
) {
    let permits = Arc::new(Semaphore::new(clients));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                drop(spawn_local(converse(answer.clone(), stream, patience, permit)))
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// A client that is here; dropped: it has gone.
struct Here<A: Answer>(Rc<A>);

impl<A: Answer> Here<A> {
    fn new(answer: Rc<A>) -> Self {
        answer.came(1.0);
        Self(answer)
    }
}

impl<A: Answer> Drop for Here<A> {
    fn drop(&mut self) {
        self.0.came(-1.0);
    }
}

/// What follows an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// The end of the connection.
    Once,
    /// A prompt, and the next line.
    Prompt,
    /// The end, now.
    Quit,
}

async fn converse<A: Answer>(
    answer: Rc<A>,
    stream: UnixStream,
    patience: Patience,
    _permit: OwnedSemaphorePermit,
) {
    let Ok(peer) = Peer::of(&stream) else { return };
    let here = Here::new(answer);
    let mut client = Client::new(stream, patience, LINE_MAX);
    let mut mode = Mode::Once;
    while let Some(next) = client.next().await {
        let told = match next {
            Next::Line(line) => line_of(&*here.0, &mut client, &line, (&peer, &mut mode)).await,
            Next::Unusable(message) => {
                mode = Mode::Quit;
                client.write(format!("{message}\n\n").as_bytes()).await
            }
        };
        if told.is_err() || mode != Mode::Prompt {
            break;
        }
    }
    if let Some(why) = client.cut() {
        here.0.cut(why);
    }
}

/// Answers the commands of a line, one after another.
async fn line_of<A: Answer>(
    answer: &A,
    client: &mut Client,
    line: &[u8],
    (peer, mode): (&Peer, &mut Mode),
) -> io::Result<()> {
    let line = String::from_utf8_lossy(line);
    let commands: Vec<&str> = line.split(';').collect();
    if commands.len() > COMMANDS_MAX {
        let told = format!("more than {COMMANDS_MAX} commands in a line\n");
        return client.write(ended(told, *mode).as_bytes()).await;
    }
    for command in commands {
        let told = match parse(command) {
            Ok(None) => String::new(),
            Ok(Some(Command::Quit)) => {
                *mode = Mode::Quit;
                return Ok(());
            }
            Ok(Some(Command::Prompt)) => {
                let prompts = *mode == Mode::Prompt;
                *mode = if prompts { Mode::Once } else { Mode::Prompt };
                // Without a prompt, as HAProxy: the next line is the last.
                if prompts {
                    continue;
                }
                String::new()
            }
            Ok(Some(command)) => answer.answer(command, peer).await,
            Err(told) => told,
        };
        client.write(ended(told, *mode).as_bytes()).await?;
    }
    Ok(())
}

/// An answer with its end: an empty line, or a prompt behind one.
fn ended(mut told: String, mode: Mode) -> String {
    told.push_str(if mode == Mode::Prompt { "\n> " } else { "\n" });
    told
}
