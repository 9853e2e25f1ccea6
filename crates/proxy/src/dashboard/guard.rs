//! Who is let in. Names first: a page of somebody else's site can give its own name the address of
//! this host and then ask as if it were ours (DNS rebinding), but it cannot ask by a plain address or
//! as `localhost`. Then origins: no other site's page changes anything here, or reads it. Then, for
//! orders, the token, which a browser never sends by itself.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HOST, HeaderName, ORIGIN};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Where a request comes from, as the browser says (Fetch Metadata, section 2).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What the answer is for.
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The page itself: a link may lead there from anywhere.
    Page,
    /// What the page asks for.
    Part,
}

/// The host that a request names, if it is one of ours; else what is wrong with it, in words.
pub(super) fn host<'a>(headers: &'a HeaderMap, hosts: &[Arc<str>]) -> Result<&'a str, String> {
    let mut named = headers.get_all(HOST).iter();
    let (Some(first), None) = (named.next(), named.next()) else {
        return Err("a request names one Host".to_owned());
    };
    let written = first.to_str().map_err(|_| "the Host of the request is no text".to_owned())?;
    let name = without_port(written);
    let is_address = name.parse::<Ipv4Addr>().is_ok()
        || name
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']')?.parse::<Ipv6Addr>().ok())
            .is_some();
    let is_ours = is_address
        || name.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|host| name.eq_ignore_ascii_case(host));
    match is_ours {
        true => Ok(written),
        false => Err(
            "this is not a name of the dashboard: ask by address, or name it in `dashboard.hosts`"
                .to_owned(),
        ),
    }
}

/// `localhost` of `localhost:9901`, `[::1]` of `[::1]:9901`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            // An address of IPv6 without brackets is none of HTTP's forms.
            if name.contains(':') && !name.ends_with(']') { host } else { name }
        }
        _ => host,
    }
}

/// Whether a request comes from the page itself, or from no page at all. `host`: what it names.
pub(super) fn is_own(headers: &HeaderMap, host: &str, wanted: Wanted) -> bool {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let origin = match text(&ORIGIN) {
        None => true,
        Some(origin) => ["http://", "https://"].iter().any(|scheme| {
            origin.strip_prefix(scheme).is_some_and(|of| of.eq_ignore_ascii_case(host))
        }),
    };
    let site = match (text(&SEC_FETCH_SITE), wanted) {
        (None | Some("same-origin" | "none"), _) => true,
        (Some(_), Wanted::Page) => text(&SEC_FETCH_DEST) == Some("document"),
        (Some(_), Wanted::Part) => false,
    };
    origin && site
}

/// Whether a request has this token: `Authorization: Bearer TOKEN` (RFC 6750, section 2.1). Takes as
/// long whichever of its characters are right.
pub(super) fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let token = token.trim_ascii();
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(given) = given.and_then(|value| value.strip_prefix("Bearer ")) else { return false };
    let hash = |text: &str| digest(&SHA256, text.as_bytes());
    // A file that has become empty opens nothing.
    !token.is_empty()
        && verify_slices_are_equal(hash(given.trim_ascii()).as_ref(), hash(token).as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn it_is_asked_by_its_names_alone() {
        let hosts = ["lb.example.net".into()];
        let is_ours = |name: &str| host(&headers(&[("host", name)]), &hosts).is_ok();
        for name in [
            "127.0.0.1:9901",
            "127.0.0.1",
            "[::1]:9901",
            "localhost:1234",
            "LOCALHOST",
            "10.0.0.9:80",
            "lb.example.net",
            "LB.example.net:9901",
        ] {
            assert!(is_ours(name), "{name}");
        }
        for name in [
            "",
            "evil.test",
            "evil.test:9901",
            "127.0.0.1.evil.test",
            "localhost.evil.test",
            "localhost:80@evil.test",
            "lb.example.net.evil.test",
            "127.1",
            "2130706433",
            "::1",
            "[::1",
            "127.0.0.1:9901:80",
            "[evil.test]",
        ] {
            assert!(!is_ours(name), "{name}");
        }
        assert!(host(&headers(&[]), &hosts).is_err(), "none");
        assert!(host(&headers(&[("host", "localhost"), ("host", "localhost")]), &hosts).is_err());
    }

    #[test]
    fn no_other_site_asks() {
        let is_own = |fields: &[(&'static str, &str)], wanted| {
            is_own(&headers(fields), "127.0.0.1:9901", wanted)
        };
        assert!(is_own(&[], Wanted::Part), "curl");
        let own = ("origin", "http://127.0.0.1:9901");
        assert!(is_own(&[own, ("sec-fetch-site", "same-origin")], Wanted::Part));
        assert!(is_own(&[("sec-fetch-site", "none")], Wanted::Page), "typed");
        for origin in [
            "null",
            "http://127.0.0.1",
            "http://127.0.0.1:9902",
            "http://evil.test",
            "http://127.0.0.1:9901.evil.test",
            "file://127.0.0.1:9901",
        ] {
            assert!(!is_own(&[("origin", origin)], Wanted::Part), "{origin}");
        }
        for site in ["cross-site", "same-site", "?"] {
            assert!(!is_own(&[("sec-fetch-site", site)], Wanted::Part), "{site}");
            assert!(!is_own(&[own, ("sec-fetch-site", site)], Wanted::Part), "{site}");
        }
        let from_a_wiki = [("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "document")];
        assert!(is_own(&from_a_wiki, Wanted::Page));
        assert!(!is_own(&from_a_wiki, Wanted::Part));
        let framed = [("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "iframe")];
        assert!(!is_own(&framed, Wanted::Page));
    }

    #[test]
    fn the_token_is_the_whole_token() {
        let has = |given: &str, token| has_token(&headers(&[("authorization", given)]), token);
        let token = "0123456789abcdef\n";
        assert!(has("Bearer 0123456789abcdef", token));
        for wrong in [
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Bearer 0123456789abcdeF",
            "Bearer ",
            "0123456789abcdef",
            "Basic 0123456789abcdef",
        ] {
            assert!(!has(wrong, token), "{wrong}");
        }
        assert!(!has("Bearer ", " \n"), "an empty file opens nothing");
        assert!(!has_token(&headers(&[]), token));
    }
}
