//! The table of keys as a JSON Schema (draft 2020-12), with which editors complete and check a file
//! while it is being written: `docs/apiserver.schema.json`, `docs/edge.schema.json`.
//!
//! It says what a table can say: names, types, ranges, forms. What `check` knows beside that (names
//! that lead nowhere, contradictions, the host) is not in it; what it refuses `check` refuses too.

use super::{Default, Key, Kind, Section, root, walk};
use crate::plan::{ByteSize, Program};
use serde_json::{Map, Value, json};
use std::ptr;

/// What a name of a table may be (`values::label`).
const LABEL: &str = "^[A-Za-z0-9_.:\\[\\]-]{1,64}$";

/// The whole schema, as text.
#[must_use]
pub fn schema(program: Program) -> String {
    let names = names(program);
    let mut whole = object(root(program), program, &names);
    let definitions: Map<_, _> = names
        .iter()
        .map(|(name, section)| (name.clone(), Value::Object(object(section, program, &names))))
        .collect();
    whole.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    whole.insert("title".into(), json!(format!("Configuration of {}", program.name())));
    whole.insert("$defs".into(), Value::Object(definitions));
    // A map of texts, numbers and maps has nothing that could fail.
    serde_json::to_string_pretty(&whole).unwrap_or_default() + "\n"
}

/// Every section below the top with the name of its definition: the first path that leads there.
type Names = Vec<(String, &'static Section)>;

fn names(program: Program) -> Names {
    let mut names: Names = Vec::new();
    walk(program, &mut |path, section| {
        if !path.is_empty() && !names.iter().any(|(_, known)| ptr::eq(*known, section)) {
            names.push((path.to_owned(), section));
        }
    });
    names
}

fn object(section: &'static Section, program: Program, names: &Names) -> Map<String, Value> {
    let properties: Map<_, _> = section
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), property(key, program, names)))
        .collect();
    let required: Vec<_> = section
        .keys
        .iter()
        .filter(|key| matches!(key.default, Default::Required))
        .map(|key| key.name)
        .collect();
    let mut object = Map::new();
    object.insert("type".into(), json!("object"));
    object.insert("description".into(), json!(section.help));
    object.insert("properties".into(), Value::Object(properties));
    object.insert("additionalProperties".into(), json!(false));
    if !required.is_empty() {
        object.insert("required".into(), json!(required));
    }
    object
}

fn property(key: &Key, program: Program, names: &Names) -> Value {
    let mut property = of_kind(&key.kind, names);
    let words = match (key.default, key.default.value(program)) {
        (_, Some(value)) => format!(" Default: `{value}`."),
        (Default::Required, None) => String::new(),
        (Default::Words(words) | Default::EdgeInWords { edge: words, .. }, None) => {
            format!(" Default: {words}.")
        }
        (Default::Value(_) | Default::ByProgram { .. }, None) => String::new(),
    };
    if let Some(fields) = property.as_object_mut() {
        fields.insert("description".into(), json!(format!("{}{words}", key.help)));
        if let Some(value) = key.default.value(program).and_then(in_json) {
            fields.insert("default".into(), value);
        }
    }
    property
}

/// A default, which the table has in TOML.
fn in_json(text: &str) -> Option<Value> {
    let table: toml::Table = format!("value = {text}").parse().ok()?;
    table.get("value").map(converted)
}

fn converted(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => json!(text),
        toml::Value::Integer(number) => json!(number),
        toml::Value::Float(number) => json!(number),
        toml::Value::Boolean(flag) => json!(flag),
        toml::Value::Datetime(time) => json!(time.to_string()),
        toml::Value::Array(items) => items.iter().map(converted).collect(),
        toml::Value::Table(table) => {
            table.iter().map(|(name, value)| (name.clone(), converted(value))).collect()
        }
    }
}

/// A reference to the definition of a section.
fn below(section: &'static Section, names: &Names) -> Value {
    let named = names.iter().find(|(_, known)| ptr::eq(*known, section));
    let name = named.map_or("", |(name, _)| name);
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// A text with something in it.
fn text() -> Value {
    json!({ "type": "string", "minLength": 1 })
}

fn form(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

fn of_kind(kind: &Kind, names: &Names) -> Value {
    let below = |section: &'static Section| below(section, names);
    match kind {
        Kind::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Fraction => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Choice(words) => json!({ "enum": words }),
        Kind::Duration { never: true, .. } => form("^([0-9]+(ms|s|m|h|d)|never)$"),
        Kind::Duration { never: false, .. } => form("^[0-9]+(ms|s|m|h|d)$"),
        Kind::Size { min, max } => {
            let (min, max) = (ByteSize(*min), ByteSize(*max));
            let range = format!("From {min} to {max}.");
            json!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)$", "$comment": range })
        }
        Kind::Path(_) | Kind::RequestPath | Kind::ComparedPath => form("^/"),
        Kind::RequestPathOrNone => form("^(/|none$)"),
        Kind::HttpAddress => form("^http://"),
        Kind::Status => form("^[1-5](xx|[0-9][0-9])(-[1-5][0-9][0-9])?$"),
        Kind::FileMode => form("^[0-7]{3,4}$"),
        Kind::Fingerprint => form("^[0-9A-Fa-f:]{64,95}$"),
        Kind::HashBy => form("^(path$|header:|cookie:|query:)"),
        Kind::Label => form(LABEL),
        // Where a text is asked of somebody else's, it may be empty.
        Kind::Body | Kind::Text => json!({ "type": "string" }),
        Kind::Endpoint(section) | Kind::Master(section) => {
            json!({ "anyOf": [text(), below(section)] })
        }
        Kind::SendProxy(section) => json!({ "anyOf": [{ "enum": ["v1", "v2"] }, below(section)] }),
        Kind::List(item) => {
            let item = of_kind(item, names);
            json!({ "anyOf": [item, { "type": "array", "items": item, "minItems": 1 }] })
        }
        Kind::Table(section) => below(section),
        Kind::TableOrFalse(section) => json!({ "anyOf": [{ "const": false }, below(section)] }),
        Kind::Switch(section) => json!({ "anyOf": [{ "type": "boolean" }, below(section)] }),
        Kind::Tables(section) => {
            json!({ "type": "array", "items": below(section), "minItems": 1 })
        }
        Kind::Named(section) => json!({
            "type": "object",
            "propertyNames": { "pattern": LABEL },
            "additionalProperties": below(section),
        }),
        Kind::Matching(section) => {
            let text = of_kind(&Kind::Text, names);
            let texts = json!({ "type": "array", "items": text, "minItems": 1 });
            let asked = json!({ "anyOf": [text, texts, { "const": true }, below(section)] });
            json!({ "type": "object", "additionalProperties": asked, "minProperties": 1 })
        }
        Kind::Fields => json!({
            "type": "object",
            "additionalProperties": { "type": "string" },
            "minProperties": 1,
        }),
        Kind::Shares | Kind::Numbers { .. } => json!({
            "type": "object",
            "additionalProperties": { "type": "integer", "minimum": 0 },
            "minProperties": 1,
        }),
        _ => text(),
    }
}
