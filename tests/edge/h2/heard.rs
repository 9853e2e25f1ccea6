//! What an endpoint has got, read by the letter of RFC 9112: one meaning, or none.

/// A request.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    pub(super) method: String,
    pub(super) target: Vec<u8>,
    /// Names in small letters.
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Vec<(String, Vec<u8>)>,
    /// All its bytes.
    pub(super) bytes: Vec<u8>,
}

impl Heard {
    fn value(&self, name: &str) -> Result<Option<&[u8]>, String> {
        let mut found = self.fields.iter().filter(|(found, _)| found == name);
        let first = found.next().map(|(_, value)| &value[..]);
        match found.next() {
            None => Ok(first),
            Some(_) => Err(format!("{name} twice")),
        }
    }
}

/// The requests of a connection, and whether it ends within one, which is then the last.
///
/// # Errors
/// The bytes are no requests, or no clear ones.
pub(super) fn requests(bytes: &[u8]) -> Result<(Vec<Heard>, bool), String> {
    let mut requests = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (heard, whole) = request(rest).map_err(|why| {
            let shown = &rest[..rest.len().min(400)];
            format!("{why} in {:?}", shown.escape_ascii().to_string())
        })?;
        rest = &rest[heard.bytes.len()..];
        requests.push(heard);
        if !whole {
            return Ok((requests, true));
        }
    }
    Ok((requests, false))
}

/// The first request of `bytes`, and whether all of it is there.
fn request(bytes: &[u8]) -> Result<(Heard, bool), String> {
    let mut rest = bytes;
    let mut heard = Heard::default();
    let Some(first) = line(&mut rest)? else {
        return Ok((Heard { bytes: bytes.to_vec(), ..heard }, false));
    };
    let words: Vec<_> = first.split(|byte| *byte == b' ').collect();
    let [method, target, b"HTTP/1.1"] = words[..] else {
        return Err(format!("{} is no request line", first.escape_ascii()));
    };
    heard.method = String::from_utf8(method.to_vec()).map_err(|error| error.to_string())?;
    heard.target = target.to_vec();
    let Some(fields) = fields(&mut rest)? else {
        return Ok((Heard { bytes: bytes.to_vec(), ..heard }, false));
    };
    heard.fields = fields;
    heard.value("host")?.ok_or("no host")?;
    let length = heard.value("content-length")?.map(number).transpose()?;
    let coding = heard.value("transfer-encoding")?;
    let whole = match (length, coding) {
        (Some(_), Some(_)) => return Err("two lengths".into()),
        (None, None) => true,
        (Some(length), None) => {
            let taken = length.min(rest.len());
            heard.body = rest[..taken].to_vec();
            rest = &rest[taken..];
            taken == length
        }
        (None, Some(b"chunked")) => chunks(&mut rest, &mut heard)?,
        (None, Some(_)) => return Err("another coding than chunked".into()),
    };
    let end = if whole { bytes.len() - rest.len() } else { bytes.len() };
    heard.bytes = bytes[..end].to_vec();
    Ok((heard, whole))
}

/// The next line; `None`: its end is not there.
fn line<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, String> {
    let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
    let (line, after) = (&rest[..end], &rest[end + 2..]);
    if line.iter().any(|byte| b"\0\r\n".contains(byte)) {
        return Err(format!("a control character in the line {}", line.escape_ascii()));
    }
    *rest = after;
    Ok(Some(line))
}

type Fields = Vec<(String, Vec<u8>)>;

/// Fields to the empty line; `None`: they are not all there.
fn fields(rest: &mut &[u8]) -> Result<Option<Fields>, String> {
    let mut fields = Vec::new();
    loop {
        let Some(line) = line(rest)? else { return Ok(None) };
        if line.is_empty() {
            return Ok(Some(fields));
        }
        let wrong = || format!("{} is no field", line.escape_ascii());
        let colon = line.iter().position(|byte| *byte == b':').ok_or_else(wrong)?;
        let is_token =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || !name.iter().all(is_token) {
            return Err(wrong());
        }
        fields.push((String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec()));
    }
}

fn number(value: &[u8]) -> Result<usize, String> {
    let text = String::from_utf8_lossy(value);
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_plain);
    number.ok_or_else(|| format!("the length {text:?}"))
}

/// Chunks and trailers; whether all are there.
fn chunks(rest: &mut &[u8], heard: &mut Heard) -> Result<bool, String> {
    loop {
        let Some(size) = line(rest)? else { return Ok(false) };
        let is_plain = !size.is_empty() && size.iter().all(u8::is_ascii_hexdigit);
        let size = String::from_utf8_lossy(size).into_owned();
        let size = usize::from_str_radix(&size, 16).ok().filter(|_| is_plain);
        let size = size.ok_or("a chunk without a plain size")?;
        if size == 0 {
            break;
        }
        if rest.len() < size + 2 {
            return Ok(false);
        }
        heard.body.extend_from_slice(&rest[..size]);
        if &rest[size..size + 2] != b"\r\n" {
            return Err("a chunk that does not end where it says".into());
        }
        *rest = &rest[size + 2..];
    }
    let Some(trailers) = fields(rest)? else { return Ok(false) };
    let framing = ["content-length", "transfer-encoding", "host", "connection", "te", "upgrade"];
    if let Some((name, _)) = trailers.iter().find(|(name, _)| framing.contains(&name.as_str())) {
        return Err(format!("the trailer {name}"));
    }
    heard.trailers = trailers;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_to_their_ends() {
        let two = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\n\
            Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-A: b\r\n\r\n";
        let (all, cut) = requests(two).unwrap();
        assert_eq!((all.len(), cut), (2, false));
        assert_eq!((&all[1].body[..], &all[1].trailers[0].1[..]), (&b"abc"[..], &b"b"[..]));
        let (all, cut) = requests(&two[..two.len() - 1]).unwrap();
        assert_eq!((all.len(), cut), (2, true));
    }

    #[test]
    fn what_is_unclear_is_told() {
        for wrong in [
            "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: a\r\nX: y\nZ: a\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nabcde",
            "GET /a HTTP/1.1\r\n\r\n",
        ] {
            assert!(requests(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
