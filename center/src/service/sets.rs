//! Sets: taken before a title is packed, published once it is stored, withdrawn.

use segcast_api::problem::Code;
use segcast_api::text::{Name, Slug};
use segcast_api::value::Set;
use segcast_proto::ids::SetId;
use segcast_proto::segment::cipher::TitleKey;

use super::refusal::refuse;
use super::{Caller, fresh_id, random, record};
use crate::app::{App, Outcome};
use crate::db::catalogue::{self, ReadySet, Title};
use crate::db::{DbError, Tx};

/// Takes the next set of a title, which is made, and listed, when there is none of this slug. Nobody sees the set
/// until it is published.
///
/// # Errors
/// [`DbError`].
pub async fn take(app: &App, slug: &Slug, name: &Name) -> Result<Outcome<SetId>, DbError> {
    let now = app.clock.now();
    let fresh = Title {
        id: fresh_id()?,
        number: random()?,
        slug: slug.to_string(),
        name: name.to_string(),
        synopsis: String::new(),
        state: "listed".to_owned(),
        created: now,
        rev: 1,
        newest: None,
    };
    let take = async |tx: Tx| {
        let tx = &tx;
        catalogue::insert_title(tx, &fresh).await?;
        let Some(title) = catalogue::by_slug(tx, slug).await? else {
            return Err(DbError::Row("a title went while it was read"));
        };
        let set = SetId::new(title.number, catalogue::next_version(tx, title.id).await?);
        catalogue::insert_set(tx, set, title.id, now).await?;
        Ok(Outcome::Done(set))
    };
    app.db.write(take).await
}

/// Publishes a set that was taken and is stored: from now on it is ordered and played.
///
/// # Errors
/// [`DbError`].
pub async fn publish(app: &App, ready: &ReadySet, key: &TitleKey) -> Result<Outcome<()>, DbError> {
    let wrapped = app.vault.wrap("title_keys", &ready.set.0, key.as_bytes());
    let publish = async |tx: Tx| {
        let tx = &tx;
        if catalogue::publish_set(tx, ready, wrapped.clone()).await? {
            return Ok(Outcome::Done(()));
        }
        Ok(refuse(Code::Conflict, format!("set {} is not one that is being made", ready.set)))
    };
    app.db.write(publish).await
}

/// Withdraws a set from new orders, validations and tokens. Its key stays.
///
/// # Errors
/// [`DbError`].
pub async fn withdraw(app: &App, caller: &Caller, set: Set) -> Result<Outcome<()>, DbError> {
    let (now, entry) = (app.clock.now(), fresh_id()?);
    let withdraw = async |tx: Tx| {
        let tx = &tx;
        if !catalogue::withdraw_set(tx, set.0).await? {
            return Ok(refuse(Code::NotFound, "no such set that is ready"));
        }
        record(tx, (entry, now), caller, "set-withdrawn", set.to_string(), String::new()).await?;
        Ok(Outcome::Done(()))
    };
    app.db.write(withdraw).await
}
