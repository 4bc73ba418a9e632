//! `segcast admin`: what an operator does at a center.

use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use segcast_api::accounts::{Account as AccountAnswer, AccountState, Role};
use segcast_api::admin::{AdminAccountPatch, RevocationRequest, TopUpRequest};
use segcast_api::catalogue::{
    Offer, OfferKind, OfferRequest, TitleAnswer, TitlePatch, TitleRequest, TitleState,
};
use segcast_api::client::ClientError;
use segcast_api::orders::RefundRequest;
use segcast_api::problem::Code;
use segcast_api::text::{Login, Name, Reference, Slug, Synopsis};
use segcast_api::value::{Id, Money, Timestamp};
use segcast_config::{ExitCode, amount};

use super::{offer_words, table};
use crate::output;
use crate::rights::{Account, fresh_key};

/// Arguments of `segcast admin`.
#[derive(Args, Debug)]
pub(crate) struct AdminArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List all titles; or make one, or change it
    Titles(TitlesArgs),
    /// List what a title is offered for; or offer it
    Offers(OffersArgs),
    /// List accounts; or change one
    Accounts(AccountsArgs),
    /// Pay into an account's balance
    TopUp(TopUpArgs),
    /// Give back what an order cost, and take its tickets
    Refund(RefundArgs),
    /// Withdraw plays: edges end their sessions
    Revoke(RevokeArgs),
    /// See whether the books balance
    Books,
}

#[derive(Args, Debug)]
struct TitlesArgs {
    /// Which title
    #[arg(value_name = "TITLE")]
    title: Option<Slug>,
    /// What it is called from now on; a title that is not there is made
    #[arg(long, value_name = "TEXT", requires = "title")]
    name: Option<Name>,
    /// Some sentences about it
    #[arg(long, value_name = "TEXT", requires = "title")]
    synopsis: Option<Synopsis>,
    /// Who sees it: operators (draft), all (listed), who has it (withdrawn)
    #[arg(long, value_name = "STATE", requires = "title", value_parser = read::<TitleState>)]
    state: Option<TitleState>,
}

#[derive(Args, Debug)]
struct OffersArgs {
    /// Which title
    #[arg(value_name = "TITLE")]
    title: Slug,
    /// What it costs, as in "4.99 EUR"; "0.00 EUR" is for nothing
    #[arg(long, value_name = "PRICE")]
    price: Option<Money>,
    /// How often it can be started; as often as wanted when it is not said
    #[arg(long, value_name = "N", requires = "price")]
    plays: Option<u16>,
    /// How long after the order it can be started
    #[arg(long, value_name = "TIME", requires = "plays", value_parser = amount::read_duration)]
    start_within: Option<Duration>,
    /// How long after a start it can be watched
    #[arg(long, value_name = "TIME", requires = "price", value_parser = amount::read_duration)]
    play_window: Option<Duration>,
}

#[derive(Args, Debug)]
struct AccountsArgs {
    /// Which account
    #[arg(value_name = "LOGIN")]
    account: Option<Login>,
    /// What it may do from now on: customer, operator, auditor, payments
    #[arg(long, value_name = "ROLE", requires = "account", value_parser = read::<Role>)]
    role: Option<Role>,
    /// How it stands from now on
    #[arg(long, value_name = "STATE", requires = "account")]
    state: Option<Standing>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Standing {
    Active,
    Blocked,
}

#[derive(Args, Debug)]
struct TopUpArgs {
    /// Whose balance
    #[arg(value_name = "LOGIN")]
    account: Login,
    /// How much, as in "20.00 EUR"
    #[arg(value_name = "AMOUNT")]
    amount: Money,
    /// What the payment is called where it was made: one with a known name counts once
    #[arg(long, value_name = "TEXT")]
    reference: Reference,
}

#[derive(Args, Debug)]
struct RefundArgs {
    /// Which order
    #[arg(value_name = "ID")]
    order: Id,
    /// How much; all that is left when it is not said
    #[arg(long, value_name = "AMOUNT")]
    amount: Option<Money>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Reference,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct RevokeArgs {
    /// This play
    #[arg(long, value_name = "SERIAL")]
    certificate: Option<Id>,
    /// This ticket and all its plays
    #[arg(long, value_name = "SERIAL")]
    ticket: Option<Id>,
    /// All plays of this device
    #[arg(long, value_name = "ID")]
    device: Option<Id>,
    /// All plays and tickets of this account
    #[arg(long, value_name = "ID")]
    account: Option<Id>,
    /// All plays that began before, as in 2026-05-03T20:00:00Z
    #[arg(long, value_name = "TIME")]
    before: Option<Timestamp>,
}

/// A word of the interface, with all of them when it is none.
fn read<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("there is no {text:?}"))
}

/// Runs the command.
pub(crate) fn run(args: &AdminArgs) -> anyhow::Result<ExitCode> {
    let account = Account::open()?;
    match &args.what {
        What::Titles(args) => titles(&account, args),
        What::Offers(args) => offers(&account, args),
        What::Accounts(args) => accounts(&account, args),
        What::TopUp(args) => top_up(&account, args),
        What::Refund(args) => refund(&account, args),
        What::Revoke(args) => revoke(&account, args),
        What::Books => return books(&account),
    }?;
    Ok(ExitCode::Success)
}

fn show_titles(titles: &[TitleAnswer]) -> anyhow::Result<()> {
    let mut shown = table(&["TITLE", "NAME", "STATE", "SET", "OFFERS"]);
    for title in titles {
        let set = title.set.as_ref().map_or_else(|| "-".to_owned(), |set| set.set.to_string());
        let (state, offers): (&'static str, _) =
            (title.state.into(), title.offers.len().to_string());
        shown.add_row([title.slug.as_str(), &title.name, state, &set, &offers]);
    }
    Ok(output::result(if titles.is_empty() { "no titles".to_owned() } else { shown.to_string() })?)
}

fn titles(account: &Account, args: &TitlesArgs) -> anyhow::Result<()> {
    let Some(slug) = &args.title else { return show_titles(&account.center.titles(None)?) };
    let found = match account.center.title(slug) {
        Err(ClientError::Refused(problem)) if problem.code == Code::NotFound => {
            let name = args.name.clone().context("a new title needs --name TEXT")?;
            let request =
                TitleRequest { slug: slug.clone(), name, synopsis: args.synopsis.clone() };
            account.center.add_title(&fresh_key()?, &request)?
        }
        other => other?,
    };
    let patch =
        TitlePatch { name: args.name.clone(), synopsis: args.synopsis.clone(), state: args.state };
    let is_change = patch != TitlePatch::default();
    let title = match is_change {
        true => account.center.change_title(slug, found.rev, &patch)?,
        false => found,
    };
    show_titles(&[title])
}

fn show_offers(offers: &[Offer]) -> anyhow::Result<()> {
    let mut shown = table(&["OFFER", "PRICE", "WHAT"]);
    for offer in offers {
        shown.add_row([offer.id.to_string(), offer.price.to_string(), offer_words(offer)]);
    }
    Ok(output::result(if offers.is_empty() { "no offers".to_owned() } else { shown.to_string() })?)
}

fn offers(account: &Account, args: &OffersArgs) -> anyhow::Result<()> {
    let Some(price) = args.price else {
        return show_offers(&account.center.title(&args.title)?.offers);
    };
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs().try_into()).transpose();
    let (start_within, play_window) = (seconds(args.start_within)?, seconds(args.play_window)?);
    let kind = match (price.minor, args.plays, play_window) {
        (0, ..) => OfferKind::Free,
        (_, None, None) => OfferKind::Purchase,
        _ => OfferKind::Rental,
    };
    let request = OfferRequest {
        kind,
        plays: args.plays,
        start_within,
        play_window,
        price,
        valid_from: None,
        valid_until: None,
    };
    let offer = account.center.add_offer(&fresh_key()?, &args.title, &request)?;
    show_offers(&[offer])
}

fn find(account: &Account, login: &Login) -> anyhow::Result<AccountAnswer> {
    let found = account.center.accounts()?.into_iter().find(|found| found.login == **login);
    found.with_context(|| format!("there is no account {login}"))
}

fn accounts(account: &Account, args: &AccountsArgs) -> anyhow::Result<()> {
    let found = match &args.account {
        None => account.center.accounts()?,
        Some(login) => vec![find(account, login)?],
    };
    let state = args.state.map(|state| match state {
        Standing::Active => AccountState::Active,
        Standing::Blocked => AccountState::Blocked,
    });
    let patch = AdminAccountPatch { role: args.role, state };
    let found = match &found[..] {
        [one] if patch != AdminAccountPatch::default() => {
            vec![account.center.change_account(one.id, one.rev, &patch)?]
        }
        _ => found,
    };
    let mut shown = table(&["LOGIN", "NAME", "ROLE", "STATE", "ID"]);
    for each in &found {
        let (role, state): (&'static str, &'static str) = (each.role.into(), each.state.into());
        shown.add_row([each.login.as_str(), &each.name, role, state, &each.id.to_string()]);
    }
    Ok(output::result(shown)?)
}

fn top_up(account: &Account, args: &TopUpArgs) -> anyhow::Result<()> {
    let whose = find(account, &args.account)?;
    let request = TopUpRequest { amount: args.amount, reference: args.reference.clone() };
    let transfer = account.center.top_up(&fresh_key()?, whose.id, &request)?;
    Ok(output::result(format_args!(
        "{} to {} as {}",
        transfer.amount, args.account, transfer.reference
    ))?)
}

fn refund(account: &Account, args: &RefundArgs) -> anyhow::Result<()> {
    let request = RefundRequest { amount: args.amount, reason: args.reason.clone() };
    let order = account.center.refund(&fresh_key()?, args.order, &request)?;
    Ok(output::result(format_args!(
        "{} of {} went back for order {}",
        order.refunded, order.price, order.id
    ))?)
}

fn revoke(account: &Account, args: &RevokeArgs) -> anyhow::Result<()> {
    let one = args.certificate.map(RevocationRequest::Certificate);
    let one = one
        .or_else(|| args.ticket.map(RevocationRequest::Ticket))
        .or_else(|| args.device.map(RevocationRequest::Device))
        .or_else(|| args.account.map(RevocationRequest::Account))
        .or_else(|| args.before.map(RevocationRequest::Before));
    let request = one.context("say what to revoke")?;
    let answer = account.center.revoke(&fresh_key()?, &request)?;
    let plays = crate::words::count(answer.count, "play");
    Ok(output::result(format_args!("{plays} revoked; the newest revocation is {}", answer.number))?)
}

fn books(account: &Account) -> anyhow::Result<ExitCode> {
    let books = account.center.books()?;
    if books.balanced {
        let transfers = crate::words::count(books.transfers, "transfer");
        output::result(format_args!("the books balance: {transfers}"))?;
        return Ok(ExitCode::Success);
    }
    output::result(format_args!("the books do not balance: {books:?}"))?;
    Ok(ExitCode::Failure)
}
