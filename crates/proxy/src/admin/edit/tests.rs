//! Files with other endpoints and weights: nothing else in them changes.

use super::*;

fn order(pool: &str, endpoint: &str, weight: u16) -> SaveOrder {
    let (pool, endpoint) = (pool.to_owned(), endpoint.to_owned());
    let order = format!("weight {weight}");
    SaveOrder { pool, endpoint, weight: Some(weight), order, ..SaveOrder::default() }
}

#[test]
fn weights_are_written_and_all_else_stays() {
    let text = "# The edge of Lisbon.\n\
        [listener.web]   # in front\n\
        listen = [\"0.0.0.0:80\"]\npool = \"web\"\n\n\
        [pool]\n\
        web.endpoints = [\n    \
          \"10.0.0.1:80\",   # the old one\n    \
          { address = \"10.0.0.2:80\" },\n\
        \t{ address='10.0.0.3:80', name = \"three\" , weight=7 }, # heavy\n    \
          {address = \"10.0.0.4:80\",backup = true},\n\
        ]\n# The end.";
    let orders = [
        order("web", "10.0.0.1:80", 2),
        order("web", "10.0.0.2:80", 3),
        order("web", "three", 1),
        order("web", "10.0.0.4:80", 256),
    ];
    let edited = write(Program::Edge, text, &orders).unwrap();
    assert_eq!(edited.left_out, [""; 0]);
    assert_eq!(edited.written.len(), 4);
    let wanted = text
        .replace("\"10.0.0.1:80\",", "{ address = \"10.0.0.1:80\", weight = 2 },")
        .replace("{ address = \"10.0.0.2:80\" }", "{ address = \"10.0.0.2:80\", weight = 3 }")
        .replace("weight=7", "weight=1")
        .replace("backup = true}", "backup = true, weight = 256}");
    assert_eq!(edited.text, wanted);
}

#[test]
fn masters_and_tables_of_endpoints() {
    let masters = "masters = [\"10.0.0.1\", \"10.0.0.2\", \"10.0.0.3\"] # three\n";
    let orders = [order("apiserver", "10.0.0.2", 9)];
    let edited = write(Program::Apiserver, masters, &orders).unwrap();
    let wanted = masters.replace("\"10.0.0.2\"", "{ address = \"10.0.0.2\", weight = 9 }");
    assert_eq!(edited.text, wanted);
    let tables = "[listener.web]\nlisten = [\"0.0.0.0:80\"]\npool = \"web\"\n\
                  [[pool.web.endpoints]]\naddress = \"10.0.0.1:80\" # one\n\
                  [[pool.web.endpoints]]\naddress = \"10.0.0.2:80\" # two\n";
    let edited = write(Program::Edge, tables, &[order("web", "10.0.0.1:80", 4)]).unwrap();
    assert_eq!(edited.text, tables.replace("# one\n", "# one\nweight = 4\n"));
}

#[test]
fn what_no_file_can_say_is_told() {
    // One list for both ports: it has no weight for one of them.
    let text = "masters = [\"10.0.0.1\", \"10.0.0.2\", \"10.0.0.3\"]\nports = [6443, 9345]\n";
    let drain =
        SaveOrder { weight: None, order: "drain".to_owned(), ..order("apiserver", "10.0.0.1", 1) };
    let ends = SaveOrder { ends: true, ..order("apiserver", "10.0.0.1", 5) };
    let of_one = order("apiserver-9345", "10.0.0.1", 5);
    let gone = order("apiserver", "10.0.0.9", 5);
    let edited = write(Program::Apiserver, text, &[drain, ends, of_one, gone]).unwrap();
    assert_eq!((edited.text.as_str(), edited.written.len()), (text, 0));
    let told = ["a file cannot say it", "ends by itself", "no place for it alone", "no such"];
    for (line, told) in edited.left_out.iter().zip(told) {
        assert!(line.contains(told), "{line}");
    }
    assert_eq!(edited.left_out.len(), 4);
}

fn listed(endpoints: &str) -> String {
    format!(
        "[listener.web]\nlisten = [\"0.0.0.0:80\"]\npool = \"web\"\n[pool.web]\nendpoints = {endpoints}\n"
    )
}

fn added(endpoint: &str, address: &str, weight: u16) -> SaveOrder {
    SaveOrder { address: Some(address.to_owned()), ..order("web", endpoint, weight) }
}

fn removed(endpoint: &str) -> SaveOrder {
    SaveOrder { remove: true, weight: None, ..order("web", endpoint, 1) }
}

#[test]
fn endpoints_come_and_go_where_others_stand() {
    let comes = [added("10.0.0.9:80", "10.0.0.9:80", 1), added("ten", "10.0.0.10:80", 5)];
    let ten = "{ address = \"10.0.0.10:80\", name = \"ten\", weight = 5 }";
    let goes = [removed("10.0.0.2:80"), removed("10.0.0.3:80")];
    for (before, after) in [
        (
            "[\"10.0.0.1:80\", \"10.0.0.2:80\", \"10.0.0.3:80\"]",
            format!("[\"10.0.0.1:80\", \"10.0.0.9:80\", {ten}]"),
        ),
        (
            "[ \"10.0.0.2:80\", \"10.0.0.3:80\", \"10.0.0.1:80\" ] # all",
            format!("[ \"10.0.0.1:80\", \"10.0.0.9:80\", {ten} ] # all"),
        ),
        (
            "[\n    # Hall A\n    \"10.0.0.1:80\",  # one\n    \"10.0.0.2:80\",  # two\n    # Hall B\n    \
             \"10.0.0.3:80\",  # three\n    # more to come\n]",
            format!(
                "[\n    # Hall A\n    \"10.0.0.1:80\",  # one\n    # Hall B\n    # more to come\n    \
                 \"10.0.0.9:80\",\n    {ten},\n]"
            ),
        ),
        (
            "[\n  \"10.0.0.1:80\",\n  \"10.0.0.2:80\",\n  \"10.0.0.3:80\"\n]",
            format!("[\n  \"10.0.0.1:80\",\n  \"10.0.0.9:80\",\n  {ten}\n]"),
        ),
    ] {
        let orders = [&goes[..], &comes[..]].concat();
        let edited = write(Program::Edge, &listed(before), &orders).unwrap();
        assert_eq!(edited.left_out, [""; 0], "{}", edited.text);
        assert_eq!(edited.text, listed(&after));
    }
    // The other way round it is the same list in the end.
    let orders = [&comes[..], &goes[..]].concat();
    let edited = write(Program::Edge, &listed("[\"10.0.0.2:80\", \"10.0.0.3:80\"]"), &orders);
    assert_eq!(edited.unwrap().text, listed(&format!("[\"10.0.0.9:80\", {ten}]")));
}

#[test]
fn what_cannot_come_or_go_is_told() {
    let text = listed("[\"10.0.0.1:80\", \"10.0.0.2:80\"]");
    let orders = [
        added("10.0.0.1:80", "10.0.0.1:80", 1),
        added("one", "10.0.0.1:80", 1),
        added("nine", "10.0.0.9", 1),
        removed("10.0.0.3:80"),
    ];
    let edited = write(Program::Edge, &text, &orders).unwrap();
    assert_eq!((edited.text, edited.written.len()), (text, 0));
    let told = ["lists it already", "the same address", "has no port", "no such endpoint"];
    for (line, told) in edited.left_out.iter().zip(told) {
        assert!(line.contains(told), "{line}");
    }
}

/// One list of masters for all ports.
#[test]
fn masters_come_and_go_for_all_ports() {
    let text = "masters = [\"10.0.0.1\", \"10.0.0.2\", \"10.0.0.3\"]\nports = [6443, 9345]\n";
    let comes = SaveOrder { pool: "apiserver".to_owned(), ..added("10.0.0.4", "10.0.0.4", 1) };
    let goes = SaveOrder { pool: "apiserver".to_owned(), ..removed("10.0.0.1") };
    let edited = write(Program::Apiserver, text, &[comes, goes]).unwrap();
    assert_eq!(edited.left_out, [""; 0]);
    assert!(edited.text.starts_with("masters = [\"10.0.0.2\", \"10.0.0.3\", \"10.0.0.4\"]\n"));
}
