//! What an edge says of itself: `/metrics` in Prometheus' text.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What every name of an edge begins with.
const PREFIX: &str = "segcast_edge_";

/// Asks the edge whose `admin` is `address`, from the calling thread's namespace.
///
/// # Errors
/// When it does not answer, or not with 200.
pub(crate) fn fetch(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200") {
        return Ok(answer);
    }
    Err(io::Error::other(answer))
}

/// The value of a metric, if it is there; the sum of its labels' values.
pub(crate) fn sum(text: &str, name: &str) -> Option<u64> {
    let all = values(text);
    let of = |key: &str| key.strip_prefix(name).is_some_and(|r| r.is_empty() || r.starts_with('{'));
    let found: Vec<u64> = all.iter().filter(|(key, _)| of(key)).map(|(_, &value)| value).collect();
    (!found.is_empty()).then(|| found.iter().sum())
}

/// All values, by name and labels as the edge wrote them, without the prefix.
pub(crate) fn values(text: &str) -> BTreeMap<String, u64> {
    let value = |line: &str| {
        let (key, value) = line.strip_prefix(PREFIX)?.rsplit_once(' ')?;
        Some((key.to_owned(), value.parse().ok()?))
    };
    text.lines().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_whole_name_and_labels_are_added_up() {
        let text = "# TYPE x\nsegcast_edge_sent_trains_total 12\nsegcast_edge_sent_total{a=\"b\"} 3\nsegcast_edge_sent_total{a=\"c\"} 4\n";
        assert_eq!(sum(text, "sent_trains_total"), Some(12));
        assert_eq!(sum(text, "sent_total"), Some(7));
        assert_eq!(sum(text, "sent"), None);
        assert_eq!(values(text).get("sent_total{a=\"c\"}"), Some(&4));
    }
}
