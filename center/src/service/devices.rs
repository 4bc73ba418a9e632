//! Devices: the client keys that an account plays on.

use segcast_api::devices as api;
use segcast_api::problem::Code;
use segcast_api::value::{Bytes, Id, Timestamp};

use super::refusal::{invalid, rate_limited, refuse};
use super::{Caller, Guard, fresh_id, id, record, row_id};
use crate::app::{App, Outcome};
use crate::db::devices::{self, Device};
use crate::db::{DbError, Tx, guard};

/// Makes a device known. The same key again gives the same device, with its new name.
///
/// # Errors
/// [`DbError`].
pub async fn add(
    app: &App,
    caller: &Caller,
    guard: &Guard,
    request: api::DeviceRequest,
) -> Result<Outcome<api::Device>, DbError> {
    let client_key = request.client_key.0.try_into().ok().filter(|key| *key != [0; 32]);
    let Some(client_key) = client_key else {
        return Ok(invalid("/client_key", "a public X25519 key of 32 bytes"));
    };
    let now = app.clock.now();
    let entry = fresh_id()?;
    let fresh = Device {
        id: fresh_id()?,
        client_key,
        name: request.name.to_string(),
        created: now,
        revoked: None,
    };
    let most = i64::from(app.settings.devices_max);
    let add = async |tx: Tx| {
        let tx = &tx;
        let early = guard::take(tx, &guard.rate, now).await?;
        if early > 0 {
            return Ok(rate_limited(early));
        }
        devices::lock(tx, caller.id()).await?;
        let known = devices::by_key(tx, caller.id(), &client_key).await?;
        let is_live = known.as_ref().is_some_and(|device| device.revoked.is_none());
        if !is_live && !devices::count(tx, caller.id(), most).await? {
            let detail = format!("{most} devices at most: take one off with DELETE /v1/devices/ID");
            return Ok(refuse(Code::TooManyDevices, detail));
        }
        let device = match known {
            Some(known) => Device { name: fresh.name.clone(), revoked: None, ..known },
            None => fresh.clone(),
        };
        devices::put(tx, caller.id(), &device).await?;
        if !is_live {
            let object = id(device.id).to_string();
            record(tx, (entry, now), caller, "device-added", object, device.name.clone()).await?;
        }
        Ok(Outcome::Done(answer(&device)))
    };
    app.db.write(add).await
}

/// The caller's live devices, oldest first.
///
/// # Errors
/// [`DbError`].
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<api::Device>, DbError> {
    let rows = devices::of(&app.db.read().await?, caller.id()).await?;
    Ok(rows.iter().map(answer).collect())
}

/// Takes a device off: it gets no certificates and no tokens any more.
///
/// # Errors
/// [`DbError`].
pub async fn remove(app: &App, caller: &Caller, device: Id) -> Result<Outcome<()>, DbError> {
    let (now, entry) = (app.clock.now(), fresh_id()?);
    let remove = async |tx: Tx| {
        let tx = &tx;
        devices::lock(tx, caller.id()).await?;
        if !devices::revoke(tx, caller.id(), row_id(device), now).await? {
            return Ok(refuse(Code::NotFound, "no such device"));
        }
        record(tx, (entry, now), caller, "device-removed", device.to_string(), String::new())
            .await?;
        Ok(Outcome::Done(()))
    };
    app.db.write(remove).await
}

fn answer(device: &Device) -> api::Device {
    api::Device {
        id: id(device.id),
        client_key: Bytes::from(device.client_key),
        name: device.name.clone(),
        created: Timestamp::from_millis(device.created),
        revoked: device.revoked.map(Timestamp::from_millis),
    }
}
