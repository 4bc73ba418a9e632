//! Commands that show: `catalog`, `tickets`, `tokens`, `balance`, `devices`.

use clap::Args;
use segcast_api::tickets::Ticket;
use segcast_api::value::Timestamp;
use segcast_config::ExitCode;

use super::{offer_words, table};
use crate::rights::{Account, Play, StoredToken};
use crate::{output, words};

/// Arguments of `segcast catalog`.
#[derive(Args, Debug)]
pub(crate) struct CatalogArgs {
    /// Only titles with this word in name or synopsis
    #[arg(value_name = "WORD")]
    word: Option<String>,
}

/// Runs `segcast catalog`.
pub(crate) fn catalog(args: &CatalogArgs) -> anyhow::Result<ExitCode> {
    let account = Account::open()?;
    let titles = account.center.titles(args.word.as_deref())?;
    let mut shown = table(&["TITLE", "NAME", "PRICE", "OFFER"]);
    for title in &titles {
        if title.offers.is_empty() {
            shown.add_row([title.slug.as_str(), &title.name, "-", "not offered now"]);
        }
        for offer in &title.offers {
            shown.add_row([
                &title.slug,
                &title.name,
                &offer.price.to_string(),
                &offer_words(offer),
            ]);
        }
    }
    output::result(if titles.is_empty() { "no titles".to_owned() } else { shown.to_string() })?;
    Ok(ExitCode::Success)
}

/// Runs `segcast tickets`: what can be started, and what can be watched. What the center has and this machine lost comes
/// back; without the center, what is kept here is shown.
pub(crate) fn tickets() -> anyhow::Result<ExitCode> {
    let mut account = Account::open()?;
    match account.refresh() {
        Ok(()) => {
            account.settle_lost()?;
            bring(&account)?;
        }
        Err(error) => output::note(format_args!("{error}; this is what is kept here")),
    }
    let now = account.now()?;
    let until = |at: Option<Timestamp>| at.map_or_else(|| "no end".to_owned(), words::moment);
    let mut shown = table(&["TITLE", "WHAT", "LEFT", "UNTIL", "SERIAL"]);
    for (_, ticket) in account.store.list::<Ticket>("tickets")? {
        if ticket.expires.is_none_or(|until| until > now) {
            let left = ticket.plays.map_or("any".to_owned(), |n| words::count(n.into(), "play"));
            let serial = ticket.serial.to_string();
            shown.add_row([&ticket.title, "ticket", &left, &until(ticket.expires), &serial]);
        }
    }
    for (_, play) in account.store.list::<Play>("plays")? {
        if play.is_live(now) {
            let serial = play.serial.to_string();
            shown.add_row([&play.title, "play", "begun", &until(play.expires), &serial]);
        }
    }
    let is_empty = shown.row_count() == 0;
    output::result(if is_empty { "no tickets".to_owned() } else { shown.to_string() })?;
    Ok(ExitCode::Success)
}

/// Keeps the center's live tickets here, and no others.
pub(super) fn bring(account: &Account) -> anyhow::Result<()> {
    let now = account.now()?;
    let live = account.center.tickets()?;
    let kept = account.store.list::<Ticket>("tickets")?;
    let is_new = |ticket: &&Ticket| {
        !kept.iter().any(|(_, kept)| kept == *ticket)
            && ticket.expires.is_none_or(|until| until > now)
    };
    for ticket in live.iter().filter(is_new) {
        account.keep_ticket(ticket)?;
    }
    for (name, gone) in &kept {
        if !live.iter().any(|ticket| ticket.serial == gone.serial) {
            account.store.remove(name)?;
        }
    }
    Ok(())
}

/// Runs `segcast tokens`: until when edges begin sessions, without the center too.
pub(crate) fn tokens() -> anyhow::Result<ExitCode> {
    let account = Account::open()?;
    let mut shown = table(&["TITLE", "BEGINS SESSIONS UNTIL", "THEY GO ON FOR", "EDGES"]);
    for (_, token) in account.store.list::<StoredToken>("tokens")? {
        let (until, grace) = (words::moment(token.answer.expires), token.answer.grace / 60);
        shown.add_row([
            &token.title,
            &until,
            &format!("{grace} min more"),
            &token.answer.edges.len().to_string(),
        ]);
    }
    let is_empty = shown.row_count() == 0;
    output::result(if is_empty { "no tokens".to_owned() } else { shown.to_string() })?;
    Ok(ExitCode::Success)
}

/// Runs `segcast balance`.
pub(crate) fn balance() -> anyhow::Result<ExitCode> {
    let account = Account::open()?;
    let balances = account.center.balance()?.balances;
    let lines: Vec<_> = balances.iter().map(ToString::to_string).collect();
    let nothing = || "nothing was ever paid in".to_owned();
    output::result(if lines.is_empty() { nothing() } else { lines.join("\n") })?;
    Ok(ExitCode::Success)
}

/// Arguments of `segcast devices`.
#[derive(Args, Debug)]
pub(crate) struct DevicesArgs {
    /// Revoke this one: it gets no plays and no tokens any more
    #[arg(long, value_name = "ID")]
    revoke: Option<segcast_api::value::Id>,
}

/// Runs `segcast devices`.
pub(crate) fn devices(args: &DevicesArgs) -> anyhow::Result<ExitCode> {
    let account = Account::open()?;
    if let Some(device) = args.revoke {
        account.center.revoke_device(device)?;
    }
    let mut shown = table(&["DEVICE", "NAME", "SINCE", ""]);
    for device in account.center.devices()? {
        let note = match device.revoked {
            Some(_) => "revoked",
            None if device.id == account.device() => "this one",
            None => "",
        };
        let (id, since) = (device.id.to_string(), words::moment(device.created));
        shown.add_row([id.as_str(), &device.name, &since, note]);
    }
    output::result(shown)?;
    Ok(ExitCode::Success)
}
