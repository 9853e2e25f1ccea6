//! `eclusa-edge errors`: the last messages that were refused, with reason and bytes.

use crate::bed::Bed;
use crate::figures::ask;
use crate::recorder::path_of;
use eclusa_testkit::netns::skipped;
use serde_json::Value;

/// Says a request that is refused, to the end of the connection.
fn refused(bed: &Bed, request: &str) -> String {
    let mut wire = bed.connect();
    let _ = wire.say(request.as_bytes());
    let (bytes, _) = wire.hear_to_end().unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn errors(bed: &Bed) -> Value {
    serde_json::from_str(&ask(bed, &["errors", "--json"])).unwrap()
}

#[test]
fn what_was_refused_is_shown_with_the_place_of_the_trouble() {
    if skipped("what_was_refused_is_shown_with_the_place_of_the_trouble") {
        return;
    }
    let bed = Bed::without_nginx("");
    assert_eq!(ask(&bed, &["errors"]), "0 messages refused\n");
    let head = "GET /lf HTTP/1.1\r\nHost: app.test\r\nCookie: s3cret\r\nX-Marked: a\nX: b\r\n\r\n";
    assert!(refused(&bed, head).starts_with("HTTP/1.1 400 "));
    let chunks = "POST /chunks HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n\
                  5\r\nhello\r\nzz\r\n";
    refused(&bed, chunks);
    let answer =
        "HTTP/1.1 200 OK\r\nSet-Cookie: s3cret\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx";
    let path = path_of(answer.as_bytes());
    let got = bed.connect().get("app.test", &path).unwrap();
    assert_eq!(got.status, 502);
    let body = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n2x\r\n";
    let path = path_of(body.as_bytes());
    refused(&bed, &format!("GET {path} HTTP/1.1\r\nHost: app.test\r\n\r\n"));

    let told = errors(&bed);
    let messages = told["messages"].as_array().unwrap();
    let short = |message: &Value| {
        let text = |key: &str| message[key].as_str().unwrap_or("-").to_owned();
        [text("message"), text("part"), text("reason"), text("pool"), text("endpoint")].join(" ")
    };
    let wanted = [
        "request head bare_lf - -",
        "request body chunk_size - -",
        "answer head length_differs recorder 10.0.1.105:80",
        "answer body chunk_size recorder 10.0.1.105:80",
    ];
    assert_eq!(messages.iter().map(short).collect::<Vec<_>>(), wanted, "{told}");
    assert_eq!(told["total"], 4);
    let lf = &messages[0];
    let blanked = head.replace(" s3cret", "*******").replace('\r', "\\r").replace('\n', "\\n");
    assert_eq!(lf["bytes"], blanked);
    assert_eq!((&lf["length"], &lf["from"]), (&head.len().into(), &0.into()));
    assert_eq!(lf["offset"], head.find("\nX: b").unwrap(), "{lf}");
    assert!(lf["client"].as_str().unwrap().starts_with("203.0.113.11:"), "{lf}");
    assert_eq!(lf["listener"], "plain");
    let zz = &messages[1];
    let offset = usize::try_from(zz["offset"].as_u64().unwrap()).unwrap();
    let before = "5\\r\\nhello\\r\\n";
    let bytes = zz["bytes"].as_str().unwrap();
    assert!(bytes.ends_with("zz\\r\\n") && offset <= "5..hello..".len(), "{zz} {before}");

    let page = ask(&bed, &["errors"]);
    for line in [
        "  bare_lf: an LF without CR",
        r"      18  Host: app.test\r\n",
        "at plain",
        "answer of recorder/10.0.1.105:80 to 203.0.113.11:",
        "4 messages refused",
    ] {
        assert!(page.contains(line), "{line} is not in:\n{page}");
    }
    let marked = page.lines().position(|line| line.contains("X-Marked: a")).unwrap();
    let (line, mark) = (page.lines().nth(marked).unwrap(), page.lines().nth(marked + 1).unwrap());
    assert_eq!(line.find("\\n"), mark.find('^'), "{line}\n{mark}");
    assert!(!page.contains("s3cret") && !told.to_string().contains("s3cret"));
    let log = bed.edge.stderr_lines().join("\n");
    assert!(
        !log.contains("X-Marked") && !log.contains("s3cret"),
        "bytes of messages are in no log"
    );
}

#[test]
fn a_hundred_are_kept_and_long_ones_are_cut() {
    if skipped("a_hundred_are_kept_and_long_ones_are_cut") {
        return;
    }
    let bed = Bed::without_nginx("");
    let long = "x".repeat(20_000);
    refused(&bed, &format!("GET /long HTTP/1.1\r\nHost: app.test\r\nX: {long}\0\r\n\r\n"));
    let told = errors(&bed);
    let (long, bytes) = (&told["messages"][0], told["messages"][0]["bytes"].as_str().unwrap());
    assert!(bytes.len() < 4_200 && bytes.contains(r"xx\x00\r\n"), "{long}");
    assert!(long["from"].as_u64().unwrap() > 16_000, "{long}");
    for number in 0..120 {
        refused(&bed, &format!("GET /{number} HTTP/1.1\r\nno colon\r\n\r\n"));
    }
    let told = errors(&bed);
    assert_eq!((&told["total"], told["messages"].as_array().unwrap().len()), (&121.into(), 100));
    let last = told["messages"][99]["bytes"].as_str().unwrap();
    assert!(last.starts_with("GET /119 "), "{last}");
    let page = ask(&bed, &["errors"]);
    assert!(page.ends_with("121 messages refused, the last 100 here\n"));
}
