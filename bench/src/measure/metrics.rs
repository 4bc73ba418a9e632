//! What an edge says of itself, by its metrics page.

use std::net::SocketAddr;

use segcast_load::server::metrics;
pub(crate) use segcast_load::server::metrics::Counters;

/// What every name of an edge begins with.
const PREFIX: &str = "segcast_edge_";
/// For the whole exchange, seconds.
const TIMEOUT: u64 = 5;

/// Asks the edge whose `admin` is `address`, from the calling thread's namespace. The names come without their prefix.
///
/// # Errors
/// When it does not answer with metrics.
pub(crate) fn fetch(address: SocketAddr) -> anyhow::Result<Counters> {
    let page = metrics::fetch(&format!("http://{address}/metrics"), TIMEOUT);
    let series = page.map_err(anyhow::Error::msg)?.into_iter();
    Ok(series.filter_map(|(key, v)| Some((key.strip_prefix(PREFIX)?.to_owned(), v))).collect())
}

/// The value of a metric, if it is there; the sum of its labels' values.
pub(crate) fn sum(counters: &Counters, name: &str) -> Option<u64> {
    metrics::sum(counters, name).map(|value| value as u64)
}
