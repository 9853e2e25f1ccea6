//! The table that both programs show at their sockets (`show stat`): which endpoints take clients.

use crate::layout::{Layout, Side};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a socket may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is told of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Up,
    /// It gets no new clients.
    Down,
    /// Not decided yet: some results more, and it is the other.
    Between,
    /// Nobody checks it.
    Unchecked,
    /// An operator, or the file, keeps it out.
    Off,
}

impl State {
    /// Whether clients are sent there; `None`: that is not decided.
    pub(crate) fn takes(self) -> Option<bool> {
        match self {
            Self::Up | Self::Unchecked => Some(true),
            Self::Down | Self::Off => Some(false),
            Self::Between => None,
        }
    }

    fn of(status: &str) -> Self {
        match status {
            "UP" => Self::Up,
            "no check" => Self::Unchecked,
            "DOWN" | "NOLB" => Self::Down,
            status if status.starts_with("MAINT") || status == "DRAIN" => Self::Off,
            _ => Self::Between,
        }
    }
}

/// An endpoint as a table shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) state: State,
    /// The last result of its checks, in words.
    pub(crate) why: String,
}

/// What the socket of one side tells of each place; `None` where it does not know it.
///
/// # Errors
/// The socket does not answer.
pub(crate) fn states(
    socket: &Path,
    layout: &Layout,
    side: Side,
) -> std::io::Result<Vec<Option<Shown>>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"show stat\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let rows = read(&text);
    let found = layout.places.iter().map(|place| {
        let mut states = rows.iter().filter(|(address, _)| *address == place.bed[side as usize]);
        states.next().map(|(_, shown)| shown.clone())
    });
    Ok(found.collect())
}

/// Endpoints by their addresses.
fn read(text: &str) -> Vec<(SocketAddr, Shown)> {
    let mut lines = text.lines();
    let head = cells(lines.next().unwrap_or_default().trim_start_matches("# "));
    let column = |name: &str| head.iter().position(|cell| cell == name);
    let (Some(status), Some(address)) = (column("status"), column("addr")) else {
        return Vec::new();
    };
    lines
        .filter_map(|line| {
            let cells = cells(line);
            let state = State::of(cells.get(status)?);
            let of =
                |at: Option<usize>| at.and_then(|at| cells.get(at)).cloned().unwrap_or_default();
            let why = format!("{} {}", of(column("check_status")), of(column("last_chk")));
            let why = why.trim().to_owned();
            Some((cells.get(address)?.parse().ok()?, Shown { state, why }))
        })
        .collect()
}

/// The cells of a line; what stands in quotes may have commas.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    for char in line.chars() {
        match char {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            char => cell.push(char),
        }
    }
    cells.push(cell);
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_endpoints_with_addresses() {
        let text = "# pxname,svname,status,last_chk,addr,\n\
                    web,FRONTEND,OPEN,,,\n\
                    app,a,UP,\"ok, well\",127.9.0.1:80,\n\
                    app,b,UP 1/3,,127.9.0.2:80,\n\
                    app,c,NOLB,,127.9.0.3:80,\n\
                    app,d,MAINT (via x/y),,127.9.0.4:80,\n\
                    app,BACKEND,UP,,,\n";
        let states: Vec<_> = read(text).into_iter().map(|(_, it)| it.state).collect();
        assert_eq!(states, [State::Up, State::Between, State::Down, State::Off]);
        assert_eq!(State::Between.takes(), None);
    }
}
