//! What an edge says of itself over HTTP.

use std::fmt::Display;

use segcast_load::server::metrics;

/// For an answer, seconds: only a failing test waits so long.
const TIMEOUT: u64 = 60;

/// What its admin address answers for `path`: the status and the body.
///
/// # Panics
/// When it does not answer.
#[must_use]
pub fn get(admin: impl Display, path: &str) -> (u16, String) {
    get_as(admin, path, "*/*")
}

/// As [`get`], of the type that `accept` names.
///
/// # Panics
/// When nobody answers.
#[must_use]
pub fn get_as(admin: impl Display, path: &str, accept: &str) -> (u16, String) {
    let get = minreq::get(format!("http://{admin}{path}")).with_header("Accept", accept);
    let answer = get.with_timeout(TIMEOUT).send();
    let answer = answer.unwrap_or_else(|error| panic!("{admin}{path}: {error}"));
    let body = answer.as_str().expect("UTF-8").to_owned();
    (answer.status_code, body)
}

/// One number of `/metrics`: `name` with its labels as they stand there, or without them for the sum of all.
///
/// # Panics
/// When there is none of that name.
#[must_use]
pub fn metric(admin: impl Display, name: &str) -> u64 {
    let counters = metrics::fetch(&format!("http://{admin}/metrics"), TIMEOUT);
    let counters = counters.unwrap_or_else(|error| panic!("{error}"));
    let value = metrics::sum(&counters, name);
    value.unwrap_or_else(|| panic!("no {name} in {counters:#?}")) as u64
}
