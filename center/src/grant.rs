//! Access tokens, and the grants that carry them together with title keys (docs/protocol, section 6).

use segcast_keys::grant::{Grant, GrantedTitle};
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::handshake::StaticSecret;
use segcast_proto::ids::SetId;
use segcast_proto::limits::TOKEN_SETS_MAX;
use segcast_proto::time::Duration;
use segcast_proto::token::{self, Claims, TokenError};
use zeroize::Zeroizing;

use crate::keys::{KeyDir, KeyDirError, TitleRecord, random};

/// The least rate cap that is given out, kbit/s. A client gives up what brings less than 1 KiB a second, and a packet has
/// headers too.
pub const RATE_CAP_LEAST: u32 = 16;

/// What a token allows, besides its sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long it is valid, whole seconds.
    pub lifetime: Duration,
    /// The most that an edge sends, kbit/s, [`RATE_CAP_LEAST`] or more; none: no cap.
    pub rate_cap_kbits: Option<u32>,
    /// Sessions at once, at least one; none: the edge's default.
    pub sessions: Option<u16>,
}

/// A day, and as much as an edge gives.
impl Default for Limits {
    fn default() -> Self {
        let lifetime = Duration::from_secs(24 * 3600);
        Self { lifetime, rate_cap_kbits: None, sessions: None }
    }
}

/// Whom a grant is for.
#[derive(Clone, Debug)]
pub enum Client {
    /// A client that keeps its private key to itself: the better way.
    Public([u8; 32]),
    /// A client whose key pair the center made: the private key goes into the grant.
    Secret(StaticSecret),
}

impl Client {
    /// A client whose key pair is made here.
    ///
    /// # Errors
    /// [`KeyDirError::Random`] when the system has no randomness to give.
    pub fn fresh() -> Result<Self, KeyDirError> {
        let secret = Zeroizing::new(random()?);
        Ok(Self::Secret(StaticSecret::new(*secret)))
    }
}

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// No sets, or too many.
    #[error("{0} sets: a token names 1 to {TOKEN_SETS_MAX}")]
    Sets(usize),
    /// A set named twice.
    #[error("set {0} is named twice")]
    SetTwice(SetId),
    /// A lifetime under a second.
    #[error("a lifetime of {0:?}: a token is valid for whole seconds, at least one")]
    Lifetime(Duration),
    /// A rate at which no client would wait.
    #[error(
        "a rate of {0} kbit/s: clients give up below 1 KiB a second, so at least {RATE_CAP_LEAST}"
    )]
    Rate(u32),
    /// No session at all.
    #[error("0 sessions: a token allows at least one")]
    Sessions,
    /// The keys, or a set that was never packed with them.
    #[error(transparent)]
    Keys(#[from] KeyDirError),
    /// The token cannot be made.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Signs a token for the client with this public key: valid from `now` (Unix time, seconds) for the lifetime.
///
/// # Errors
/// [`IssueError`].
pub fn issue_token(
    center: &SigningKey,
    client_public: &[u8; 32],
    sets: &[SetId],
    limits: &Limits,
    now: u64,
) -> Result<Vec<u8>, IssueError> {
    if sets.is_empty() || sets.len() > TOKEN_SETS_MAX {
        return Err(IssueError::Sets(sets.len()));
    }
    let twice = (1..sets.len()).find(|&i| sets[..i].contains(&sets[i]));
    if let Some(index) = twice {
        return Err(IssueError::SetTwice(sets[index]));
    }
    let seconds = limits.lifetime.as_secs();
    if seconds == 0 {
        return Err(IssueError::Lifetime(limits.lifetime));
    }
    if let Some(rate) = limits.rate_cap_kbits.filter(|rate| *rate < RATE_CAP_LEAST) {
        return Err(IssueError::Rate(rate));
    }
    if limits.sessions == Some(0) {
        return Err(IssueError::Sessions);
    }
    let claims = Claims {
        expires: now.saturating_add(seconds),
        not_before: now,
        token_id: random()?,
        client_public: *client_public,
        sets: sets.to_vec(),
        rate_cap_kbits: limits.rate_cap_kbits,
        sessions: limits.sessions,
        grace: None,
        plays: vec![],
    };
    Ok(token::mint(&claims, center)?)
}

/// Makes the grant of `sets`: a token, and the title keys of those that are sealed.
///
/// # Errors
/// [`IssueError`]; [`KeyDirError::UnknownTitle`] within when a set was not packed with these keys.
pub fn issue_grant(
    keys: &KeyDir,
    client: &Client,
    sets: &[SetId],
    limits: &Limits,
    now: u64,
) -> Result<Grant, IssueError> {
    let center = keys.center()?;
    let (public, client_secret) = match client {
        Client::Public(public) => (*public, None),
        Client::Secret(secret) => (secret.public(), Some(Zeroizing::new(*secret.expose()))),
    };
    let token = issue_token(&center, &public, sets, limits, now)?;
    let title = |set: &SetId| {
        let key = match keys.title(*set)? {
            TitleRecord::Sealed(key) => Some(key),
            TitleRecord::Clear => None,
        };
        Ok(GrantedTitle { set: *set, key })
    };
    let titles = sets.iter().map(title).collect::<Result<_, KeyDirError>>()?;
    Ok(Grant { token, center_key: center.public(), titles, client_secret })
}

#[cfg(test)]
mod tests {
    use segcast_proto::segment::cipher::TitleKey;
    use segcast_proto::token::{Keyring, verify};

    use super::*;

    const SEALED: SetId = SetId([1; 16]);
    const CLEAR: SetId = SetId([2; 16]);
    const NOW: u64 = 1_800_000_000;

    fn limits() -> Limits {
        let lifetime = Duration::from_secs(3600);
        Limits { lifetime, rate_cap_kbits: Some(8000), sessions: None }
    }

    fn keys() -> (tempfile::TempDir, KeyDir) {
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyDir::open(folder.path()).unwrap();
        let record = TitleRecord::Sealed(TitleKey::new([9; 16]));
        keys.record_title(SEALED, &record).unwrap();
        keys.record_title(CLEAR, &TitleRecord::Clear).unwrap();
        (folder, keys)
    }

    #[test]
    fn an_edge_accepts_the_token_for_its_lifetime_and_its_client() {
        let center = SigningKey::from_seed(&[1; 32]);
        let client = StaticSecret::new([7; 32]).public();
        let token = issue_token(&center, &client, &[SEALED, CLEAR], &limits(), NOW).unwrap();
        let ring = Keyring::new([center.public()]);
        let claims = verify(&token, &ring, NOW + 3600, &client).unwrap();
        assert_eq!((claims.not_before, claims.expires), (NOW, NOW + 3600));
        assert_eq!(claims.sets, [SEALED, CLEAR]);
        assert_eq!((claims.rate_cap_kbits, claims.sessions), (Some(8000), None));
        assert!(verify(&token, &ring, NOW + 3631, &client).is_err());
        assert!(verify(&token, &ring, NOW, &[8; 32]).is_err());
        let again = issue_token(&center, &client, &[SEALED], &limits(), NOW).unwrap();
        assert_ne!(verify(&again, &ring, NOW, &client).unwrap().token_id, claims.token_id);
    }

    #[test]
    fn a_grant_holds_what_the_client_needs() {
        let (_folder, keys) = keys();
        let secret = StaticSecret::new([7; 32]);
        let client = Client::Secret(secret.clone());
        let grant = issue_grant(&keys, &client, &[CLEAR, SEALED], &limits(), NOW).unwrap();
        let title_keys: Vec<_> = grant.titles.iter().map(|t| (t.set, t.key.clone())).collect();
        assert_eq!(title_keys, [(CLEAR, None), (SEALED, Some(TitleKey::new([9; 16])))]);
        assert_eq!(grant.client_secret.as_deref(), Some(&[7; 32]));
        let ring = Keyring::new([grant.center_key]);
        let claims = verify(&grant.token, &ring, NOW, &secret.public()).unwrap();
        assert_eq!(claims.sets, [CLEAR, SEALED], "the order of the handles");
        let client = Client::Public(secret.public());
        let grant = issue_grant(&keys, &client, &[SEALED], &limits(), NOW).unwrap();
        assert_eq!(grant.client_secret, None);
    }

    #[test]
    fn what_cannot_be_granted_is_told() {
        let (_folder, keys) = keys();
        let issue = |sets: &[SetId], limits: &Limits| {
            issue_grant(&keys, &Client::Public([7; 32]), sets, limits, NOW).unwrap_err()
        };
        assert!(matches!(issue(&[], &limits()), IssueError::Sets(0)));
        let many: Vec<_> = (0..17).map(|n| SetId([n; 16])).collect();
        assert!(matches!(issue(&many, &limits()), IssueError::Sets(17)));
        let twice = issue(&[SEALED, CLEAR, SEALED], &limits());
        assert!(matches!(twice, IssueError::SetTwice(SEALED)));
        let short = Limits { lifetime: Duration::from_millis(999), ..limits() };
        assert!(matches!(issue(&[SEALED], &short), IssueError::Lifetime(_)));
        let slow = |rate| Limits { rate_cap_kbits: Some(rate), ..limits() };
        assert!(matches!(issue(&[SEALED], &slow(8)), IssueError::Rate(8)));
        assert!(matches!(issue(&[SEALED], &slow(15)), IssueError::Rate(15)));
        issue_grant(&keys, &Client::Public([7; 32]), &[SEALED], &slow(16), NOW).unwrap();
        let nobody = Limits { sessions: Some(0), ..limits() };
        assert!(matches!(issue(&[SEALED], &nobody), IssueError::Sessions));
        let unknown = issue(&[SetId([5; 16])], &limits());
        let is_unknown = matches!(unknown, IssueError::Keys(KeyDirError::UnknownTitle { .. }));
        assert!(is_unknown, "{unknown}");
    }
}
