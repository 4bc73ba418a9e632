//! What a token says, and its one encoding in CBOR.

use coset::CborSerializable;
use coset::cbor::value::Value;

use super::TokenError;
use crate::cose::{bytes, find, integer, required, unsigned};
use crate::ids::SetId;
use crate::limits::{TOKEN_GRACE_MAX, TOKEN_SETS_MAX};

/// CWT claims (RFC 8392, RFC 8747) and our own.
const EXP: i128 = 4;
const NBF: i128 = 5;
const CTI: i128 = 7;
const CNF: i128 = 8;
const SETS: i128 = -70_001;
const RATE_CAP: i128 = -70_002;
const SESSIONS: i128 = -70_003;
const GRACE: i128 = -70_004;
const PLAYS: i128 = -70_005;

/// `cnf`'s method "COSE_Key" (RFC 8747, 3.1).
const CNF_COSE_KEY: i128 = 1;
/// Parameters of a COSE_Key, and their values for X25519 (RFC 9053, 7.2).
const KTY: (i128, i128) = (1, 1);
const CRV: (i128, i128) = (-1, 4);
const X: i128 = -2;

/// What a token permits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Last second at which it is valid, Unix time.
    pub expires: u64,
    /// First second at which it is valid, Unix time.
    pub not_before: u64,
    /// Names the token.
    pub token_id: [u8; 8],
    /// The client's static key: only who has the private key can use the token.
    pub client_public: [u8; 32],
    /// What may be fetched, 1 to 16 sets; the index is the set handle.
    pub sets: Vec<SetId>,
    /// The most that all sessions together may receive, kbit/s.
    pub rate_cap_kbits: Option<u32>,
    /// Sessions at once; none: the edge's default.
    pub sessions: Option<u16>,
    /// How long sessions that began in time go on after `expires`, at most 3600 s; none: not at all.
    pub grace: Option<u32>,
    /// The play ids by which each set may be fetched, in their order; empty: by none, all depends on the token alone.
    pub plays: Vec<u64>,
}

impl Claims {
    /// The payload of the token. Keys are in the order of their encodings.
    pub(super) fn encode(&self) -> Result<Vec<u8>, TokenError> {
        let key = Value::Map(vec![
            (integer(KTY.0), integer(KTY.1)),
            (integer(CRV.0), integer(CRV.1)),
            (integer(X), Value::Bytes(self.client_public.to_vec())),
        ]);
        let sets = self.sets.iter().map(|set| Value::Bytes(set.0.to_vec())).collect();
        let mut map = vec![
            (integer(EXP), Value::from(self.expires)),
            (integer(NBF), Value::from(self.not_before)),
            (integer(CTI), Value::Bytes(self.token_id.to_vec())),
            (integer(CNF), Value::Map(vec![(integer(CNF_COSE_KEY), key)])),
            (integer(SETS), Value::Array(sets)),
        ];
        if let Some(rate_cap) = self.rate_cap_kbits {
            map.push((integer(RATE_CAP), Value::from(rate_cap)));
        }
        if let Some(sessions) = self.sessions {
            map.push((integer(SESSIONS), Value::from(sessions)));
        }
        if let Some(grace) = self.grace {
            map.push((integer(GRACE), Value::from(grace)));
        }
        if !self.plays.is_empty() {
            let play = |play: &u64| Value::Bytes(play.to_be_bytes().to_vec());
            map.push((integer(PLAYS), Value::Array(self.plays.iter().map(play).collect())));
        }
        Value::Map(map).to_vec().map_err(|_| TokenError::Invalid("claims do not encode"))
    }

    /// What holds beside the form.
    pub(super) fn check(&self) -> Result<(), TokenError> {
        if !(1..=TOKEN_SETS_MAX).contains(&self.sets.len()) {
            return Err(TokenError::Invalid("not 1 to 16 sets"));
        }
        if self.grace.is_some_and(|grace| grace > TOKEN_GRACE_MAX) {
            return Err(TokenError::Invalid("a grace of over an hour"));
        }
        if !self.plays.is_empty() && self.plays.len() != self.sets.len() {
            return Err(TokenError::Invalid("not one play for each set"));
        }
        Ok(())
    }

    /// Reads a payload and makes sure that it is the only encoding of what it says: indefinite lengths,
    /// long forms, other orders, keys twice, unknown keys and trailing bytes all encode differently.
    pub(super) fn decode(payload: &[u8]) -> Result<Self, TokenError> {
        const MALFORMED: TokenError = TokenError::Invalid("malformed claims");
        let value = Value::from_slice(payload).map_err(|_| MALFORMED)?;
        let map = value.as_map().ok_or(MALFORMED)?;
        let key = cbor_map(required(map, CNF)?)
            .and_then(|cnf| find(cnf, CNF_COSE_KEY))
            .and_then(cbor_map)
            .ok_or(MALFORMED)?;
        let claims = Self {
            expires: unsigned(required(map, EXP)?)?,
            not_before: unsigned(required(map, NBF)?)?,
            token_id: bytes(required(map, CTI)?)?,
            client_public: bytes(required(key, X)?)?,
            sets: sets(required(map, SETS)?)?,
            rate_cap_kbits: find(map, RATE_CAP).map(unsigned).transpose()?,
            sessions: find(map, SESSIONS).map(unsigned).transpose()?,
            grace: find(map, GRACE).map(unsigned).transpose()?,
            plays: find(map, PLAYS).map(plays).transpose()?.unwrap_or_default(),
        };
        claims.check()?;
        if claims.encode()? != payload {
            return Err(TokenError::Invalid("not in deterministic encoding, or unknown claims"));
        }
        Ok(claims)
    }
}

fn cbor_map(value: &Value) -> Option<&[(Value, Value)]> {
    value.as_map().map(Vec::as_slice)
}

fn sets(value: &Value) -> Result<Vec<SetId>, TokenError> {
    let sets = value.as_array().ok_or(TokenError::Invalid("no array of sets"))?;
    sets.iter().map(|set| Ok(SetId(bytes(set)?))).collect()
}

fn plays(value: &Value) -> Result<Vec<u64>, TokenError> {
    let plays = value.as_array().ok_or(TokenError::Invalid("no array of plays"))?;
    plays.iter().map(|play| Ok(u64::from_be_bytes(bytes(play)?))).collect()
}
