//! Cases of HTTP/2 as text: what is said frame by frame, and what must come of it.
//!
//! ```text
//! [8.3.1] the path is missing          the section, and a name
//! HEADERS 1 end                        a frame: type, stream, options, bytes
//!   :method: GET                       its fields, a line each
//!   @inc+h "name" "value"              the same, in another representation of HPACK
//! = stream 1 PROTOCOL_ERROR            what must come; several lines say what all may come
//! ```
//!
//! Options of frames: `end` (END_STREAM), `more` (no END_HEADERS), `ack`, `pad=N`, `prio=ON:WEIGHT`
//! (`:x` behind it: exclusive), `flags=N`, `length=N` (a lie), `reserved`, `split=N` (CONTINUATION
//! every N bytes), `times=N`; `GET /path` stands for the four pseudo-headers. `\xNN`, `\{TEXT*COUNT}`
//! and the like as in the tables of HTTP/1.
//!
//! A case begins with the preface and SETTINGS, unless `BARE` or a `GREET` of its own comes first;
//! `PREFACE` and `BYTES` say them by hand, `TELL 4=0` says settings. `WAIT ack`, `WAIT head 1`,
//! `WAIT end 1`, `WAIT data 1 5`, `WAIT goaway` wait for that, `QUIET` for a PING and back. `FEED 1`
//! sends DATA until there is an answer, `EXCEED` opens one stream too many. With `LAST` nothing is
//! asked behind it; `ONLY 5 16384` leaves it out where the setting 5 of the other side is higher.
//! `EACH a b` makes a case of each word, which stands where `<>` is.

use crate::table::unescape;
use eclusa_testkit::http2::hpack::{Field, Indexing, Name, Text, block};
use eclusa_testkit::http2::{Frame, PREFACE, flag, kind};

/// A case.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) steps: Vec<Step>,
    /// The connection need not go on behind it.
    pub(super) is_last: bool,
    /// The lines behind `=`.
    pub(super) expected: Vec<&'static str>,
}

impl Case {
    /// Whether no endpoint may get a byte of it.
    pub(super) fn is_never_forwarded(&self) -> bool {
        self.expected == ["refused"]
    }
}

/// Something that the client does.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Greet(Vec<(u16, u32)>),
    Tell(Vec<(u16, u32)>),
    Bytes(Vec<u8>),
    Frame(Frame),
    Wait(Wait),
    /// Goes on only where a setting of the other side is at most this.
    Only(u16, u32),
    /// Opens one stream more than the other side allows.
    Exceed,
    /// Sends DATA on a stream, a byte at a time, until it is answered.
    Feed(u32),
}

/// Something that it waits for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    /// Everything said so far has been read.
    RoundTrip,
    Acknowledgement,
    Head(u32),
    End(u32),
    /// So many bytes on a stream, and no more of them.
    Data(u32, usize),
    GoAway,
}

/// Reads the cases of a text. Requests that stand for themselves have this scheme.
pub(super) fn cases(text: &str, scheme: &str) -> Vec<Case> {
    let text = expanded(text);
    let mut cases: Vec<Case> = Vec::new();
    let lines: Vec<_> =
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        at += 1;
        let place = |what: &str| format!("{what}: {line:?}");
        if let Some((section, name)) = line.strip_prefix('[').and_then(|line| line.split_once("] "))
        {
            let (steps, expected) = (Vec::new(), Vec::new());
            cases.push(Case { section, name, steps, is_last: false, expected });
            continue;
        }
        let case = cases.last_mut().unwrap_or_else(|| panic!("{}", place("before the first case")));
        if let Some(expected) = line.strip_prefix("= ") {
            case.expected.push(expected);
            continue;
        }
        if *line == "LAST" {
            case.is_last = true;
            continue;
        }
        let fields = lines[at..].iter().take_while(|line| line.starts_with("  ")).copied();
        let fields: Vec<_> = fields.collect();
        at += fields.len();
        let fields = fields.iter().filter_map(|line| field(&line[2..])).collect();
        let steps = steps(&words(line), fields, scheme);
        case.steps.extend(steps.unwrap_or_else(|| panic!("{}", place("no step"))));
    }
    for case in &mut cases {
        let name = case.name;
        assert!(!case.expected.is_empty() && !case.steps.is_empty(), "{name} is not complete");
        match case.steps.first() {
            Some(Step::Greet(_)) => {}
            // `BARE`.
            Some(Step::Bytes(bytes)) if bytes.is_empty() => {}
            _ => case.steps.insert(0, Step::Greet(Vec::new())),
        }
    }
    cases
}

/// The text with a case for each word behind `EACH`. It lives as long as the tests.
fn expanded(text: &str) -> &'static str {
    let mut whole = String::new();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let text = lines.collect::<Vec<_>>().join("\n");
    for case in format!("\n{text}").split("\n[").skip(1) {
        let (title, rest) = case.split_once('\n').unwrap_or((case, ""));
        match rest.strip_prefix("EACH ").and_then(|rest| rest.split_once('\n')) {
            None => whole.push_str(&format!("[{case}\n")),
            Some((words, steps)) => whole.extend(
                words
                    .split(' ')
                    .map(|word| format!("[{title}: {word}\n{}\n", steps.replace("<>", word))),
            ),
        }
    }
    whole.leak()
}

/// A word of a line, or a text in quotes.
#[derive(Clone, Debug)]
enum Word {
    Plain(&'static str),
    Text(Vec<u8>),
}

fn words(line: &'static str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let (word, after) = if let Some(text) = rest.strip_prefix('"') {
            let end = end_of(text).unwrap_or_else(|| panic!("a quote without end: {line}"));
            (Word::Text(unescape(&text[..end])), &text[end + 1..])
        } else {
            let end = rest.find(' ').unwrap_or(rest.len());
            (Word::Plain(&rest[..end]), &rest[end..])
        };
        words.push(word);
        rest = after.trim_start();
    }
    words
}

/// Where a text in quotes ends.
fn end_of(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.find(|letter| {
        let ends = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        ends
    })
}

impl Word {
    fn plain(&self) -> &'static str {
        match self {
            Self::Plain(word) => word,
            Self::Text(_) => "",
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Plain(word) => unescape(word),
            Self::Text(text) => text.clone(),
        }
    }
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// `1=0 4=65535`.
fn settings(words: &[Word]) -> Option<Vec<(u16, u32)>> {
    let pairs = words.iter().map(|word| {
        let (id, value) = word.plain().split_once('=')?;
        Some((u16::try_from(number(id)?).ok()?, number(value)?))
    });
    pairs.collect()
}

/// A line of fields: `name: value`, or `@REPRESENTATION ...`; `@pair "name=value"`; `@unless "name: value"
/// "other"`: not if the name is the other.
fn field(line: &'static str) -> Option<Field> {
    let Some(special) = line.strip_prefix('@') else {
        let colon = line.get(1..).and_then(|rest| rest.find(": ")).map(|at| at + 1);
        let (name, value) = match colon {
            Some(colon) => (&line[..colon], &line[colon + 2..]),
            None => (line.strip_suffix(':').unwrap_or(line), ""),
        };
        return Some(Field::new(unescape(name), unescape(value)));
    };
    let words = words(special);
    let (kind, coding) = words[0].plain().split_once('+').unwrap_or((words[0].plain(), ""));
    let number = |word: &Word| number(word.plain()).map(u64::from);
    let text = |word: &Word| match coding {
        "h" => Text::Huffman(word.bytes()),
        _ => Text::Plain(word.bytes()),
    };
    let indexing = match kind {
        "index" => return Some(Field::Index(number(&words[1]).unwrap())),
        "size" => return Some(Field::Size(number(&words[1]).unwrap())),
        "raw" => return Some(Field::Raw(words[1].bytes())),
        "pair" => {
            let pair = words[1].bytes();
            let at = pair.iter().position(|byte| *byte == b'=').unwrap();
            return Some(Field::new(&pair[..at], &pair[at + 1..]));
        }
        "unless" => {
            let line = String::from_utf8(words[1].bytes()).unwrap();
            let (name, value) = line.split_once(": ").unwrap();
            return (name.as_bytes() != words[2].bytes()).then(|| Field::new(name, value));
        }
        "inc" => Indexing::Incremental,
        "without" => Indexing::Without,
        "never" => Indexing::Never,
        _ => panic!("no representation: @{special}"),
    };
    let name = number(&words[1]).map_or_else(|| Name::New(text(&words[1])), Name::Index);
    Some(Field::Literal(indexing, name, text(&words[2])))
}

fn steps(words: &[Word], fields: Vec<Field>, scheme: &str) -> Option<Vec<Step>> {
    let (first, rest) = words.split_first()?;
    let argument = |at: usize| rest.get(at).and_then(|word| number(word.plain()));
    let kind = match first.plain() {
        "BARE" => return Some(vec![Step::Bytes(Vec::new())]),
        "GREET" => return Some(vec![Step::Greet(settings(rest)?)]),
        "PREFACE" => return Some(vec![Step::Bytes(PREFACE.to_vec())]),
        "BYTES" => return Some(vec![Step::Bytes(rest.first()?.bytes())]),
        "TELL" => return Some(vec![Step::Tell(settings(rest)?)]),
        "ONLY" => {
            let id = u16::try_from(argument(0)?).ok()?;
            return Some(vec![Step::Only(id, argument(1)?)]);
        }
        "FEED" => return Some(vec![Step::Feed(argument(0)?)]),
        "EXCEED" => return Some(vec![Step::Exceed]),
        "QUIET" => return Some(vec![Step::Wait(Wait::RoundTrip)]),
        "WAIT" => {
            let wait = match rest.first()?.plain() {
                "ack" => Wait::Acknowledgement,
                "goaway" => Wait::GoAway,
                "head" => Wait::Head(argument(1)?),
                "end" => Wait::End(argument(1)?),
                "data" => Wait::Data(argument(1)?, argument(2)? as usize),
                _ => return None,
            };
            return Some(vec![Step::Wait(wait)]);
        }
        "WINDOW_UPDATE" => {
            return Some(vec![Step::Frame(Frame::window_update(argument(0)?, argument(1)?))]);
        }
        "RST_STREAM" => {
            let code = argument(1)?.to_be_bytes();
            return Some(vec![Step::Frame(Frame::new(kind::RST_STREAM, 0, argument(0)?, code))]);
        }
        "DATA" => kind::DATA,
        "HEADERS" => kind::HEADERS,
        "PRIORITY" => kind::PRIORITY,
        "SETTINGS" => kind::SETTINGS,
        "PUSH_PROMISE" => kind::PUSH_PROMISE,
        "PING" => kind::PING,
        "GOAWAY" => kind::GOAWAY,
        "CONTINUATION" => kind::CONTINUATION,
        "FRAME" => u8::try_from(argument(0)?).ok()?,
        _ => return None,
    };
    let rest = if first.plain() == "FRAME" { &rest[1..] } else { rest };
    frames(kind, rest, fields, scheme)
}

/// A frame with its options, and CONTINUATIONs behind it where it is split.
fn frames(kind: u8, words: &[Word], mut fields: Vec<Field>, scheme: &str) -> Option<Vec<Step>> {
    let stream = words.first().and_then(|word| number(word.plain()))?;
    let mut frame = Frame::new(kind, 0, stream, []);
    if kind == kind::HEADERS || kind == kind::CONTINUATION || kind == kind::PUSH_PROMISE {
        frame.flags |= flag::END_HEADERS;
    }
    let (mut content, mut before) = (Vec::new(), Vec::new());
    let (mut padding, mut split, mut times) = (None, None, 1);
    let mut rest = words[1..].iter();
    while let Some(word) = rest.next() {
        let (option, value) = word.plain().split_once('=').unwrap_or((word.plain(), ""));
        match option {
            "end" | "ack" => frame.flags |= flag::END_STREAM,
            "more" => frame.flags &= !flag::END_HEADERS,
            "flags" => frame.flags |= u8::try_from(number(value)?).ok()?,
            "length" => frame.length = Some(number(value)?),
            "reserved" => frame.stream |= 1 << 31,
            "pad" => padding = Some(u8::try_from(number(value)?).ok()?),
            "split" => split = Some(number(value)? as usize),
            "times" => times = number(value)? as usize,
            "prio" => {
                frame.flags |= flag::PRIORITY;
                before = priority(value)?;
            }
            "" => content.extend(word.bytes()),
            method if method.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                fields.splice(..0, request(method, scheme, &rest.next()?.bytes()));
            }
            _ => return None,
        }
    }
    content.extend(block(&fields));
    let continued = split.map(|length| content.split_off(length.min(content.len())));
    frame.payload = [before, content].concat();
    if let Some(padding) = padding {
        frame = frame.padded(padding);
    }
    if let Some(rest) = &continued {
        frame.flags &= if rest.is_empty() { 0xff } else { !flag::END_HEADERS };
    }
    let mut all = vec![Step::Frame(frame); times];
    if let (Some(rest), Some(length)) = (continued, split) {
        let parts: Vec<_> = rest.chunks(length.max(1)).collect();
        all.extend(parts.iter().enumerate().map(|(at, part)| {
            let flags = if at + 1 == parts.len() { flag::END_HEADERS } else { 0 };
            Step::Frame(Frame::new(kind::CONTINUATION, flags, stream, *part))
        }));
    }
    Some(all)
}

/// `ON:WEIGHT`, `ON:WEIGHT:x` (RFC 7540, section 6.3).
fn priority(value: &str) -> Option<Vec<u8>> {
    let mut parts = value.split(':');
    let (on, weight) = (number(parts.next()?)?, number(parts.next()?)?);
    let exclusive = u32::from(parts.next().is_some()) << 31;
    Some([&(on | exclusive).to_be_bytes()[..], &[u8::try_from(weight).ok()?]].concat())
}

/// The pseudo-headers of a request.
pub(super) fn request(method: &str, scheme: &str, path: &[u8]) -> [Field; 4] {
    [
        Field::new(":method", method),
        Field::new(":scheme", scheme),
        Field::new(":authority", "app.test"),
        Field::new(":path", path),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
[1.2] a name
EACH x y
HEADERS 1 end pad=1 GET /<>
  x-a: b
DATA 3 length=9 "\x01<>"
WAIT end 1
= alive
= closed
"#;

    #[test]
    fn a_text_becomes_cases() {
        let cases = cases(TEXT, "https");
        let names: Vec<_> = cases.iter().map(|case| case.name).collect();
        assert_eq!(names, ["a name: x", "a name: y"]);
        assert_eq!(cases[0].expected, ["alive", "closed"]);
        let [Step::Greet(_), Step::Frame(head), Step::Frame(data), Step::Wait(Wait::End(1))] =
            &cases[1].steps[..]
        else {
            panic!("{:?}", cases[1].steps)
        };
        let flags = flag::END_STREAM | flag::END_HEADERS | flag::PADDED;
        assert_eq!((head.stream, head.flags), (1, flags));
        let fields = [&request("GET", "https", b"/y")[..], &[Field::new("x-a", "b")]].concat();
        assert_eq!(head.payload, [&[1][..], &block(&fields), &[0]].concat());
        assert_eq!((&data.payload[..], data.length), (&b"\x01y"[..], Some(9)));
    }

    #[test]
    fn a_head_is_split() {
        let steps = steps(&words("HEADERS 1 end split=30 GET /x"), Vec::new(), "http").unwrap();
        let frames = steps.iter().map(|step| match step {
            Step::Frame(frame) => (frame.kind, frame.flags, frame.payload.len()),
            other => panic!("{other:?}"),
        });
        let frames: Vec<_> = frames.collect();
        let end = flag::END_HEADERS;
        assert_eq!(frames, [(kind::HEADERS, flag::END_STREAM, 30), (kind::CONTINUATION, end, 28)]);
    }
}
