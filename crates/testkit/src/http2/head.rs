//! The head of a response, and what must not stand in it.

/// The head of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// `:status`.
    pub status: u16,
    /// The fields behind it.
    pub fields: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// The value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|(found, _)| found == name).map(|(_, value)| &value[..])
    }
}

/// Why a field may not stand in a response (RFC 9113, sections 8.2 to 8.2.2).
pub(super) fn fault(name: &str, value: &[u8]) -> Option<String> {
    let forbidden =
        ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    let is_wrong = name.is_empty()
        || name.bytes().any(|byte| byte.is_ascii_uppercase() || byte <= b' ' || byte >= 0x7f)
        || name[1..].contains(':')
        || value.iter().any(|byte| b"\0\r\n".contains(byte))
        || value.first().is_some_and(|byte| b" \t".contains(byte))
        || value.last().is_some_and(|byte| b" \t".contains(byte))
        || forbidden.contains(&name);
    is_wrong.then(|| format!("8.2: the field {name:?}: {:?}", value.escape_ascii().to_string()))
}

/// A response's head of its fields (RFC 9113, section 8.3.2).
pub(super) fn response(mut fields: Vec<(String, Vec<u8>)>) -> Result<Head, String> {
    let is_pseudo = |(name, _): &(String, Vec<u8>)| name.starts_with(':');
    let first = fields.first().filter(|(name, _)| name == ":status");
    let status = first.and_then(|(_, value)| str::from_utf8(value).ok()?.parse().ok());
    let Some(status @ 100..=599) = status else {
        return Err(format!("8.3.2: no status in {fields:?}"));
    };
    if fields[1..].iter().any(is_pseudo) {
        return Err(format!("8.3: a second pseudo-header in {fields:?}"));
    }
    fields.remove(0);
    Ok(Head { status, fields })
}
