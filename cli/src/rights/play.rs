//! A play: a ticket with the certificate that it was validated to, and the tokens that edges want.

use segcast_api::client::ClientError;
use segcast_api::tickets::{Ticket, ValidationAnswer};
use segcast_api::tokens::{TokenAnswer, TokenRequest};
use segcast_api::value::{Bytes, Id, Set, Timestamp};
use segcast_client::access::Access;
use segcast_keys::grant::{Grant, GrantedTitle};
use segcast_proto::segment::cipher::TitleKey;
use segcast_proto::ticket::{TicketBody, check_certificate, join};
use serde::{Deserialize, Serialize};

use super::{Account, RightsError};
use crate::output;

/// The file `plays/{serial}`. Whoever reads both can open the title until it is watched; the title key is not written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Play {
    /// The certificate's serial.
    pub(crate) serial: Id,
    /// The slug of the title.
    pub(crate) title: String,
    /// Which set.
    pub(crate) set: Set,
    /// Until when it can be watched; none: for ever.
    pub(crate) expires: Option<Timestamp>,
    ticket: Bytes,
    certificate: Bytes,
    /// SHA-256 of the manifest's page 0, which the certificate signs too.
    page0_digest: Bytes,
}

/// The file `tokens/{set}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoredToken {
    /// The slug of the title.
    pub(crate) title: String,
    /// Of which play.
    pub(crate) play: Id,
    /// As it came.
    pub(crate) answer: TokenAnswer,
}

impl Play {
    pub(super) fn of(ticket: &Ticket, answer: &ValidationAnswer) -> Self {
        Self {
            serial: answer.serial,
            title: ticket.title.clone(),
            set: ticket.set,
            expires: answer.expires,
            ticket: ticket.ticket.clone(),
            certificate: answer.certificate.clone(),
            page0_digest: answer.page0_digest.clone(),
        }
    }

    pub(super) fn name(&self) -> String {
        format!("plays/{}", self.serial)
    }

    /// Whether it can be watched at `now`.
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|until| until > now)
    }

    /// SHA-256 of the manifest's page 0.
    pub(crate) fn page0_digest(&self) -> Result<[u8; 32], RightsError> {
        let digest = <[u8; 32]>::try_from(&self.page0_digest.0[..]);
        digest.map_err(|_| RightsError::Forged("a digest has 32 bytes".into()))
    }

    /// The title key, when the certificate is this center's for that ticket and has not ended.
    pub(crate) fn open(&self, account: &Account) -> Result<TitleKey, RightsError> {
        let forged = |why: &dyn std::fmt::Display| RightsError::Forged(why.to_string());
        let body = self.ticket.0.first_chunk().ok_or_else(|| forged(&"a ticket is too short"))?;
        let ticket = TicketBody::decode(body).map_err(|error| forged(&error))?;
        let now = account.now()?.seconds();
        let digest = self.page0_digest()?;
        let checked = check_certificate(&self.certificate.0, body, &digest, &account.trust(), now);
        let certificate = checked.map_err(|error| forged(&error))?;
        if certificate.account.0 != account.id().0 || certificate.set != self.set.0 {
            return Err(forged(&"the certificate is for another account or set"));
        }
        Ok(join(&ticket.part, &certificate.part))
    }

    /// What a fetch needs: the token, the title key, and the key that signs manifests.
    pub(crate) fn access(&self, account: &Account, token: &TokenAnswer) -> anyhow::Result<Access> {
        let key = Some(self.open(account)?);
        let grant = Grant {
            token: token.token.0.clone(),
            center_key: account.manifest_key()?,
            titles: vec![GrantedTitle { set: self.set.0, key }],
            client_secret: None,
        };
        Ok(Access::new(grant, Some(Account::device_key(&account.store)?))?)
    }
}

impl Account {
    /// A play of `title` that can be watched now, of the ones that are kept here.
    pub(crate) fn live_play(&self, title: &str) -> anyhow::Result<Option<Play>> {
        let now = self.now()?;
        let plays = self.store.list::<Play>("plays")?.into_iter().map(|(_, play)| play);
        let mut live: Vec<_> =
            plays.filter(|play| play.title == title && play.is_live(now)).collect();
        // The one that ends last; one that never does before all.
        live.sort_by_key(|play| play.expires.map_or(i64::MAX, Timestamp::millis));
        Ok(live.pop())
    }

    /// A token for `play`: the one that is kept, until half its time is over; else a new one. Without the center the old one
    /// does as long as it is valid.
    pub(crate) fn token(&self, play: &Play, renew: bool) -> anyhow::Result<TokenAnswer> {
        let (now, name) = (self.now()?, format!("tokens/{}", play.set));
        let kept = self.store.get::<StoredToken>(&name)?.filter(|kept| kept.play == play.serial);
        if let Some(kept) = &kept
            && !renew
            && now < kept.answer.renew_after
        {
            return Ok(kept.answer.clone());
        }
        let request = TokenRequest { certificates: vec![play.serial], device: self.device() };
        match self.center.token(&request) {
            Ok(answer) => {
                let (title, play) = (play.title.clone(), play.serial);
                let stored = StoredToken { title, play, answer: answer.clone() };
                self.store.put(&name, &stored)?;
                Ok(answer)
            }
            Err(error @ ClientError::Unreachable { .. }) => match kept {
                Some(kept) if now < kept.answer.expires && !renew => {
                    output::note(format_args!(
                        "{error}; sessions can begin until {} all the same",
                        crate::words::moment(kept.answer.expires)
                    ));
                    Ok(kept.answer)
                }
                _ => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }
}
