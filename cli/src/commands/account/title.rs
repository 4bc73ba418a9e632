//! `segcast get TITLE` and `segcast renew`: a ticket becomes a play, a play a token, and a token the title.

use std::path::PathBuf;

use clap::Args;
use segcast_api::text::Slug;
use segcast_api::tickets::{Ticket, ValidationRequest};
use segcast_client::access::EdgeAddress;
use segcast_client::fetch::{Fetch, FetchConfig, FetchError, Progress, Reason, Report};
use segcast_config::ExitCode;

use super::show::bring;
use crate::commands::edges::edges;
use crate::interrupt::Interrupt;
use crate::rights::{Account, Pending, Play, RightsError, Settled};
use crate::{output, secret, words};

/// Times that a token is renewed under one fetch: a day and more of them.
const RENEWALS_MAX: u32 = 200;

/// What `segcast get` says of a title of a center.
pub(crate) struct TitleFetch {
    pub(crate) title: Slug,
    pub(crate) out: PathBuf,
    /// Spend the last play without a question.
    pub(crate) yes: bool,
    pub(crate) config: FetchConfig,
}

impl TitleFetch {
    /// Fetches, and renews the token when it ends on the way.
    pub(crate) fn run(
        self,
        progress: &mut dyn FnMut(&Progress),
        interrupt: &Interrupt,
    ) -> anyhow::Result<Report> {
        let (play, mut token) = {
            let mut account = Account::open()?;
            let play = play(&mut account, &self.title, self.yes)?;
            let token = account.token(&play, false)?;
            (play, token)
        };
        let mut config = self.config;
        config.root_digest = Some(play.page0_digest()?);
        for _ in 0..RENEWALS_MAX {
            let account = Account::open()?;
            let (edges, access) = (addresses(&token.edges)?, play.access(&account, &token)?);
            // Others may ask the center while the title comes.
            drop(account);
            let fetch =
                Fetch::start(&edges, access, Some(play.set.0), self.out.clone(), config.clone())?;
            match fetch.run(progress, interrupt.flag()) {
                Err(error) if has_ended(&error) => token = Account::open()?.token(&play, true)?,
                other => return Ok(other?),
            }
            // What an earlier round left was verified by this very process, and --force has had its effect.
            (config.trust_part, config.replace) = (true, false);
        }
        anyhow::bail!("tokens end faster than edges deliver")
    }
}

/// Whether the edges take the token no more.
fn has_ended(error: &FetchError) -> bool {
    let refuses = |reason: &Reason| matches!(reason, Reason::Code(code) if code.refuses_token());
    match error {
        FetchError::Refused(edges) => {
            !edges.is_empty() && edges.iter().all(|(_, reason)| refuses(reason))
        }
        FetchError::NoEdgeLeft { last, .. } => refuses(last),
        _ => false,
    }
}

/// A play that can be watched: one that was begun, or a ticket is validated.
fn play(account: &mut Account, title: &Slug, yes: bool) -> anyhow::Result<Play> {
    if let Some(play) = account.live_play(title)? {
        return Ok(play);
    }
    account.refresh()?;
    account.settle_lost()?;
    if let Some(play) = account.live_play(title)? {
        return Ok(play);
    }
    bring(account)?;
    let now = account.now()?;
    let tickets = account.store.list::<Ticket>("tickets")?.into_iter().map(|(_, ticket)| ticket);
    let live =
        |ticket: &Ticket| ticket.title == **title && ticket.expires.is_none_or(|until| until > now);
    let ticket = tickets.filter(live).min_by_key(|ticket| ticket.expires);
    let ticket = ticket.ok_or_else(|| RightsError::NoTicket(title.to_string()))?;
    if ticket.plays == Some(1) && !yes {
        let question = format!("this spends the last play of {}; go on?", ticket.name);
        if secret::confirmed(&question) != Some(true) {
            return Err(RightsError::LastPlay(title.to_string()).into());
        }
    }
    let request = ValidationRequest { ticket: ticket.ticket.clone(), device: account.device() };
    match account.spend(&Pending::Validation(Box::new(ticket), request))? {
        Settled::Validated(play) => Ok(*play),
        Settled::Ordered(_) => anyhow::bail!("a validation was answered as an order"),
    }
}

/// Edges as the center gives them: `ADDRESS=KEY`.
fn addresses(texts: &[String]) -> anyhow::Result<Vec<Vec<EdgeAddress>>> {
    anyhow::ensure!(!texts.is_empty(), "the center knows no edge that has this title");
    let (names, keys): (Vec<_>, Vec<_>) = texts
        .iter()
        .map(|text| text.split_once('=').unwrap_or((text, "")))
        .map(|(name, key)| (name.to_owned(), key.to_owned()))
        .unzip();
    edges(&names, &keys)
}

/// Arguments of `segcast renew`.
#[derive(Args, Debug)]
pub(crate) struct RenewArgs {
    /// Only this title
    #[arg(value_name = "TITLE")]
    title: Option<Slug>,
}

/// Runs `segcast renew`: new tokens for all plays that can be watched.
pub(crate) fn renew(args: &RenewArgs) -> anyhow::Result<ExitCode> {
    let mut account = Account::open()?;
    account.refresh()?;
    let now = account.now()?;
    let is_wanted = |play: &Play| {
        play.is_live(now) && args.title.as_ref().is_none_or(|title| **title == play.title)
    };
    let plays = account.store.list::<Play>("plays")?.into_iter().map(|(_, play)| play);
    let mut renewed = 0;
    for play in plays.filter(is_wanted) {
        let token = account.token(&play, true)?;
        output::result(format_args!(
            "{}: sessions begin until {}",
            play.title,
            words::moment(token.expires)
        ))?;
        renewed += 1;
    }
    if renewed == 0 {
        output::result("nothing that can be watched now")?;
    }
    Ok(ExitCode::Success)
}
