//! Parameters of a query and cookies: names and values inside one text.

use super::path::decoded;
use super::request::Request;

/// Whether `holds` says yes to the value of one of the parameters `name` of a query. Names and
/// values are taken as forms write them: percent-encoded, `+` for a space; a parameter without `=`
/// has an empty value.
pub fn query(query: &str, name: &str, mut holds: impl FnMut(&str) -> bool) -> bool {
    query.split('&').any(|pair| {
        let (field, value) = pair.split_once('=').unwrap_or((pair, ""));
        decoded(field, true) == name && !pair.is_empty() && holds(&decoded(value, true))
    })
}

/// Whether `holds` says yes to the value of one of the cookies `name` (RFC 6265, section 4.2),
/// without the quotes that it may stand in.
pub fn cookie(request: &dyn Request, name: &str, holds: &mut dyn FnMut(&str) -> bool) -> bool {
    request.header("cookie", &mut |cookies| {
        cookies.split(';').any(|pair| {
            let Some((field, value)) = pair.split_once('=') else { return false };
            let value = value.trim_matches([' ', '\t']);
            let bare = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            field.trim_matches([' ', '\t']) == name && holds(bare.unwrap_or(value))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::Written;
    use super::*;

    fn values(text: &str, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        query(text, name, |value| {
            found.push(value.to_owned());
            false
        });
        found
    }

    #[test]
    fn parameters_are_read_as_forms_write_them() {
        assert_eq!(values("a=1&b=2&a=3", "a"), ["1", "3"]);
        assert_eq!(values("a", "a"), [""]);
        assert_eq!(values("%61=x%20y+z", "a"), ["x y z"]);
        assert_eq!(values("a=b=c&&=d", "a"), ["b=c"]);
        assert_eq!(values("aa=1", "a"), Vec::<String>::new());
    }

    #[test]
    fn cookies_are_found_in_every_field() {
        let request = Written::get("a.test", "/")
            .with_header("Cookie", "a=1; b=\"two\";c=x=y")
            .with_header("cookie", "d");
        for (name, value) in [("a", "1"), ("b", "two"), ("c", "x=y")] {
            assert!(cookie(&request, name, &mut |found| found == value), "{name}");
        }
        assert!(!cookie(&request, "d", &mut |_| true));
        assert!(!cookie(&request, "A", &mut |_| true));
    }
}
