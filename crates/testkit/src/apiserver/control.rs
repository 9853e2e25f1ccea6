//! The control interface of a fake apiserver: lines in, lines out.

use super::ControlSocket;
use super::shared::Shared;
use crate::background::Background;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

/// How long a command may take to be answered.
const LIMIT: Duration = Duration::from_secs(5);

pub(super) fn execute(line: &str, shared: &Shared) -> Result<String, String> {
    let json = |value: serde_json::Result<String>| value.map_err(|error| error.to_string());
    match line.trim() {
        "terminate" => shared.terminate(),
        "cut" => shared.cut(),
        "goaway" => shared.goaway(),
        "counters" => return json(serde_json::to_string(&shared.counters())),
        "faults" => return json(serde_json::to_string(&*shared.faults.borrow())),
        "phase" => return json(serde_json::to_string(&*shared.phase.borrow())),
        line => {
            let mut result = Ok(());
            shared.faults.send_modify(|faults| result = faults.apply(line));
            result?;
        }
    }
    Ok(String::new())
}

pub(super) fn listen(path: &Path, shared: Arc<Shared>) -> io::Result<ControlSocket> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let for_thread = path.to_owned();
    let ((), thread) = Background::start("control", move || {
        let listener = UnixListener::bind(&for_thread)?;
        Ok(((), async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::task::spawn_local(async move {
                    // An error means that the asker has gone.
                    let _ = answer_lines(stream, &shared).await;
                });
            }
        }))
    })?;
    Ok(ControlSocket { path: path.to_owned(), _thread: thread })
}

async fn answer_lines(stream: UnixStream, shared: &Shared) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = tokio::io::BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = match execute(&line, shared) {
            Ok(text) => format!("ok {text}"),
            Err(text) => format!("error {text}"),
        };
        write.write_all(format!("{}\n", answer.trim_end()).as_bytes()).await?;
    }
    Ok(())
}

pub(super) fn send(path: &Path, line: &str) -> io::Result<String> {
    let mut stream = BlockingStream::connect(path)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    stream.write_all(format!("{line}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    let answer = answer.trim_end();
    match answer.split_once(' ').unwrap_or((answer, "")) {
        ("ok", text) => Ok(text.to_owned()),
        ("error", text) => Err(io::Error::other(text.to_owned())),
        _ => Err(io::Error::other(format!("`{answer}` is no answer of a control socket"))),
    }
}
