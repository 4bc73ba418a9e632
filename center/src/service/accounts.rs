//! Accounts: made, looked at, changed, closed; the first administrator.

use segcast_api::accounts as api;
use segcast_api::admin::AdminAccountPatch;
use segcast_api::problem::{Code, Problem};
use segcast_api::text::Secret;
use segcast_api::value::{Id, Timestamp};

use super::refusal::{rate_limited, refuse};
use super::{Caller, Guard, Listed, Versioned, fresh_id, id, record, row_id, show, text_of, word};
use crate::app::{App, Outcome};
use crate::db::accounts::{self, Account};
use crate::db::{DbError, Tx, Window, guard, sessions};

/// Characters of a password at least.
const PASSWORD_LEAST: usize = 10;

/// Makes a customer's account.
///
/// # Errors
/// [`DbError`].
pub async fn register(
    app: &App,
    guard: &Guard,
    request: api::AccountRequest,
) -> Result<Outcome<api::Account>, DbError> {
    if !app.settings.registration {
        return Ok(refuse(Code::RegistrationClosed, "accounts are made by the operator here"));
    }
    if let Some(problem) = weakness(&request.password, &request.login) {
        return Ok(Outcome::Refused(problem));
    }
    let account = Account {
        id: fresh_id()?,
        login: request.login.to_string(),
        name: request.name.to_string(),
        password: None,
        role: text_of(api::Role::Customer),
        state: text_of(api::AccountState::Active),
        consent: false,
        created: app.clock.now(),
        rev: 1,
    };
    make(app, guard, account, request.password).await
}

/// Writes an account, after its password was hashed: the rate is counted before that costs time.
async fn make(
    app: &App,
    guard: &Guard,
    account: Account,
    password: Secret,
) -> Result<Outcome<api::Account>, DbError> {
    let now = account.created;
    let count = async |tx: Tx| Ok(Outcome::Done(guard::take(&tx, &guard.rate, now).await?));
    if let Outcome::Done(early @ 1..) = app.db.write(count).await? {
        return Ok(rate_limited(early));
    }
    let hash = match app.passwords.hash(password).await {
        Ok(hash) => hash,
        Err(busy) => return Ok(busy.into()),
    };
    let account = Account { password: Some(hash), ..account };
    let insert = async |tx: Tx| {
        if accounts::insert(&tx, &account).await? {
            return Ok(Outcome::Done(answer(&account)?));
        }
        Ok(refuse(Code::LoginTaken, "this login is taken"))
    };
    app.db.write(insert).await
}

/// Length is what counts; one that is the login is the first that is tried.
pub(super) fn weakness(password: &Secret, login: &str) -> Option<Problem> {
    let password = password.expose();
    if password.chars().count() >= PASSWORD_LEAST && password.to_lowercase() != login {
        return None;
    }
    let detail = "a password has at least 10 characters and is not the login";
    Some(Problem::new(Code::PasswordWeak, detail))
}

/// An account, and its revision.
///
/// # Errors
/// [`DbError`].
pub async fn get(app: &App, id: i64) -> Result<Outcome<Versioned<api::Account>>, DbError> {
    match accounts::by_id(&app.db.read().await?, id).await? {
        Some(account) => {
            Ok(Outcome::Done(Versioned { rev: account.rev, value: answer(&account)? }))
        }
        None => Ok(refuse(Code::NotFound, "no such account")),
    }
}

/// Changes name and consent of the caller's account, which was read at revision `rev`.
///
/// # Errors
/// [`DbError`].
pub async fn change_own(
    app: &App,
    caller: &Caller,
    rev: i64,
    patch: api::AccountPatch,
) -> Result<Outcome<Versioned<api::Account>>, DbError> {
    let with = |account: Account| Account {
        name: patch.name.as_ref().map_or(account.name, ToString::to_string),
        consent: patch.consent.unwrap_or(account.consent),
        ..account
    };
    change(app, caller, (caller.id(), rev), with).await
}

/// Changes role and state of another's account, which was read at revision `rev`.
///
/// # Errors
/// [`DbError`].
pub async fn change_other(
    app: &App,
    caller: &Caller,
    (account, rev): (Id, i64),
    patch: AdminAccountPatch,
) -> Result<Outcome<Versioned<api::Account>>, DbError> {
    if row_id(account) == caller.id() {
        return Ok(refuse(Code::Conflict, "nobody changes their own role or state"));
    }
    let with = |account: Account| Account {
        role: patch.role.map_or(account.role, text_of),
        state: patch.state.map_or(account.state, text_of),
        ..account
    };
    change(app, caller, (row_id(account), rev), with).await
}

async fn change(
    app: &App,
    caller: &Caller,
    (id, rev): (i64, i64),
    with: impl Fn(Account) -> Account,
) -> Result<Outcome<Versioned<api::Account>>, DbError> {
    let (now, entry) = (app.clock.now(), fresh_id()?);
    let write = async |tx: Tx| {
        let tx = &tx;
        let Some(account) = accounts::by_id(tx, id).await? else {
            return Ok(refuse(Code::NotFound, "no such account"));
        };
        let changed = Account { rev, ..with(account) };
        if !accounts::update(tx, &changed).await? {
            return Ok(refuse(Code::PreconditionFailed, "it was changed since it was read"));
        }
        let detail = format!("{}, {}", changed.role, changed.state);
        record(tx, (entry, now), caller, "account-changed", show(id), detail).await?;
        let rev = rev + 1;
        Ok(Outcome::Done(Versioned { rev, value: answer(&Account { rev, ..changed })? }))
    };
    app.db.write(write).await
}

/// Closes the caller's account: the name goes, sessions end, what was bought and paid stays in the ledger.
///
/// # Errors
/// [`DbError`].
pub async fn close_own(app: &App, caller: &Caller) -> Result<Outcome<()>, DbError> {
    let (now, entry) = (app.clock.now(), fresh_id()?);
    let close = async |tx: Tx| {
        let tx = &tx;
        let Some(account) = accounts::by_id(tx, caller.id()).await? else {
            return Ok(refuse(Code::NotFound, "no such account"));
        };
        let closed = Account {
            login: format!("closed-{}", show(account.id)),
            name: "closed".to_owned(),
            password: None,
            state: "closed".to_owned(),
            consent: false,
            ..account
        };
        if !accounts::update(tx, &closed).await? {
            return Ok(refuse(Code::Conflict, "the account was changed at the same time"));
        }
        // No secret has this hash.
        sessions::end_others(tx, caller.id(), &[0; 32]).await?;
        record(tx, (entry, now), caller, "account-closed", show(account.id), String::new()).await?;
        Ok(Outcome::Done(()))
    };
    app.db.write(close).await
}

/// Changes the caller's password, and ends all other sessions.
///
/// # Errors
/// [`DbError`].
pub async fn change_password(
    app: &App,
    caller: &Caller,
    guard: &Guard,
    request: api::PasswordRequest,
) -> Result<Outcome<()>, DbError> {
    let now = app.clock.now();
    let known = async |tx: Tx| {
        let tx = &tx;
        let early = guard::take(tx, &guard.rate, now).await?;
        if early > 0 {
            return Ok(rate_limited(early));
        }
        Ok(match accounts::by_id(tx, caller.id()).await? {
            Some(account) => Outcome::Done(account),
            None => refuse(Code::NotFound, "no such account"),
        })
    };
    let account = match app.db.write(known).await? {
        Outcome::Done(account) => account,
        Outcome::Refused(problem) => return Ok(Outcome::Refused(problem)),
    };
    if let Some(problem) = weakness(&request.new, &account.login) {
        return Ok(Outcome::Refused(problem));
    }
    match app.passwords.verify(request.old, account.password.clone()).await {
        Ok(true) => {}
        Ok(false) => return Ok(refuse(Code::PasswordWrong, "the old password is another")),
        Err(busy) => return Ok(busy.into()),
    }
    let hash = match app.passwords.hash(request.new).await {
        Ok(hash) => hash,
        Err(busy) => return Ok(busy.into()),
    };
    let entry = fresh_id()?;
    let state = text_of(api::AccountState::Active);
    let changed = Account { password: Some(hash), state, ..account };
    let change = async |tx: Tx| {
        let tx = &tx;
        if !accounts::update(tx, &changed).await? {
            return Ok(refuse(Code::Conflict, "the account was changed at the same time"));
        }
        sessions::end_others(tx, caller.id(), &caller.session).await?;
        record(tx, (entry, now), caller, "password-changed", show(caller.id()), String::new())
            .await?;
        Ok(Outcome::Done(()))
    };
    app.db.write(change).await
}

/// All accounts, newest first.
///
/// # Errors
/// [`DbError`].
pub async fn list(app: &App, window: Window) -> Result<Listed<api::Account>, DbError> {
    let rows = accounts::list(&app.db.read().await?, window.and_one()).await?;
    Listed::of(rows, window.limit, |account| (account.created, account.id), answer)
}

/// Makes the operator's account `admin` with this password, which must be changed at the first login, if there is no
/// account at all; whether it was made.
///
/// # Errors
/// [`DbError`].
pub async fn make_first(app: &App, password: Secret) -> Result<bool, DbError> {
    let Ok(hash) = app.passwords.hash(password).await else { return Ok(false) };
    let admin = Account {
        id: fresh_id()?,
        login: "admin".to_owned(),
        name: "Administrator".to_owned(),
        password: Some(hash),
        role: "operator".to_owned(),
        state: "must_change".to_owned(),
        consent: false,
        created: app.clock.now(),
        rev: 1,
    };
    let make = async |tx: Tx| {
        let tx = &tx;
        let is_first = accounts::is_empty(tx).await?;
        Ok(Outcome::Done(is_first && accounts::insert(tx, &admin).await?))
    };
    Ok(matches!(app.db.write(make).await?, Outcome::Done(true)))
}

pub(super) fn answer(account: &Account) -> Result<api::Account, DbError> {
    Ok(api::Account {
        id: id(account.id),
        login: account.login.clone(),
        name: account.name.clone(),
        role: word(&account.role)?,
        state: word(&account.state)?,
        consent: account.consent,
        created: Timestamp::from_millis(account.created),
        rev: account.rev.cast_unsigned(),
    })
}
