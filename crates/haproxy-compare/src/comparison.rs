//! One comparison, from the files to what was found.

use crate::causes::{Causes, Class, Difference};
use crate::checks::{Rounds, Sockets, Verdicts};
use crate::client::{Clients, Got, Request};
use crate::copy::copies;
use crate::descriptors;
use crate::endpoint::{Book, Endpoint, Presented};
use crate::judge::{Aspect, Judge, Made, Raw};
use crate::layout::{Layout, Side};
use crate::material::Material;
use crate::ours::ours;
use crate::scratch::{Bound, INTERRUPTED, Running, Scratch};
use crate::table::states;
use crate::traffic;
use eclusa_config::plan::Program;
use eclusa_haproxy_import::outline::{Good, Outline, outline};
use eclusa_haproxy_import::{File, Host, Imported, Kind, Options, import};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How long a program may take to start.
const START: Duration = Duration::from_secs(60);

/// What is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) program: Program,
    /// The program itself.
    pub(crate) executable: PathBuf,
    pub(crate) haproxy: PathBuf,
    pub(crate) requests: usize,
    pub(crate) seed: u64,
}

/// A request, and how what was made of it differs.
#[derive(Clone, Debug)]
pub(crate) struct Compared {
    pub(crate) request: Request,
    /// The section and the address, as haproxy.cfg has them.
    pub(crate) at: String,
    pub(crate) differences: Vec<Difference>,
}

impl Compared {
    /// The worst of its differences; `None`: it is equal.
    pub(crate) fn class(&self) -> Option<Class> {
        self.differences.iter().map(|it| it.class).max()
    }
}

/// What came of a comparison.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) haproxy: String,
    pub(crate) seed: u64,
    pub(crate) compared: Vec<Compared>,
    /// Requests of which either program made something: an answer, or something at an endpoint.
    pub(crate) answered: usize,
    /// Requests that were not sent: the time was over.
    pub(crate) unsent: usize,
    /// Requests that differed once, and no more when they were sent again.
    pub(crate) once: usize,
    pub(crate) verdicts: Verdicts,
    /// How sessions are spread over endpoints.
    pub(crate) spread: Vec<Difference>,
    pub(crate) notes: Vec<String>,
}

/// Why nothing was compared.
#[derive(Debug)]
pub(crate) enum Failed {
    /// HAProxy does not take the file.
    HaproxyRefuses(String),
    /// The import is not what the program takes.
    OursRefuses(String),
    /// Nothing in it serves clients.
    Nothing,
    /// Something else, in words.
    Other(String),
}

impl Failed {
    /// With what was left out of the copy that HAProxy refuses: it may miss that.
    fn with(self, notes: &[String]) -> Self {
        match self {
            Self::HaproxyRefuses(said) if !notes.is_empty() => Self::HaproxyRefuses(format!(
                "{said}\nof its copy of the file: {}",
                notes.join("; ")
            )),
            other => other,
        }
    }
}

impl From<String> for Failed {
    fn from(why: String) -> Self {
        Self::Other(why)
    }
}

fn io(what: &str) -> impl Fn(std::io::Error) -> Failed {
    move |error| Failed::Other(format!("{what}: {error}"))
}

/// Everything that both programs are run with.
struct Bed<'b> {
    wanted: &'b Wanted,
    outline: &'b Outline,
    layout: &'b Layout,
    scratch: &'b Scratch,
    sockets: Sockets,
    bound: Bound,
    books: [Arc<Book>; 2],
}

/// Compares.
pub(crate) fn compare(
    wanted: &Wanted,
    files: &[File],
    options: &Options,
    host: &dyn Host,
) -> Result<Found, Failed> {
    let haproxy = version(&wanted.haproxy)?;
    let mut random = fastrand::Rng::with_seed(wanted.seed);
    let imported = import(wanted.program, files, options, host);
    let outline = outline(files, options);
    if let Some(mistakes) = &imported.mistakes {
        return Err(Failed::OursRefuses(mistakes.clone()));
    }
    // Not by the seed: two comparisons at once must not meet.
    let mut layout = Layout::new(&outline, wanted.program, &mut fastrand::Rng::new())?;
    if layout.opens.is_empty() {
        return Err(Failed::Nothing);
    }
    descriptors::wanted(&layout)?;
    // A minute, and what many requests take beyond it.
    let time = Duration::from_secs(90)
        + Duration::from_millis(20) * u32::try_from(wanted.requests).unwrap_or(u32::MAX);
    let bound = Bound::new(time).map_err(io("signals cannot be watched"))?;
    let scratch = Scratch::new().map_err(io("a temporary directory cannot be made"))?;
    let mut material = Material::new(&scratch)?;
    let copied = copies(files, &outline, &layout, &mut material)?;
    let files = write(&scratch, files, &copied.texts)?;
    checked(wanted, (&scratch, &bound), &files).map_err(|failed| failed.with(&copied.notes))?;
    let toml = ours(wanted.program, &imported.toml, (&outline, &layout), &mut material, &scratch)?;
    scratch.write("ours.toml", &toml)?;
    let mut notes = std::mem::take(&mut material.notes);
    notes.extend(copied.notes);
    let causes = Causes::new(&outline, &imported.report);
    let gone = left_out(wanted.program, (&outline, &causes), &toml, &mut layout);
    if layout.opens.is_empty() {
        return Err(Failed::Other(format!("nothing is left to compare: {}", gone.join("; "))));
    }
    notes.extend(gone);
    let presented = Arc::new(Presented::new(&material.authority)?);
    let books = [Arc::<Book>::default(), Arc::default()];
    let mut endpoints = endpoints(&outline, &layout, &books, &presented)?;
    let sockets = ["haproxy.sock", "ours.sock"].map(|name| scratch.path(name));
    let bed = Bed {
        wanted,
        outline: &outline,
        layout: &layout,
        scratch: &scratch,
        sockets,
        bound,
        books,
    };
    let mut found = bed.run(&files, &imported, &mut endpoints, &mut random)?;
    found.haproxy = haproxy;
    found.seed = wanted.seed;
    found.notes = notes;
    Ok(found)
}

/// HAProxy's version.
fn version(haproxy: &Path) -> Result<String, Failed> {
    let output = Command::new(haproxy).arg("-v").output().map_err(|error| {
        Failed::Other(format!(
            "{}: HAProxy cannot be started: {error}; install it, or name it with --haproxy",
            haproxy.display()
        ))
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let first = text.lines().next().unwrap_or_default().trim();
    // `HA-Proxy` up to 2.3.
    if !output.status.success() || !["HAProxy", "HA-Proxy"].iter().any(|it| first.starts_with(it)) {
        return Err(Failed::Other(format!(
            "{}: it is not HAProxy, or does not run: asked with `-v` for its version it said `{first}` ({}); \
             name another one with --haproxy",
            haproxy.display(),
            output.status
        )));
    }
    Ok(first.to_owned())
}

/// Writes the copies; their paths, and the names of what they are copies of.
fn write(
    scratch: &Scratch,
    files: &[File],
    texts: &[String],
) -> Result<Vec<(PathBuf, String)>, Failed> {
    let socket = scratch.path("haproxy.sock").display().to_string();
    let first = format!(
        "global\n    nbthread 1\n    maxconn 2000\n    stats socket {socket} mode 600 level admin\n"
    );
    let mut paths = vec![(scratch.write("0.cfg", &first)?, "the bed".to_owned())];
    for (index, (file, text)) in files.iter().zip(texts).enumerate() {
        let path = scratch.write(&format!("{}.cfg", index + 1), text)?;
        paths.push((path, file.name.clone()));
    }
    Ok(paths)
}

fn haproxy(wanted: &Wanted, scratch: &Scratch, files: &[(PathBuf, String)]) -> Command {
    let mut command = Command::new(&wanted.haproxy);
    for (path, _) in files {
        command.arg("-f").arg(path);
    }
    command.current_dir(scratch.path(""));
    command
}

/// What HAProxy says of the copies, if it does not take them.
fn checked(
    wanted: &Wanted,
    (scratch, bound): (&Scratch, &Bound),
    files: &[(PathBuf, String)],
) -> Result<(), Failed> {
    let mut command = haproxy(wanted, scratch, files);
    command.arg("-c");
    let mut running = Running::start(&command, &scratch.path("check.err"))
        .map_err(io("HAProxy cannot be started"))?;
    match running.wait(START, bound) {
        Ok(true) => return Ok(()),
        Ok(false) => {}
        Err(why) if bound.is_interrupted() => return Err(Failed::Other(why)),
        Err(why) => {
            let why = format!("HAProxy does not say whether it takes the file: {why}");
            return Err(Failed::Other(why));
        }
    }
    let mut said = running.said();
    for (path, name) in files {
        said = said.replace(&path.display().to_string(), name);
    }
    let alerts: Vec<&str> = said.lines().filter(|line| line.contains("[ALERT]")).collect();
    let said = if alerts.is_empty() { said } else { alerts.join("\n") };
    Err(Failed::HaproxyRefuses(said))
}

/// Addresses that no listener of the import has, which are not compared: what is not carried over, or is
/// answered elsewhere (`observe.listen`).
fn left_out(
    program: Program,
    (outline, causes): (&Outline, &Causes<'_>),
    toml: &str,
    layout: &mut Layout,
) -> Vec<String> {
    let mut gone = BTreeSet::new();
    let ports = toml.lines().find(|line| line.starts_with("ports = ")).unwrap_or_default();
    layout.opens.retain(|open| {
        let bed = open.bed[Side::Ours as usize];
        let is_port = || {
            let mut all = ports.split(|char: char| !char.is_ascii_digit());
            all.any(|port| port == bed.port().to_string())
        };
        let kept = toml.contains(&format!("\"{bed}\""))
            || (toml.contains(&format!("\"{}\"", bed.ip())) && is_port());
        let front = &outline.fronts[open.front];
        // What the edge has no listener for, and does not say so, is a difference.
        let lines = [front.head, front.openings[open.opening].line];
        let told = lines.iter().any(|line| causes.kind(*line) == Some(Kind::Unsupported));
        let kept = kept || (program == Program::Edge && !told);
        if !kept {
            let name = &front.name;
            gone.insert(format!("{name} at {}: no listener here, and not compared", open.address));
        }
        kept
    });
    gone.into_iter().collect()
}

fn endpoints(
    outline: &Outline,
    layout: &Layout,
    books: &[Arc<Book>; 2],
    presented: &Arc<Presented>,
) -> Result<[Vec<Endpoint>; 2], Failed> {
    let usual = Good { status: 200, body: "ok".to_owned(), asks: false };
    let mut all = [Vec::new(), Vec::new()];
    for side in Side::BOTH {
        for (index, place) in layout.places.iter().enumerate() {
            let back = place.owners.iter().next().map(|owner| &outline.backs[owner.0]);
            let good = back.and_then(|back| back.good.clone()).unwrap_or_else(|| usual.clone());
            let address = place.bed[side as usize];
            let endpoint =
                Endpoint::start(address, index, good, (&books[side as usize], presented))
                    .map_err(io(&format!("an endpoint cannot listen at {address}")))?;
            all[side as usize].push(endpoint);
        }
    }
    Ok(all)
}

impl Bed<'_> {
    fn run(
        &self,
        files: &[(PathBuf, String)],
        imported: &Imported,
        endpoints: &mut [Vec<Endpoint>; 2],
        random: &mut fastrand::Rng,
    ) -> Result<Found, Failed> {
        let mut programs = self.start(files)?;
        let causes = Causes::new(self.outline, &imported.report);
        let names = self.names();
        let served = self.served();
        let rounds = Rounds {
            outline: self.outline,
            layout: self.layout,
            sockets: &self.sockets,
            bound: &self.bound,
            causes: &causes,
            names: &names,
            served: &served,
        };
        let mut found = Found { verdicts: rounds.begin(), ..Found::default() };
        let requests = traffic::requests((self.outline, self.layout), self.wanted.requests, random);
        let made = self.send(&requests)?;
        found.unsent = requests.len() - made.len();
        let something = |(haproxy, ours): &&(Made, Made)| {
            let of =
                |made: &Made| made.seen.is_some() || matches!(made.outcome.got, Got::Answer(_));
            of(haproxy) || of(ours)
        };
        found.answered = made.iter().filter(something).count();
        let judge = self.judge(&names);
        for (request, (haproxy, ours)) in requests.into_iter().zip(&made) {
            let mut compared = self.compared(request, (haproxy, ours), &judge, &causes);
            if compared.class() == Some(Class::Differs) && rounds.all_well() {
                // A busy host makes differences that do not come again.
                let again = self.send(std::slice::from_ref(&compared.request))?;
                if let Some((haproxy, ours)) = again.first() {
                    let request = compared.request.clone();
                    let second = self.compared(request, (haproxy, ours), &judge, &causes);
                    found.once += usize::from(second.class() != Some(Class::Differs));
                    compared = second;
                }
            }
            found.compared.push(compared);
        }
        found.spread = self.spread(&made, &names, &causes);
        let count = (self.wanted.requests / 100).clamp(1, 4);
        let seed = usize::try_from(self.wanted.seed % 1_000).unwrap_or(0);
        rounds
            .play(count, seed, endpoints, &mut found.verdicts)
            .map_err(io("an endpoint cannot listen again"))?;
        if self.bound.is_interrupted() {
            return Err(Failed::Other(INTERRUPTED.to_owned()));
        }
        for (program, running) in ["HAProxy", "Eclusa"].iter().zip(&mut programs) {
            if running.has_ended() {
                return Err(Failed::Other(format!(
                    "{program} ended by itself:\n{}",
                    running.said()
                )));
            }
        }
        Ok(found)
    }

    /// Starts both, and waits until they answer.
    fn start(&self, files: &[(PathBuf, String)]) -> Result<[Running; 2], Failed> {
        let mut theirs = haproxy(self.wanted, self.scratch, files);
        theirs.arg("-db");
        let mut our = Command::new(&self.wanted.executable);
        let run = self.scratch.path("run");
        std::fs::create_dir_all(&run).map_err(io("a directory cannot be made"))?;
        our.arg("run").arg("--no-keeper").arg("-c").arg(self.scratch.path("ours.toml"));
        // Nothing of a service that may run here.
        our.env("RUNTIME_DIRECTORY", &run).env("STATE_DIRECTORY", &run).env_remove("NOTIFY_SOCKET");
        let mut all = Vec::new();
        for (name, command, side) in
            [("HAProxy", theirs, Side::Haproxy), ("Eclusa", our, Side::Ours)]
        {
            let errors = self.scratch.path(&format!("{name}.err"));
            let mut running = Running::start(&command, &errors)
                .map_err(io(&format!("{name} cannot be started")))?;
            let socket = &self.sockets[side as usize];
            let answers = || states(socket, self.layout, side).is_ok();
            let found = self.bound.wait(START, || running.has_ended() || answers());
            if self.bound.is_interrupted() {
                return Err(Failed::Other(INTERRUPTED.to_owned()));
            }
            let said = running.said();
            if running.has_ended() {
                return Err(match side {
                    Side::Haproxy => Failed::HaproxyRefuses(said),
                    Side::Ours => Failed::OursRefuses(said),
                });
            }
            if !found {
                return Err(Failed::Other(format!(
                    "{name} was started and does not answer at its socket; what it said:\n{said}"
                )));
            }
            all.push(running);
        }
        all.try_into().map_err(|_| Failed::Other("two programs are started".to_owned()))
    }

    /// Names of places: section and endpoint.
    fn names(&self) -> Vec<String> {
        let name = |(back, member): &(usize, usize)| {
            let section = &self.outline.backs[*back];
            format!("{}/{}", section.name, section.members[*member].name)
        };
        let places = self.layout.places.iter();
        places.map(|place| place.owners.iter().next().map(name).unwrap_or_default()).collect()
    }

    /// Places that clients may be led to by what is carried over.
    fn served(&self) -> Vec<usize> {
        let fronts: BTreeSet<usize> = self.layout.opens.iter().map(|open| open.front).collect();
        let backs: BTreeSet<usize> =
            fronts.iter().flat_map(|front| &self.outline.fronts[*front].backs).copied().collect();
        let places = self.layout.places.iter().enumerate();
        let leads = |owners: &BTreeSet<(usize, usize)>| {
            owners.iter().any(|(back, member)| {
                let section = &self.outline.backs[*back];
                backs.contains(back) && section.pool.is_some() && section.members[*member].serves
            })
        };
        places.filter(|(_, place)| leads(&place.owners)).map(|(index, _)| index).collect()
    }

    fn judge(&self, names: &[String]) -> Judge<'_> {
        let first = |word: &str| {
            let lines = self.outline.lines.iter().map(|line| line.words.as_slice());
            let found = lines.filter_map(|words| match words {
                [known, name, ..] if known == word => Some(name.clone()),
                _ => None,
            });
            found.collect::<Vec<_>>()
        };
        let cookies = self.outline.backs.iter().filter_map(|back| back.cookie.clone()).collect();
        Judge::new(self.layout, names.to_vec(), first("unique-id-header"), cookies)
    }

    /// Sends all requests to both programs, each after the other as one client would.
    fn send(&self, requests: &[Request]) -> Result<Vec<(Made, Made)>, Failed> {
        let clients = [Clients::new()?, Clients::new()?];
        let made = thread::scope(|scope| {
            let running = Side::BOTH.map(|side| {
                let clients = &clients[side as usize];
                scope.spawn(move || self.send_to(side, clients, requests))
            });
            running.map(|it| it.join().unwrap_or_default())
        });
        let [haproxy, ours] = made;
        Ok(haproxy.into_iter().zip(ours).collect())
    }

    fn send_to(&self, side: Side, clients: &Clients, requests: &[Request]) -> Vec<Made> {
        let mut all = Vec::new();
        for request in requests {
            if self.bound.is_over() {
                break;
            }
            let to = self.layout.opens[request.open].bed[side as usize];
            let outcome = clients.ask(request, to);
            let seen = self.books[side as usize].take(request.id);
            all.push(Made { outcome, seen });
        }
        all
    }

    fn compared(
        &self,
        request: Request,
        (haproxy, ours): (&Made, &Made),
        judge: &Judge<'_>,
        causes: &Causes<'_>,
    ) -> Compared {
        let open = &self.layout.opens[request.open];
        let backs: Vec<usize> = self.backs_of(haproxy).chain(self.backs_of(ours)).collect();
        // Who got to no endpoint may have been on the way to any.
        let backs =
            if backs.is_empty() { self.outline.fronts[open.front].backs.clone() } else { backs };
        let raws = judge.differences(&request, haproxy, ours);
        let differences = raws
            .into_iter()
            .map(|raw| causes.of_request(raw, (&request, open.front, &backs), (haproxy, ours)))
            .collect();
        let at = format!("{} at {}", self.outline.fronts[open.front].name, open.address);
        Compared { request, at, differences }
    }

    fn backs_of<'a>(&'a self, made: &'a Made) -> impl Iterator<Item = usize> + 'a {
        let places = made.seen.iter().map(|seen| &self.layout.places[seen.place]);
        places.flat_map(|place| place.owners.iter().map(|owner| owner.0))
    }

    /// Whether each endpoint that takes its turn with one program does with the other.
    fn spread(
        &self,
        made: &[(Made, Made)],
        names: &[String],
        causes: &Causes<'_>,
    ) -> Vec<Difference> {
        let mut counts = vec![[0_usize; 2]; self.layout.places.len()];
        for (haproxy, ours) in made {
            for (side, seen) in [&haproxy.seen, &ours.seen].into_iter().enumerate() {
                if let Some(seen) = seen {
                    counts[seen.place][side] += 1;
                }
            }
        }
        let mut found = Vec::new();
        for (index, back) in self.outline.backs.iter().enumerate() {
            let turns = ["", "roundrobin", "static-rr", "leastconn", "random"];
            let places: Vec<usize> = (0..self.layout.places.len())
                .filter(|place| {
                    let owners = &self.layout.places[*place].owners;
                    owners.iter().any(|(of, member)| *of == index && back.members[*member].serves)
                })
                .collect();
            let sum = |side: usize| places.iter().map(|place| counts[*place][side]).sum::<usize>();
            // So many that chance leaves nobody out; with weights it may.
            let enough = 15 * places.len();
            let first = back.members.first().map(|member| member.weight);
            let alike = back.members.iter().all(|member| Some(member.weight) == first);
            if !alike || back.cookie.is_some() {
                continue;
            }
            if !turns.contains(&back.balance.as_str()) || sum(0) < enough || sum(1) < enough {
                continue;
            }
            let used = |side: usize| {
                let used = places.iter().filter(|place| counts[**place][side] > 0);
                used.map(|place| names[*place].clone()).collect::<Vec<_>>().join(", ")
            };
            if used(0) != used(1) {
                let raw = Raw { aspect: Aspect::Endpoints, haproxy: used(0), ours: used(1) };
                found.push(causes.of_endpoints(raw, index));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_haproxy_is_told_as_that() {
        for (program, said) in [
            ("/nowhere/haproxy", "HAProxy cannot be started"),
            ("true", "it is not HAProxy, or does not run"),
            ("false", "(exit status: 1); name another one with --haproxy"),
        ] {
            let Err(Failed::Other(why)) = version(Path::new(program)) else { panic!("{program}") };
            assert!(why.contains(said), "{why}");
        }
    }

    #[test]
    fn a_refusal_comes_with_what_the_copy_lacks() {
        let notes = ["scripts are not run".to_owned()];
        let refused = Failed::HaproxyRefuses("no such ACL".to_owned()).with(&notes);
        let Failed::HaproxyRefuses(said) = refused else { panic!("{refused:?}") };
        assert_eq!(said, "no such ACL\nof its copy of the file: scripts are not run");
        assert!(matches!(Failed::Nothing.with(&notes), Failed::Nothing));
    }
}
