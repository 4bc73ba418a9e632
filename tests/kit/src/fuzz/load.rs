//! What people and files tell the load generator: objectives, stored results.

use std::path::Path;

use segcast_load::report;
use segcast_load::result::LoadResult;
use segcast_load::slo::Slo;
use serde_json::{Number, Value};

use super::script::{Script, Steps};
use super::seed::Seed;

/// A result as it is stored.
const EXAMPLE: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../client/load/schema/example.json"));
/// Changes of the example in one input.
const CHANGES: usize = 8;
/// How deep a change may lie.
const DEPTH: usize = 12;

/// Reads `data` as an objective, as a stored result, or as changes of one.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    match script.choose(3) {
        0 => objective(&String::from_utf8_lossy(script.rest())),
        1 => result(&String::from_utf8_lossy(script.rest())),
        _ => {
            let mut value: Value = serde_json::from_str(EXAMPLE).expect("the example is JSON");
            for _ in 0..script.choose(CHANGES + 1) {
                change(&mut value, &mut script, DEPTH);
            }
            result(&value.to_string());
        }
    }
}

/// An objective says what was written, and reads again as the same.
fn objective(text: &str) {
    match text.parse::<Slo>() {
        Ok(slo) => {
            assert_eq!(slo.to_string(), text.trim());
            assert_eq!(slo.to_string().parse::<Slo>(), Ok(slo));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Whatever can be read can be reported, and stored again.
fn result(text: &str) {
    let path = Path::new("stored.json");
    match LoadResult::parse(path, text) {
        Ok(result) => {
            assert!(!report::text(&result).is_empty());
            assert!(report::html(&result).ends_with("</html>"));
            let again = report::json(&result).expect("what was read can be written");
            assert_eq!(LoadResult::parse(path, &again).expect("and read again"), result);
        }
        Err(error) => assert!(error.to_string().contains("stored.json")),
    }
}

/// Puts something else somewhere.
fn change(value: &mut Value, script: &mut Script<'_>, depth: usize) {
    if depth > 0 && !script.byte().is_multiple_of(8) {
        match value {
            Value::Array(items) if !items.is_empty() => {
                let at = script.choose(items.len());
                return change(&mut items[at], script, depth - 1);
            }
            Value::Object(fields) if !fields.is_empty() => {
                let at = script.choose(fields.len());
                let field = fields.values_mut().nth(at).expect("it was chosen among them");
                return change(field, script, depth - 1);
            }
            _ => {}
        }
    }
    *value = other(value, script);
}

/// What stands there instead of `value`.
fn other(value: &Value, script: &mut Script<'_>) -> Value {
    match script.choose(9) {
        0 => Value::Null,
        1 => script.flag().into(),
        2 => script.wide().into(),
        3 => script.wide().cast_signed().into(),
        4 => Number::from_f64(f64::from_bits(script.wide())).map_or(Value::Null, Value::Number),
        5 => String::from_utf8_lossy(script.counted()).into(),
        6 => Value::Array(Vec::new()),
        7 => vec![value.clone(); script.choose(4)].into(),
        _ => 0.into(),
    }
}

/// Objectives of every kind, the smallest result, changes that leave a result and such that do not.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let objective =
        |name: &str, text: &str| Seed::new(name, Steps::new().byte(0).bytes(text.as_bytes()));
    let changed = |name: &str, steps: Steps| Seed::new(name, steps);
    vec![
        objective("percentile", "steady:start.ttfb.service.p99.9<=20ms"),
        objective("longest", "ttlb.max<1.5s"),
        objective("share", "loss<=0.1%"),
        objective("rate", "goodput>=2Gbit/s"),
        objective("count", "stalls<=0"),
        objective("nothing", "ttfb<=20ms"),
        Seed::new("stored", Steps::new().byte(1).bytes(br#"{"schema":"segcast-load/1"}"#)),
        changed("unchanged", Steps::new().byte(2).byte(0)),
        // figures, valid, all, seconds: of many words.
        changed("long", Steps::new().byte(2).byte(1).byte(1).byte(3).byte(1).byte(0)),
    ]
}
