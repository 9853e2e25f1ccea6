//! A Chromium that is told what to do over a pair of pipes (the DevTools protocol, a message with a
//! zero byte at its end each): nothing but the browser is needed.

use data_encoding::BASE64;
use e2e::proof::full;
use eclusa_testkit::netns::Host;
use eclusa_testkit::process::Scratch;
use eclusa_testkit::wait::pause;
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The variable that names the browser (Debian: `apt-get install chromium`).
const BROWSER: &str = "ECLUSA_CHROMIUM";
/// The variable that names axe-core's `axe.min.js` (npm).
const AXE: &str = "ECLUSA_AXE";
/// The variable that names a directory for screenshots; without it there are none.
const SHOTS: &str = "ECLUSA_SHOTS";
/// How long the browser may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at the page.
const LOOK: Duration = Duration::from_millis(50);

/// What a proof needs of others; `None` where this is no proof, or, told loudly, where they are not
/// there.
pub(super) fn tools(test: &str) -> Option<Tools> {
    if !full() {
        return None;
    }
    let named = |name: &str| {
        let path = std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_file());
        if path.is_none() {
            let _ = writeln!(io::stderr(), "SKIPPED: {test}: {name} names no file");
        }
        path
    };
    let (browser, axe) = (named(BROWSER)?, named(AXE)?);
    let axe = std::fs::read_to_string(axe).unwrap();
    Some(Tools { browser, axe, shots: std::env::var_os(SHOTS).map(PathBuf::from) })
}

/// Tools of others.
#[derive(Debug)]
pub(super) struct Tools {
    browser: PathBuf,
    /// The script of axe-core.
    pub(super) axe: String,
    shots: Option<PathBuf>,
}

/// How the page is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Screen {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) dark: bool,
}

/// A browser with one page; killed when dropped.
pub(super) struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    session: Option<String>,
    sent: u64,
    /// Errors of the page's script, and what its policy forbade.
    pub(super) complaints: Vec<String>,
    shots: Option<PathBuf>,
    _profile: Scratch,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Browser {
    /// Starts it on a host.
    pub(super) fn start(tools: &Tools, host: &Host) -> Self {
        let profile = Scratch::new("browser").unwrap();
        let mut command = host.command("sh");
        // It takes messages from its descriptor 3 and sends them to 4.
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 >/dev/null 2>&1 </dev/null"]);
        command.arg(&tools.browser);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]);
        command.args(["--remote-debugging-pipe", "--no-first-run", "--disable-extensions"]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.arg("about:blank").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (to, out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (heard, from) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(out).split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).unwrap_or_default();
                if heard.send(message).is_err() {
                    return;
                }
            }
        });
        let (session, complaints, shots) = (None, Vec::new(), tools.shots.clone());
        let mut browser =
            Self { child, to, from, session, sent: 0, complaints, shots, _profile: profile };
        browser.attach();
        browser
    }

    fn attach(&mut self) {
        let targets = self.call("Target.getTargets", json!({}));
        let targets = targets["targetInfos"].as_array().unwrap();
        let page = targets.iter().find(|target| target["type"] == "page").unwrap();
        let to = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = self.call("Target.attachToTarget", to);
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable", "Network.enable"] {
            self.call(domain, json!({}));
        }
    }

    /// Has a command done, and returns what it yields.
    pub(super) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut message = json!({ "id": self.sent, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = session.clone().into();
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let heard = self.from.recv_timeout(PATIENCE);
            let heard = heard.unwrap_or_else(|error| panic!("{method}: {error}"));
            if heard["id"] == self.sent {
                assert!(heard.get("error").is_none(), "{method}: {}", heard["error"]);
                return heard["result"].clone();
            }
            let what = &heard["params"];
            match heard["method"].as_str() {
                Some("Runtime.exceptionThrown") => {
                    self.complaints.push(what["exceptionDetails"].to_string());
                }
                Some("Log.entryAdded") if what["entry"]["source"] == "security" => {
                    self.complaints.push(what["entry"]["text"].to_string());
                }
                _ => {}
            }
        }
    }

    /// Opens a page on such a screen and waits until it shows a state.
    pub(super) fn open(&mut self, address: &str, screen: Screen) {
        self.resize(screen);
        self.call("Page.navigate", json!({ "url": address }));
        self.wait("document.querySelector('#summary')?.textContent");
    }

    pub(super) fn resize(&mut self, Screen { width, height, dark }: Screen) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600
        });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", media);
    }

    /// The value of an expression of the page; of a promise what it comes to.
    pub(super) fn value(&mut self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", asked);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression of the page is true, and returns how long that took.
    pub(super) fn wait(&mut self, expression: &str) -> Duration {
        let began = Instant::now();
        while self.value(&format!("Boolean({expression})")) != true {
            if began.elapsed() > PATIENCE {
                let text = self.value("document.body.innerText");
                panic!("not within {PATIENCE:?}: {expression}; it shows {text}");
            }
            pause(LOOK);
        }
        began.elapsed()
    }

    /// What axe-core finds wrong.
    pub(super) fn violations(&mut self, axe: &str) -> Vec<String> {
        self.call("Runtime.evaluate", json!({ "expression": axe }));
        let found = "axe.run().then((all) => all.violations.flatMap((rule) => rule.nodes.map((node) \
                     => rule.id + ': ' + node.html)))";
        // The wires between routes and pools, which mean nothing to it, hide colours from it.
        let bare = "document.querySelector('#wires').style.visibility = 'hidden'";
        let mut all = self.value(found).as_array().cloned().unwrap();
        self.value(bare);
        all.extend(self.value(found).as_array().cloned().unwrap());
        self.value("document.querySelector('#wires').style.visibility = ''");
        all.iter().map(|it| it.as_str().unwrap_or("?").to_owned()).collect()
    }

    /// Takes a picture, where pictures are wanted.
    pub(super) fn picture(&mut self, name: &str) {
        let Some(folder) = self.shots.clone() else { return };
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let png = BASE64.decode(shot["data"].as_str().unwrap().as_bytes()).unwrap();
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), png).unwrap();
    }
}
