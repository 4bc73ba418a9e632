//! Commands of a customer of a center: from the login to the title.

pub(crate) mod admin;
pub(crate) mod login;
pub(crate) mod order;
pub(crate) mod show;
pub(crate) mod title;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use segcast_api::catalogue::{Offer, OfferKind};

use crate::words;

/// A table without lines, which people and `awk` can read.
fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(header);
    table
}

/// What an offer is: `rental, 2 plays, 48 h each`.
fn offer_words(offer: &Offer) -> String {
    let hours = |seconds: u32| match seconds {
        seconds if seconds % 86_400 == 0 => words::count((seconds / 86_400).into(), "day"),
        seconds if seconds % 3600 == 0 => words::count((seconds / 3600).into(), "hour"),
        seconds => words::count(seconds.into(), "second"),
    };
    let kind = match offer.kind {
        OfferKind::Rental => "rental",
        OfferKind::Purchase => "purchase",
        OfferKind::Free => "free",
    };
    let plays = offer.plays.map(|plays| format!(", {}", words::count(plays.into(), "play")));
    let window = offer.play_window.map(|window| format!(", {} each", hours(window)));
    let start = offer.start_within.map(|start| format!(", to start within {}", hours(start)));
    [Some(kind.to_owned()), plays, window, start].into_iter().flatten().collect()
}
