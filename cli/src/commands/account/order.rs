//! `segcast order`: an offer becomes a ticket.

use anyhow::Context as _;
use clap::Args;
use segcast_api::catalogue::{Offer, TitleAnswer};
use segcast_api::orders::OrderRequest;
use segcast_api::text::Slug;
use segcast_api::value::Id;
use segcast_config::ExitCode;

use super::offer_words;
use crate::rights::{Account, Pending, Settled};
use crate::{output, words};

/// Arguments of `segcast order`.
#[derive(Args, Debug)]
pub(crate) struct OrderArgs {
    /// The title, as `segcast catalog` shows it
    #[arg(value_name = "TITLE")]
    title: Slug,
    /// Which of its offers, where there are several
    #[arg(long, value_name = "ID")]
    offer: Option<Id>,
}

/// Runs the command.
pub(crate) fn run(args: &OrderArgs) -> anyhow::Result<ExitCode> {
    let mut account = Account::open()?;
    account.refresh()?;
    account.settle_lost()?;
    let title = account.center.title(&args.title)?;
    let offer = choose(&title, args.offer)?;
    let pending = Pending::Order(OrderRequest { offer: offer.id });
    let Settled::Ordered(answer) = account.spend(&pending)? else {
        anyhow::bail!("an order was answered as a validation");
    };
    let until = match answer.ticket.expires {
        Some(until) => format!("to be started until {}", words::moment(until)),
        None => "which does not end".to_owned(),
    };
    output::result(format_args!(
        "ordered {} ({}) for {}: ticket {}, {until}\nsegcast get {}",
        title.name,
        offer_words(offer),
        answer.order.price,
        answer.ticket.serial,
        title.slug
    ))?;
    Ok(ExitCode::Success)
}

fn choose(title: &TitleAnswer, wanted: Option<Id>) -> anyhow::Result<&Offer> {
    let mut offers = title.offers.iter();
    match (wanted, title.offers.len()) {
        (Some(wanted), _) => offers
            .find(|offer| offer.id == wanted)
            .with_context(|| format!("{} has no offer {wanted} now", title.slug)),
        (None, 1) => offers.next().context("no offer"),
        (None, 0) => anyhow::bail!("{} is not offered now", title.slug),
        (None, _) => {
            let lines = offers.map(|offer| {
                format!("\n  --offer {}  {}, {}", offer.id, offer.price, offer_words(offer))
            });
            anyhow::bail!(
                "{} has several offers: choose one{}",
                title.slug,
                lines.collect::<String>()
            )
        }
    }
}
