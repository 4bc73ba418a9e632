//! What an operation of the interface is: its route, who may ask, how often, and what it may answer. The router, the
//! limits and the OpenAPI description are all made of it.

use std::sync::Arc;

use axum::routing::MethodRouter;
use axum::{Extension, Router};
use segcast_api::accounts::Role;
use segcast_api::problem::Code;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::Http;

/// Milliseconds of a minute and of an hour.
pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Anyone, logged in or not.
    Anyone,
    /// Whoever is logged in with one of these roles.
    Roles(&'static [Role]),
}

pub(super) const ALL: Who =
    Who::Roles(&[Role::Customer, Role::Operator, Role::Auditor, Role::Payments]);
pub(super) const CUSTOMERS: Who = Who::Roles(&[Role::Customer, Role::Operator]);
pub(super) const OPERATORS: Who = Who::Roles(&[Role::Operator]);
pub(super) const AUDITORS: Who = Who::Roles(&[Role::Auditor, Role::Operator]);
pub(super) const CASHIERS: Who = Who::Roles(&[Role::Payments, Role::Operator]);

/// Schemas by their names.
pub(super) type Schemas = Map<String, Value>;

/// Puts the schema of a type among the others; gives what refers to it.
type Schema = fn(&mut Schemas) -> Value;

/// An operation.
#[derive(Clone, Debug)]
pub(super) struct Op {
    /// Method and path, such as `POST /v1/orders`.
    pub(super) route: &'static str,
    pub(super) says: &'static str,
    pub(super) who: Who,
    /// Whether it needs an idempotency key.
    pub(super) once: bool,
    /// Whether it needs `If-Match`.
    pub(super) matched: bool,
    /// Times within so many milliseconds, for one account, or where nobody is logged in for one network.
    pub(super) rate: (i64, i64),
    pub(super) query: &'static [(&'static str, &'static str)],
    pub(super) takes: Option<Schema>,
    pub(super) gives: Option<Schema>,
    /// The content type of an answer that is not JSON.
    pub(super) raw: Option<&'static str>,
    /// What its service may refuse with.
    own: &'static [Code],
}

impl Op {
    pub(super) fn new(route: &'static str, says: &'static str) -> Self {
        Self {
            route,
            says,
            who: Who::Anyone,
            once: false,
            matched: false,
            rate: (60, MINUTE),
            query: &[],
            takes: None,
            gives: None,
            raw: None,
            own: &[],
        }
    }

    pub(super) fn by(self, who: Who) -> Self {
        Self { who, ..self }
    }

    pub(super) fn once(self) -> Self {
        Self { once: true, ..self }
    }

    pub(super) fn matched(self) -> Self {
        Self { matched: true, ..self }
    }

    pub(super) fn rate(self, times: i64, within: i64) -> Self {
        Self { rate: (times, within), ..self }
    }

    pub(super) fn query(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    pub(super) fn takes<T: ToSchema>(self) -> Self {
        Self { takes: Some(one::<T>), ..self }
    }

    pub(super) fn gives<T: ToSchema>(self) -> Self {
        Self { gives: Some(one::<T>), ..self }
    }

    pub(super) fn gives_raw(self, content_type: &'static str) -> Self {
        Self { raw: Some(content_type), ..self }
    }

    /// A list in pages.
    pub(super) fn lists<T: ToSchema>(self) -> Self {
        let query = if self.query.is_empty() { super::page::QUERY } else { self.query };
        Self { gives: Some(page::<T>), query, ..self }
    }

    pub(super) fn may(self, own: &'static [Code]) -> Self {
        Self { own, ..self }
    }

    /// Every code that it may answer with.
    pub(super) fn problems(&self) -> Vec<Code> {
        let mut codes = vec![Code::Internal, Code::DatabaseUnavailable, Code::Malformed];
        if self.who != Who::Anyone {
            codes.extend([Code::Unauthenticated, Code::Forbidden, Code::PasswordMustChange]);
        }
        if self.takes.is_some() {
            codes.extend([
                Code::TooLarge,
                Code::UnsupportedMediaType,
                Code::Invalid,
                Code::RateLimited,
            ]);
        }
        if self.once {
            let once = [Code::IdempotencyKeyMissing, Code::IdempotencyKeyReused, Code::RateLimited];
            codes.extend(once);
        }
        if self.matched {
            codes.extend([Code::PreconditionRequired, Code::PreconditionFailed]);
        }
        if self.route.contains('{') {
            codes.push(Code::NotFound);
        }
        if !self.query.is_empty() {
            codes.push(Code::Invalid);
        }
        codes.extend(self.own);
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    pub(super) fn method_and_path(&self) -> (&'static str, &'static str) {
        self.route.split_once(' ').expect("a route is a method and a path")
    }
}

pub(super) fn one<T: ToSchema>(schemas: &mut Schemas) -> Value {
    let name = T::name().into_owned();
    if !schemas.contains_key(&name) {
        let mut found = vec![(name.clone(), T::schema())];
        T::schemas(&mut found);
        for (name, schema) in found {
            let schema = serde_json::to_value(schema).expect("schemas are JSON");
            schemas.entry(name).or_insert(schema);
        }
    }
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn all<T: ToSchema>(schemas: &mut Schemas) -> Value {
    json!({ "type": "array", "items": one::<T>(schemas) })
}

fn page<T: ToSchema>(schemas: &mut Schemas) -> Value {
    let next =
        json!({ "type": "string", "description": "`after` of the next page; absent in the last" });
    let properties = json!({ "items": all::<T>(schemas), "next": next });
    json!({ "type": "object", "required": ["items"], "properties": properties })
}

/// The router and its description, growing together.
pub(super) struct Api {
    pub(super) router: Router<Http>,
    pub(super) ops: Vec<Arc<Op>>,
}

impl Api {
    pub(super) fn new() -> Self {
        Self { router: Router::new(), ops: Vec::new() }
    }

    /// Adds an operation and what does it.
    pub(super) fn add(mut self, op: Op, handler: MethodRouter<Http>) -> Self {
        let op = Arc::new(op);
        let (_, path) = op.method_and_path();
        self.router = self.router.route(path, handler.layer(Extension(Arc::clone(&op))));
        self.ops.push(op);
        self
    }
}
