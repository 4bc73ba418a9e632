//! What a client is given: where the edges are and who they are, and what it may fetch with which keys.
//!
//! The operating system's randomness is drawn here and nowhere else in this crate.

use std::net::SocketAddr;

use segcast_keys::grant::{Grant, GrantedTitle};
use segcast_proto::ids::{SetHandle, SetId};
use zeroize::Zeroizing;

/// An edge: where it listens, and the X25519 key it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeAddress {
    /// UDP address.
    pub address: SocketAddr,
    /// The edge's static public key.
    pub public_key: [u8; 32],
}

/// Why a grant cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The grant was made for a key that the client keeps elsewhere.
    #[error("the grant holds no client key, and none was given")]
    NoSecret,
    /// The grant does not name the set.
    #[error("the grant does not name set {wanted}; it names {}", list(.granted))]
    NotGranted {
        /// What was asked for.
        wanted: SetId,
        /// What the grant names.
        granted: Vec<SetId>,
    },
    /// The grant names several sets, and none was chosen.
    #[error("the grant names {} sets, and none was chosen: {}", .granted.len(), list(.granted))]
    Ambiguous {
        /// What the grant names.
        granted: Vec<SetId>,
    },
}

fn list(sets: &[SetId]) -> String {
    sets.iter().map(SetId::to_string).collect::<Vec<_>>().join(", ")
}

/// A grant and the client's own secret.
#[derive(Clone)]
pub struct Access {
    grant: Grant,
    secret: Zeroizing<[u8; 32]>,
}

/// Shows no key and no token.
impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("grant", &self.grant).finish_non_exhaustive()
    }
}

impl Access {
    /// `secret`: the client's X25519 secret, when the grant does not hold it.
    ///
    /// # Errors
    /// [`AccessError::NoSecret`] when neither has it.
    pub fn new(grant: Grant, secret: Option<Zeroizing<[u8; 32]>>) -> Result<Self, AccessError> {
        let secret = secret.or_else(|| grant.client_secret.clone()).ok_or(AccessError::NoSecret)?;
        Ok(Self { grant, secret })
    }

    /// The access token, as signed.
    #[must_use]
    pub fn token(&self) -> &[u8] {
        &self.grant.token
    }

    /// The key that signs manifests.
    #[must_use]
    pub fn center_key(&self) -> &[u8; 32] {
        &self.grant.center_key
    }

    /// The client's X25519 secret.
    #[must_use]
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The sets that may be fetched, in the order of their handles.
    pub fn sets(&self) -> impl Iterator<Item = SetId> {
        self.grant.titles.iter().map(|title| title.set)
    }

    /// The set handle and the title to fetch: `wanted`, or the only one of the grant.
    ///
    /// # Errors
    /// [`AccessError::NotGranted`], [`AccessError::Ambiguous`].
    pub fn title(&self, wanted: Option<SetId>) -> Result<(SetHandle, &GrantedTitle), AccessError> {
        let granted = || self.grant.titles.iter().map(|title| title.set).collect();
        let mut titles = (0..).map(SetHandle).zip(&self.grant.titles);
        match (wanted, self.grant.titles.len()) {
            (None, 1) => titles.next().ok_or(AccessError::Ambiguous { granted: granted() }),
            (None, _) => Err(AccessError::Ambiguous { granted: granted() }),
            (Some(wanted), _) => titles
                .find(|(_, title)| title.set == wanted)
                .ok_or_else(|| AccessError::NotGranted { wanted, granted: granted() }),
        }
    }
}

/// A seed for a session: fresh, never used twice.
///
/// # Errors
/// When the system has no randomness to give.
pub(crate) fn fresh_seed() -> Result<[u8; 32], getrandom::Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(sets: &[u8]) -> Access {
        let titles = sets.iter().map(|n| GrantedTitle { set: SetId([*n; 16]), key: None });
        let grant = Grant {
            token: vec![1],
            center_key: [2; 32],
            titles: titles.collect(),
            client_secret: Some(Zeroizing::new([3; 32])),
        };
        Access::new(grant, None).unwrap()
    }

    #[test]
    fn the_only_title_needs_no_choice_and_several_do() {
        assert_eq!(access(&[7]).title(None).unwrap().0, SetHandle::FIRST);
        assert!(matches!(access(&[7, 8]).title(None), Err(AccessError::Ambiguous { .. })));
        assert_eq!(access(&[7, 8]).title(Some(SetId([8; 16]))).unwrap().0, SetHandle(1));
    }

    #[test]
    fn a_set_that_is_not_granted_is_named_with_those_that_are() {
        let refused = access(&[7]).title(Some(SetId([9; 16]))).unwrap_err().to_string();
        assert!(refused.contains(&"07".repeat(16)) && refused.contains(&"09".repeat(16)));
    }

    #[test]
    fn a_secret_must_come_from_somewhere() {
        let mut grant = access(&[7]).grant;
        grant.client_secret = None;
        assert_eq!(Access::new(grant.clone(), None).unwrap_err(), AccessError::NoSecret);
        let own = Zeroizing::new([9; 32]);
        assert_eq!(Access::new(grant, Some(own)).unwrap().secret(), &[9; 32]);
    }
}
