//! GitHub's own description of its API, cut to the routes in use
//! (`tests/data/make-github-openapi.mjs` makes it): checks requests and answers against it, and
//! lends its examples as templates.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

struct Description {
    document: Value,
    /// Compiled schemas by JSON pointer; compiling one takes longer than using it.
    compiled: Mutex<HashMap<String, Arc<Validator>>>,
}

fn description() -> &'static Description {
    static DESCRIPTION: OnceLock<Description> = OnceLock::new();
    DESCRIPTION.get_or_init(|| Description {
        document: serde_json::from_str(include_str!("../../../data/github-openapi.json"))
            .expect("the extract of the description is JSON"),
        compiled: Mutex::default(),
    })
}

/// The example answer of a route (`GET /user`).
pub(super) fn example(route: &str) -> Value {
    let example = &description().route(route)["example"];
    assert!(example.is_object() || example.is_array(), "{route} has no example");
    example.clone()
}

/// What is wrong with a request. `body` is absent where nothing was sent.
pub(super) fn check_request(
    route: &str,
    query: &HashMap<String, String>,
    body: Option<&Value>,
) -> Vec<String> {
    let description = description();
    let declared = description.route(route);
    let mut wrong = Vec::new();
    for (name, value) in query {
        let pointer = pointer(&["routes", route, "query", name]);
        match declared["query"].get(name) {
            None => wrong.push(format!("{route}: query parameter {name} does not exist")),
            Some(schema) => {
                let value = if schema["type"] == "integer" {
                    value.parse::<i64>().map_or_else(|_| json!(value), Value::from)
                } else {
                    json!(value)
                };
                wrong.extend(description.check(&pointer, &value, &format!("{route}: query {name}")));
            }
        }
    }
    match (declared.get("body"), body) {
        (None, None) => {}
        (None, Some(_)) => wrong.push(format!("{route}: takes no body")),
        (Some(_), None) if declared["bodyRequired"] == true => wrong.push(format!("{route}: needs a body")),
        (Some(_), None) => {}
        (Some(schema), Some(body)) => {
            let pointer = pointer(&["routes", route, "body"]);
            wrong.extend(description.check(&pointer, body, &format!("{route}: request body")));
            // GitHub ignores what it does not know, so a misspelt field would do nothing, silently.
            let known = schema["properties"].as_object();
            let sent = body.as_object().into_iter().flat_map(Map::keys);
            let strange = sent.filter(|name| known.is_some_and(|known| !known.contains_key(*name)));
            wrong.extend(strange.map(|name| format!("{route}: request field {name} does not exist")));
        }
    }
    wrong
}

/// What is wrong with an answer of the played GitHub: then the test world has a fault.
pub(super) fn check_answer(route: &str, status: u16, body: &Value) -> Vec<String> {
    let description = description();
    let what = format!("{route}: answer {status}");
    let declared = description.route(route)["responses"].get(status.to_string());
    match (declared, status) {
        (Some(_), _) => {
            let status = status.to_string();
            description.check(&pointer(&["routes", route, "responses", &status]), body, &what)
        }
        // GitHub gives these on every route, whether the description lists them or not.
        (None, 400 | 401 | 403 | 404 | 410) => description.check("/$defs/basic-error", body, &what),
        (None, 422) => description.check("/$defs/validation-error", body, &what),
        (None, _) => vec![format!("{what} is not in the description")],
    }
}

impl Description {
    fn route(&self, route: &str) -> &Value {
        self.document["routes"].get(route).unwrap_or_else(|| {
            panic!("{route} is not in github-openapi.json: add it to the script that makes it")
        })
    }

    fn check(&self, pointer: &str, value: &Value, what: &str) -> Vec<String> {
        let validator = self.validator(pointer);
        validator
            .iter_errors(value)
            .map(|error| format!("{what}: {} at {}", error, error.instance_path()))
            .collect()
    }

    fn validator(&self, pointer: &str) -> Arc<Validator> {
        let mut compiled = self.compiled.lock().expect("compiling a schema failed earlier");
        let entry = compiled.entry(pointer.to_owned()).or_insert_with(|| {
            let schema = self.document.pointer(pointer).expect("a schema in the extract");
            let schema = json!({"allOf": [schema], "$defs": self.document["$defs"]});
            let options = jsonschema::options().with_draft(Draft::Draft202012);
            Arc::new(options.build(&schema).expect("a valid schema in the extract"))
        });
        Arc::clone(entry)
    }
}

fn pointer(parts: &[&str]) -> String {
    parts.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect()
}
