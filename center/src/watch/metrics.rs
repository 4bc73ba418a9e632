//! Metrics, in the text of OpenMetrics.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::app::App;
use crate::seats::Seats;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    /// Method and pattern, never what stood in the path.
    route: &'static str,
    /// Status, or the problem's code.
    outcome: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

/// What is counted as it happens, and what is looked up when someone asks.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    undocumented: Counter,
    connections: Gauge,
    refused: Gauge,
    retries: Gauge,
    pool: Gauge,
    pool_idle: Gauge,
    keyset_number: Gauge,
    keyset_ends: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("segcast_center");
        let requests = Family::default();
        registry.register("requests", "Requests by route and outcome", requests.clone());
        let buckets = || Histogram::new(exponential_buckets(0.001, 2.0, 14));
        let seconds = Family::new_with_constructor(buckets as fn() -> Histogram);
        registry.register("request_seconds", "Time from request to answer", seconds.clone());
        let undocumented = Counter::default();
        registry.register(
            "undocumented_problems",
            "Answers with a code that the description lacks: a fault",
            undocumented.clone(),
        );
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        Self {
            connections: gauge("connections", "Connections that are open"),
            refused: gauge("connections_refused", "Connections closed for want of a seat"),
            retries: gauge("transaction_retries", "Transactions tried again, since the start"),
            pool: gauge("database_connections", "Connections to the database"),
            pool_idle: gauge("database_connections_idle", "Of them idle"),
            keyset_number: gauge("keyset_number", "Number of the keyset"),
            keyset_ends: gauge("keyset_ends_seconds", "Seconds to the end of the keyset"),
            requests,
            seconds,
            undocumented,
            registry,
        }
    }

    /// Counts a request.
    pub(crate) fn count(&self, route: &'static str, outcome: String, took: Duration) {
        self.requests.get_or_create(&Request { route, outcome }).inc();
        self.seconds.get_or_create(&Route { route }).observe(took.as_secs_f64());
    }

    /// Counts an answer that the description lacks.
    pub(crate) fn count_undocumented(&self) {
        self.undocumented.inc();
    }

    /// All of them.
    pub(super) fn text(&self, app: &App, seats: &Seats) -> String {
        let (open, refused) = seats.count();
        let (pool, idle) = app.db.connections();
        let (number, ends) = app.vault.keyset_number();
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.connections.set(signed(open as u64));
        self.refused.set(signed(refused));
        self.retries.set(signed(app.db.retries()));
        self.pool.set(pool.into());
        self.pool_idle.set(signed(idle as u64));
        self.keyset_number.set(signed(number));
        self.keyset_ends.set(signed(ends) - app.clock.now() / 1000);
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes all");
        text
    }
}
