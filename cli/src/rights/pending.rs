//! Requests that spend something, written down before they are sent: a lost answer is asked for again under the same key,
//! and nothing is spent twice.

use segcast_api::client::ClientError;
use segcast_api::orders::{OrderAnswer, OrderRequest};
use segcast_api::tickets::{Ticket, ValidationRequest};
use segcast_proto::ticket::check_ticket;
use serde::{Deserialize, Serialize};

use super::{Account, Play, RightsError};
use crate::output;

/// A request that was perhaps sent, and whose answer is not stored.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Pending {
    /// An order.
    Order(OrderRequest),
    /// A validation of this ticket.
    Validation(Box<Ticket>, ValidationRequest),
}

/// What came of one.
pub(crate) enum Settled {
    Ordered(Box<OrderAnswer>),
    Validated(Box<Play>),
}

/// A fresh idempotency key.
pub(crate) fn fresh_key() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|e| anyhow::anyhow!("the system gives no randomness: {e}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Account {
    /// Sends a request that spends. Its answer is stored when this returns.
    pub(crate) fn spend(&mut self, pending: &Pending) -> anyhow::Result<Settled> {
        let key = fresh_key()?;
        let name = format!("pending/{key}");
        self.store.put(&name, pending)?;
        self.settle(&name, &key, pending)
    }

    /// Asks again for the answers that were lost.
    pub(crate) fn settle_lost(&mut self) -> anyhow::Result<()> {
        for (name, pending) in self.store.list::<Pending>("pending")? {
            let key = name.trim_start_matches("pending/").to_owned();
            match self.settle(&name, &key, &pending) {
                Ok(Settled::Ordered(answer)) => output::note(format_args!(
                    "the answer to an order was lost, and is here now: {}",
                    answer.order.title
                )),
                Ok(Settled::Validated(play)) => output::note(format_args!(
                    "the answer to a validation was lost, and is here now: {}",
                    play.title
                )),
                Err(error) => match error.downcast_ref() {
                    Some(ClientError::Refused(problem)) => output::note(format_args!(
                        "a request whose answer was lost was refused: {problem}"
                    )),
                    _ => return Err(error),
                },
            }
        }
        Ok(())
    }

    fn settle(&mut self, name: &str, key: &str, pending: &Pending) -> anyhow::Result<Settled> {
        let settled = match pending {
            Pending::Order(request) => self.order(key, request),
            Pending::Validation(ticket, request) => self.validate(key, ticket, request),
        };
        // A refusal is final, unless it says to come again.
        let is_final = match &settled {
            Ok(_) => true,
            Err(error) => matches!(error.downcast_ref(), Some(ClientError::Refused(problem))
                if problem.more.retry_after.is_none() && problem.code.status() < 500),
        };
        if is_final {
            self.store.remove(name)?;
        }
        settled
    }

    fn order(&mut self, key: &str, request: &OrderRequest) -> anyhow::Result<Settled> {
        let answer = self.center.order(key, request)?;
        self.keep_ticket(&answer.ticket)?;
        Ok(Settled::Ordered(Box::new(answer)))
    }

    fn validate(
        &mut self,
        key: &str,
        ticket: &Ticket,
        request: &ValidationRequest,
    ) -> anyhow::Result<Settled> {
        let answer = self.center.validate(key, request)?;
        let play = Play::of(ticket, &answer);
        play.open(self)?;
        self.store.put(&play.name(), &play)?;
        if let Some(next) = &answer.ticket {
            self.keep_ticket(next)?;
        }
        if ticket.plays.is_some() {
            self.store.remove(&format!("tickets/{}", ticket.serial))?;
        }
        Ok(Settled::Validated(Box::new(play)))
    }

    /// Keeps a ticket, when it is one: signed by this center, for this account and that set.
    pub(crate) fn keep_ticket(&self, ticket: &Ticket) -> anyhow::Result<()> {
        let forged = |why: &dyn std::fmt::Display| RightsError::Forged(why.to_string());
        let body = check_ticket(&ticket.ticket.0, &self.trust(), self.now()?.seconds());
        let body = body.map_err(|error| forged(&error))?;
        if body.account.0 != self.id().0
            || body.set != ticket.set.0
            || body.serial.0 != ticket.serial.0
        {
            return Err(forged(&"the ticket is for another account or set").into());
        }
        self.store.put(&format!("tickets/{}", ticket.serial), ticket)?;
        Ok(())
    }
}
