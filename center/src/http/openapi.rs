//! The OpenAPI description, made of the operations themselves.

use segcast_api::problem::{Code, Problem};
use serde_json::{Map, Value, json};

use super::answer::CONTENT_TYPE;
use super::op::{Op, Schemas, Who, one};

/// The description of `ops` (OpenAPI 3.1).
pub(super) fn document<'a>(ops: impl Iterator<Item = &'a Op>) -> Value {
    let mut schemas = Schemas::new();
    one::<Problem>(&mut schemas);
    let mut paths = Map::new();
    for op in ops {
        let (method, path) = op.method_and_path();
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[method.to_lowercase()] = operation(op, &mut schemas);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Segcast center",
            "version": "1",
            "description": "Accounts, orders, tickets, certificates and tokens. Problems are RFC 9457; \
                            ids 16 hexadecimal digits; bytes base64url without padding; times RFC 3339.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(op: &Op, schemas: &mut Schemas) -> Value {
    let mut operation = json!({
        "operationId": op.route,
        "summary": op.says,
        "parameters": parameters(op),
        "responses": responses(op, schemas),
    });
    if let Some(takes) = op.takes {
        let schema = takes(schemas);
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    if op.who != Who::Anyone {
        operation["security"] = json!([{ "bearer": [] }]);
    }
    operation
}

fn parameters(op: &Op) -> Vec<Value> {
    let (_, path) = op.method_and_path();
    let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut found: Vec<_> = named
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    found.extend(op.query.iter().map(|(name, says)| {
        json!({ "name": name, "in": "query", "description": says, "schema": { "type": "string" } })
    }));
    if op.once {
        found.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": true,
            "description": "The same key with the same request gives the same answer, and is done once.",
            "schema": { "type": "string", "pattern": "^[!-~]{16,64}$" },
        }));
    }
    if op.matched {
        found.push(json!({
            "name": "If-Match", "in": "header", "required": true, "description": "The ETag that was read.",
            "schema": { "type": "string" },
        }));
    }
    found
}

fn responses(op: &Op, schemas: &mut Schemas) -> Map<String, Value> {
    let mut responses = Map::new();
    let done = match (op.gives, op.raw) {
        (Some(gives), _) => Some(json!({ "application/json": { "schema": gives(schemas) } })),
        (None, Some(kind)) => Some(json!({ kind: { "schema": { "type": "string" } } })),
        (None, None) => None,
    };
    let (status, done) = match done {
        Some(content) => ("200", json!({ "description": "Done", "content": content })),
        None => ("204", json!({ "description": "Done" })),
    };
    responses.insert(status.to_owned(), done);
    let is_read = op.method_and_path().0 == "GET";
    if is_read && (op.raw.is_some() || op.route.contains('{') || op.route.ends_with("/account")) {
        responses.insert("304".into(), json!({ "description": "As `If-None-Match` says" }));
    }
    let mut by_status = std::collections::BTreeMap::<u16, Vec<Code>>::new();
    for code in op.problems() {
        by_status.entry(code.status()).or_default().push(code);
    }
    for (status, codes) in by_status {
        let lines = codes.iter().map(|code| format!("`{code}`: {}", code.title()));
        let description = lines.collect::<Vec<_>>().join("; ");
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        let content = json!({ CONTENT_TYPE: { "schema": schema } });
        responses
            .insert(status.to_string(), json!({ "description": description, "content": content }));
    }
    responses
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(target)) = map.get("$ref") {
                    found.insert(target.clone());
                }
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn the_description_is_whole_and_every_operation_has_its_codes() {
        let api = crate::http::routes::all();
        let document = document(api.ops.iter().map(|op| &**op));
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 20, "{found:?}");
        for target in found {
            let name = target.strip_prefix("#/components/schemas/").expect("a schema of ours");
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
        for op in &api.ops {
            let (method, path) = op.method_and_path();
            let responses = &document["paths"][path][method.to_lowercase()]["responses"];
            for code in op.problems() {
                let description = responses[code.status().to_string()]["description"].as_str();
                assert!(
                    description.unwrap_or_default().contains(&format!("`{code}`")),
                    "{}: {code}",
                    op.route
                );
            }
            let is_write = method == "POST" && op.who != Who::Anyone;
            assert!(!is_write || op.takes.is_some(), "{}: what it takes is bounded", op.route);
        }
        let routes: BTreeSet<_> = api.ops.iter().map(|op| op.route).collect();
        assert_eq!(routes.len(), api.ops.len(), "each once");
    }
}
