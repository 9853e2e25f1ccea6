//! HAProxy's log-format strings as texts with variables.

use crate::model::acl::{parenthesis, split};

/// What `%x` stands for, where there is a variable for it.
const SHORT: [(&str, &str); 6] = [
    ("ci", "{client}"),
    ("cp", "{client_port}"),
    ("HM", "{method}"),
    ("HPO", "{path}"),
    ("ID", "{id}"),
    ("fp", "{port}"),
];

/// A text with variables; `answers`: it is for one. A `%` that begins nothing is itself, `%%` is one.
///
/// # Errors
/// There is no such variable.
pub(crate) fn template(text: &str, answers: bool) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('%') {
        out.push_str(&braces(&rest[..at]));
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix('%') {
            out.push('%');
            rest = after;
        } else if let Some(inside) = after.strip_prefix('[') {
            let end = closing(inside).ok_or("a `%[` has no `]`: HAProxy refuses it")?;
            out.push_str(&sample(&inside[..end], answers)?);
            rest = &inside[end + 1..];
        } else {
            let bare = match after.strip_prefix('{') {
                Some(flags) => flags.split_once('}').map_or("", |(_, bare)| bare),
                None => after,
            };
            let known = SHORT.iter().find(|(name, _)| bare.starts_with(name));
            let Some((name, variable)) = known else {
                let name: String = bare.chars().take_while(char::is_ascii_alphanumeric).collect();
                return Err(format!("there is no variable for `%{name}`"));
            };
            out.push_str(variable);
            rest = &bare[name.len()..];
        }
    }
    out.push_str(&braces(rest));
    Ok(out)
}

fn braces(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// Where the `]` of a sample is.
pub(super) fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, char) in text.char_indices() {
        match char {
            '[' => depth += 1,
            ']' if depth == 0 => return Some(at),
            ']' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn sample(text: &str, answers: bool) -> Result<String, String> {
    let parts = split(text);
    let none = || format!("there is no variable for `%[{text}]`");
    let [whole] = &parts[..] else { return Err(none()) };
    let (fetch, argument) = parenthesis(whole);
    let argument = argument.unwrap_or_default().trim_matches(['"', '\'']);
    Ok(match fetch {
        "src" => "{client}".to_owned(),
        "src_port" => "{client_port}".to_owned(),
        "dst_port" => "{port}".to_owned(),
        "path" => "{path}".to_owned(),
        "query" => "{query}".to_owned(),
        "method" => "{method}".to_owned(),
        "ssl_fc_sni" => "{sni}".to_owned(),
        "unique-id" | "uuid" => "{id}".to_owned(),
        "str" => braces(argument),
        "req.ver" | "req_ver" => "{http_version}".to_owned(),
        "ssl_fc_protocol" => "{tls_version}".to_owned(),
        "hostname" => "{hostname}".to_owned(),
        "be_name" if answers => "{pool}".to_owned(),
        "srv_name" if answers => "{endpoint}".to_owned(),
        // Those of the answer.
        "hdr" if answers => return Err(none()),
        "hdr" | "req.hdr" | "req.fhdr" if argument.eq_ignore_ascii_case("host") => {
            "{host}".to_owned()
        }
        "hdr" | "req.hdr" | "req.fhdr" if is_field(argument) => format!("{{header:{argument}}}"),
        _ => return Err(none()),
    })
}

/// The name of a header field.
pub(crate) fn is_field(name: &str) -> bool {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !name.is_empty() && name.chars().all(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_those_that_there_are() {
        for (text, expected) in [
            ("https", "https"),
            ("100%%", "100%"),
            ("{x}", "{{x}}"),
            ("%[src]:%[src_port]", "{client}:{client_port}"),
            ("%ci", "{client}"),
            ("%[req.hdr(X-Id)]", "{header:X-Id}"),
            ("%[hdr(Host)]", "{host}"),
            ("%[str(\"a b\")]", "a b"),
            ("%{+Q}ID", "{id}"),
        ] {
            assert_eq!(template(text, false).as_deref(), Ok(expected), "{text}");
        }
        for wrong in ["%[var(txn.a)]", "%[src,lower]", "%[src", "%ST", "%[hdr()]", "%[be_name]"] {
            assert!(template(wrong, false).is_err(), "{wrong}");
        }
        let of_answers = "%[be_name]/%[srv_name] %[req.ver] %[req.hdr(X-Id)]";
        let expected = "{pool}/{endpoint} {http_version} {header:X-Id}";
        assert_eq!(template(of_answers, true).as_deref(), Ok(expected));
        assert!(template("%[hdr(X-Id)]", true).is_err());
    }
}
