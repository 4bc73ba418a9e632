//! Counts with their words.

use segcast_api::value::Timestamp;

/// `1 set`, `2 sets`.
pub(crate) fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

/// `2026-05-03 20:00 UTC`.
pub(crate) fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{day} {} UTC", time.get(..5).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_said_to_the_minute() {
        let at = Timestamp::from_millis(1_777_838_459_250);
        assert_eq!(moment(at), "2026-05-03 20:00 UTC");
    }
}
