//! What an edge says of itself over HTTP.

use std::fmt::Display;

/// What its admin address answers for `path`: the status and the body.
///
/// # Panics
/// When it does not answer.
#[must_use]
pub fn get(admin: impl Display, path: &str) -> (u16, String) {
    let answer = minreq::get(format!("http://{admin}{path}")).with_timeout(60).send();
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
    let (_, text) = get(admin, "/metrics");
    sum(&text, name).unwrap_or_else(|| panic!("no {name} in\n{text}"))
}

fn sum(text: &str, name: &str) -> Option<u64> {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value =
            rest.strip_prefix(' ').or_else(|| rest.strip_prefix('{')?.split("} ").nth(1))?;
        value.parse::<u64>().ok()
    });
    values.fold(None, |sum, value| Some(sum.unwrap_or(0) + value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE a counter\na{code=\"X\"} 2\na{code=\"Y\"} 3\nab 7\nc 5\n";

    #[test]
    fn a_name_alone_is_the_sum_and_one_with_labels_is_one_number() {
        assert_eq!(sum(PAGE, "a"), Some(5));
        assert_eq!(sum(PAGE, "a{code=\"Y\"}"), Some(3));
        assert_eq!(sum(PAGE, "c"), Some(5));
        assert_eq!(sum(PAGE, "d"), None);
    }
}
