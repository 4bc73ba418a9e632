//! Who is logged in where, with what that center may sign.

use std::time::{SystemTime, UNIX_EPOCH};

use segcast_api::client::{Center, ClientError};
use segcast_api::status::Status;
use segcast_api::text::Secret;
use segcast_api::value::{Bytes, Id, Timestamp};
use segcast_keys::file;
use segcast_keys::keytext::KeyKind;
use segcast_proto::trust::{CenterId, Keyset, Trust, Use};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{RightsError, Store};
use crate::{output, secret};

const CENTER: &str = "center";
const SESSION: &str = "session";
pub(super) const DEVICE_KEY: &str = "device.key";
/// This clock and the center's may differ by so much before it is said, milliseconds.
const SKEW_MAX: i64 = 120_000;
/// The clock may be so much before the last time seen, milliseconds.
const BACK_MAX: i64 = 120_000;

/// The file `center`.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    url: String,
    ca: Option<String>,
    /// The root whose keysets are believed.
    root: Bytes,
    keyset: Bytes,
    account: Id,
    login: String,
    device: Id,
    /// The latest time that this clock or the center's has shown.
    seen: Timestamp,
}

/// The login of a center, with its folder locked.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) store: Store,
    pub(crate) center: Center,
    about: About,
    keyset: Keyset,
}

/// The time of this machine.
pub(super) fn clock() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

/// The keyset that `center` has, when the root it names signed it and is its own.
fn keyset(center: &Center, status: &Status) -> Result<(Keyset, Bytes, Bytes), anyhow::Error> {
    let forged = |why: &dyn std::fmt::Display| RightsError::Forged(why.to_string());
    let root = status.roots.first().ok_or_else(|| forged(&"it has no root"))?;
    let key = <[u8; 32]>::try_from(&root.0[..]).map_err(|_| forged(&"its root is no key"))?;
    let bytes = center.keyset()?;
    let keyset = Keyset::verify(&bytes, &key).map_err(|error| forged(&error))?;
    if keyset.center.0[..] != status.center.0 {
        return Err(forged(&"it has another center's keyset").into());
    }
    Ok((keyset, Bytes(bytes), root.clone()))
}

impl Account {
    /// The center that `url` is, and its folder; and whether this machine knows its root already.
    pub(crate) fn meet(center: &Center) -> anyhow::Result<(Store, Status)> {
        let status = center.status()?;
        let (keyset, _, root) = keyset(center, &status)?;
        let first = <[u8; 32]>::try_from(&status.roots.last().unwrap_or(&root).0[..]);
        let first = first.map_err(|_| RightsError::Forged("its first root is no key".into()))?;
        if CenterId::of(&first) != keyset.center {
            return Err(RightsError::Forged("its id is not that of its first root".into()).into());
        }
        let store = Store::create(keyset.center)?;
        if let Some(known) = store.get::<About>(CENTER)?
            && known.root != root
        {
            return Err(
                RightsError::Forged("its root is another than at the last login".into()).into()
            );
        }
        Ok((store, status))
    }

    /// The secret of this device at this center; made at the first login.
    pub(crate) fn device_key(store: &Store) -> anyhow::Result<Zeroizing<[u8; 32]>> {
        let path = store.path(DEVICE_KEY);
        match file::read(&path, KeyKind::ClientSecret) {
            Err(error) if error.is_not_found() => {
                let secret = secret::fresh_key()?;
                file::create(&path, KeyKind::ClientSecret, secret.expose())?;
                Ok(file::read(&path, KeyKind::ClientSecret)?)
            }
            other => Ok(other?),
        }
    }

    /// Keeps a login.
    pub(crate) fn keep(
        store: Store,
        center: Center,
        ca: Option<String>,
        status: &Status,
        (account, login, device): (Id, String, Id),
        session: &Secret,
    ) -> anyhow::Result<Self> {
        let (keyset, bytes, root) = keyset(&center, status)?;
        let url = center.url().to_owned();
        let seen = clock().max(status.time);
        let about = About { url, ca, root, keyset: bytes, account, login, device, seen };
        store.put(SESSION, session)?;
        store.put(CENTER, &about)?;
        let this = Self { store, center: center.with_bearer(session.clone()), about, keyset };
        this.say_skew(status.time);
        Ok(this)
    }

    /// The login that is kept here.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let store = Store::current()?;
        let about: About = store.get(CENTER)?.ok_or(RightsError::NoLogin)?;
        let root = <[u8; 32]>::try_from(&about.root.0[..]);
        let root =
            root.map_err(|_| RightsError::Forged("the root that is kept is no key".into()))?;
        let keyset = Keyset::verify(&about.keyset.0, &root);
        let keyset = keyset.map_err(|error| RightsError::Forged(error.to_string()))?;
        let mut center = Center::new(&about.url, about.ca.as_deref())?;
        if let Some(session) = store.get::<Secret>(SESSION)? {
            center = center.with_bearer(session);
        }
        Ok(Self { store, center, about, keyset })
    }

    /// Looks whether the center answers, what keys it has now, and what time it is.
    ///
    /// # Errors
    /// When it does not answer, or shows an older keyset or another root's.
    pub(crate) fn refresh(&mut self) -> anyhow::Result<()> {
        let status = self.center.status()?;
        if status.center.0 != self.keyset.center.0 {
            return Err(RightsError::Forged("another center answers at its address".into()).into());
        }
        if status.keyset != self.keyset.number {
            let (keyset, bytes, root) = keyset(&self.center, &status)?;
            if keyset.number < self.keyset.number || root != self.about.root {
                return Err(
                    RightsError::Forged("its keyset is older, or of another root".into()).into()
                );
            }
            (self.keyset, self.about.keyset) = (keyset, bytes);
        }
        self.about.seen = self.about.seen.max(clock()).max(status.time);
        self.store.put(CENTER, &self.about)?;
        self.say_skew(status.time);
        Ok(())
    }

    fn say_skew(&self, center: Timestamp) {
        let ahead = clock().millis() - center.millis();
        if ahead.abs() > SKEW_MAX {
            let (minutes, word) =
                (ahead.abs() / 60_000, if ahead > 0 { "ahead of" } else { "behind" });
            output::note(format_args!(
                "this clock is {minutes} min {word} the center's: set it, signatures have times"
            ));
        }
    }

    /// The time now, for what is played without the center: rights do not live longer by a clock that was set back.
    pub(crate) fn now(&self) -> Result<Timestamp, RightsError> {
        let now = clock();
        if now.millis() + BACK_MAX < self.about.seen.millis() {
            return Err(RightsError::ClockBack(self.about.seen));
        }
        Ok(now)
    }

    /// Whose signatures are this center's.
    pub(crate) fn trust(&self) -> Trust {
        Trust::from_keyset(self.keyset.clone())
    }

    /// The key that signs manifests now.
    pub(crate) fn manifest_key(&self) -> Result<[u8; 32], RightsError> {
        let of_manifests = self.keyset.keys.iter().filter(|key| key.use_ == Use::Manifest);
        let newest = of_manifests.max_by_key(|key| key.signs_from).map(|key| key.public);
        newest.ok_or_else(|| RightsError::Forged("its keyset has no key for manifests".into()))
    }

    /// The account's id.
    pub(crate) fn id(&self) -> Id {
        self.about.account
    }

    /// What it logs in as.
    pub(crate) fn login(&self) -> &str {
        &self.about.login
    }

    /// This device's id.
    pub(crate) fn device(&self) -> Id {
        self.about.device
    }

    /// Ends the login, here in any case, at the center if it answers.
    pub(crate) fn logout(self) -> anyhow::Result<()> {
        self.store.remove(SESSION)?;
        match self.center.logout() {
            // It was over already.
            Err(ClientError::Refused(_)) => Ok(()),
            other => Ok(other?),
        }
    }
}
