//! The result as JSON, and the schema that is published for it.

use crate::result::LoadResult;

/// The schema (JSON Schema 2020-12) of what [`json`] gives.
pub const SCHEMA_TEXT: &str = include_str!("../../schema/segcast-load-1.schema.json");

/// The result as JSON, indented.
///
/// # Errors
/// None that a result made by this crate can give.
pub fn json(result: &LoadResult) -> serde_json::Result<String> {
    serde_json::to_string_pretty(result)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::example;
    use crate::result::{Judged, ResultError};

    fn schema() -> Value {
        serde_json::from_str(SCHEMA_TEXT).expect("the schema is JSON")
    }

    /// `SEGCAST_BLESS=1 cargo test` writes the schema anew.
    #[test]
    fn the_published_schema_is_that_of_the_types() {
        let mut made = serde_json::to_value(schemars::schema_for!(LoadResult)).expect("JSON");
        made["$id"] = "segcast-load-1.schema.json".into();
        made["title"] = "A result of `segcast load`, version 1".into();
        made["properties"]["schema"]["const"] = crate::result::SCHEMA.into();
        if std::env::var_os("SEGCAST_BLESS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/segcast-load-1.schema.json");
            let text = serde_json::to_string_pretty(&made).expect("JSON") + "\n";
            std::fs::write(path, text).expect("the schema can be written");
            return;
        }
        assert!(made == schema(), "the types have changed: SEGCAST_BLESS=1 writes the schema anew");
    }

    #[test]
    fn results_keep_to_the_schema_and_come_back_as_they_were() {
        let validator = jsonschema::validator_for(&schema()).expect("it is a schema");
        let folder = tempfile::tempdir().expect("a folder");
        for result in [example::good(), example::void(), example::partial(), example::empty()] {
            let text = json(&result).expect("JSON");
            let value: Value = serde_json::from_str(&text).expect("JSON");
            let errors: Vec<_> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?}");
            let path = folder.path().join("result.json");
            std::fs::write(&path, &text).expect("it can be written");
            assert_eq!(LoadResult::read(&path).expect("it can be read"), result);
        }
    }

    /// `SEGCAST_BLESS=1 cargo test` writes the example anew. It tells of the machine that wrote it, too.
    #[test]
    fn the_published_example_is_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/example.json");
        if std::env::var_os("SEGCAST_BLESS").is_some() {
            let made = serde_json::to_string(&example::good()).expect("JSON") + "\n";
            std::fs::write(path, made).expect("the example can be written");
        }
        let published = std::fs::read_to_string(path).expect("the example");
        let result = LoadResult::parse(path.as_ref(), &published).expect("a result");
        assert_eq!(serde_json::to_string(&result).expect("JSON"), published.trim_end());
    }

    #[test]
    fn the_schema_refuses_what_it_should() {
        let validator = jsonschema::validator_for(&schema()).expect("it is a schema");
        let good = serde_json::to_value(example::good()).expect("JSON");
        assert!(validator.is_valid(&good));
        let mut other = good.clone();
        other["schema"] = "segcast-load/2".into();
        assert!(!validator.is_valid(&other));
        let mut other = good.clone();
        other["figures"]["valid"]["all"]["ledger"]["intended"] = (-1).into();
        assert!(!validator.is_valid(&other));
        let mut other = good;
        other["surprise"] = 1.into();
        assert!(!validator.is_valid(&other));
    }

    #[test]
    fn void_figures_are_not_where_valid_ones_are() {
        let value = |result: &LoadResult| serde_json::to_value(result).expect("JSON");
        let (good, void) = (example::good(), example::void());
        assert!(matches!(void.figures, Judged::Void(_)));
        assert!(value(&good).pointer("/figures/valid/all/ledger").is_some());
        assert!(value(&void).pointer("/figures/valid").is_none());
        assert!(value(&void).pointer("/figures/void/all/ledger").is_some());
        assert!(void.headline.starts_with("INCONCLUSIVE: the generator was the bottleneck"));
    }

    #[test]
    fn another_version_and_another_file_are_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("result.json");
        std::fs::write(&path, "{\"schema\": \"segcast-load/9\"}").expect("it can be written");
        let error = LoadResult::read(&path).unwrap_err();
        assert!(matches!(&error, ResultError::Version { found, .. } if found == "segcast-load/9"));
        std::fs::write(&path, "{}").expect("it can be written");
        assert!(matches!(LoadResult::read(&path), Err(ResultError::Form { .. })));
        assert!(matches!(
            LoadResult::read(&folder.path().join("none")),
            Err(ResultError::Read { .. })
        ));
    }
}
