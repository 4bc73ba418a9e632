//! Logins, sessions and API keys. A secret is shown once; here is its SHA-256.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use segcast_api::accounts as api;
use segcast_api::admin::{ApiKeyAnswer, ApiKeyRequest};
use segcast_api::problem::Code;
use segcast_api::text::Secret;
use segcast_api::value::{Id, Timestamp};
use segcast_proto::crypto::hash::sha256;
use segcast_proto::ticket::AccountId;
use zeroize::Zeroizing;

use super::accounts::weakness;
use super::refusal::{invalid, rate_limited, refuse};
use super::{
    Caller, DAY, Guard, Origin, fresh_id, id, random, record, row_id, show, text_of, word,
};
use crate::app::{App, Outcome};
use crate::db::accounts::{self, Account};
use crate::db::guard::{self, Rate};
use crate::db::sessions::{self, Session};
use crate::db::{DbError, Tx};

/// What secrets begin with: of sessions and of API keys. Scanners for secrets in public texts find them by it.
const SESSION: &str = "segcast_s_";
const KEY: &str = "segcast_k_";

/// Five logins a minute for one login, wherever they come from.
const LOGIN_EACH_MS: i64 = 12_000;
const LOGIN_BURST_MS: i64 = 48_000;

/// A new secret: its text, and the hash of its bytes.
fn secret(prefix: &str) -> Result<(Secret, [u8; 32]), DbError> {
    let bytes = Zeroizing::new(random::<32>()?);
    let text = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(*bytes));
    Ok((Secret::new(text), sha256(&[bytes.as_slice()])))
}

/// Who comes with this bearer secret.
///
/// # Errors
/// [`DbError`].
pub async fn authenticate(
    app: &App,
    bearer: &str,
    origin: Origin,
) -> Result<Outcome<Caller>, DbError> {
    let unknown =
        || refuse(Code::Unauthenticated, "this secret is not, or no longer, one of a session");
    let text = bearer.strip_prefix(SESSION).or_else(|| bearer.strip_prefix(KEY));
    let bytes = text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).map(Zeroizing::new);
    let Some(bytes) = bytes.filter(|bytes| bytes.len() == 32) else { return Ok(unknown()) };
    let session = sha256(&[&bytes]);
    let holder = sessions::holder(&app.db.read().await?, &session, app.clock.now()).await?;
    let Some((account, role, state)) = holder else { return Ok(unknown()) };
    match word(&state)? {
        api::AccountState::Active => {}
        api::AccountState::MustChange => return Ok(must_change()),
        api::AccountState::Blocked | api::AccountState::Closed => return Ok(unknown()),
    }
    let account = AccountId(account.cast_unsigned());
    Ok(Outcome::Done(Caller { account, role: word(&role)?, session, origin }))
}

fn must_change<T>() -> Outcome<T> {
    refuse(Code::PasswordMustChange, "log in with the present password and a new one, new_password")
}

/// Logs in; with a new password, which takes the present one's place.
///
/// # Errors
/// [`DbError`].
pub async fn login(
    app: &App,
    guard: &Guard,
    origin: &Origin,
    request: api::SessionRequest,
) -> Result<Outcome<api::SessionAnswer>, DbError> {
    let now = app.clock.now();
    let account = match known(app, guard, &request.login, now).await? {
        Outcome::Done(account) => account,
        Outcome::Refused(problem) => return Ok(Outcome::Refused(problem)),
    };
    let hash = account.as_ref().and_then(|account| account.password.clone());
    let is_right = match app.passwords.verify(request.password, hash).await {
        Ok(is_right) => is_right,
        Err(busy) => return Ok(busy.into()),
    };
    let may = |account: &Account| matches!(account.state.as_str(), "active" | "must_change");
    let Some(account) = account.filter(|account| is_right && may(account)) else {
        return Ok(refuse(Code::LoginFailed, "no account has this login and password"));
    };
    let changed = match request.new_password {
        None if account.state == "must_change" => return Ok(must_change()),
        None => None,
        Some(new) => match with_password(app, &account, new).await {
            Outcome::Done(changed) => Some(changed),
            Outcome::Refused(problem) => return Ok(Outcome::Refused(problem)),
        },
    };
    begin(app, &account, changed.as_ref(), origin, now).await
}

/// The account with a new password.
async fn with_password(app: &App, account: &Account, new: Secret) -> Outcome<Account> {
    if let Some(problem) = weakness(&new, &account.login) {
        return Outcome::Refused(problem);
    }
    match app.passwords.hash(new).await {
        Ok(hash) => Outcome::Done(Account {
            password: Some(hash),
            state: text_of(api::AccountState::Active),
            ..account.clone()
        }),
        Err(busy) => busy.into(),
    }
}

async fn begin(
    app: &App,
    account: &Account,
    changed: Option<&Account>,
    origin: &Origin,
    now: i64,
) -> Result<Outcome<api::SessionAnswer>, DbError> {
    let (token, hash) = secret(SESSION)?;
    let lifetime = i64::try_from(app.settings.session_lifetime.as_millis()).unwrap_or(DAY);
    let session = Session {
        hash,
        id: fresh_id()?,
        account: account.id,
        kind: "session",
        label: String::new(),
        created: now,
        expires: Some(now + lifetime),
    };
    let caller = Caller {
        account: AccountId(account.id.cast_unsigned()),
        role: word(&account.role)?,
        session: hash,
        origin: origin.clone(),
    };
    let entry = fresh_id()?;
    let insert = async |tx: Tx| {
        let tx = &tx;
        if let Some(changed) = changed {
            if !accounts::update(tx, changed).await? {
                return Ok(refuse(Code::Conflict, "the account was changed at the same time"));
            }
            sessions::end_others(tx, account.id, &hash).await?;
        }
        sessions::insert(tx, &session).await?;
        record(tx, (entry, now), &caller, "login", show(session.id), String::new()).await?;
        Ok(Outcome::Done(api::SessionAnswer {
            token: token.clone(),
            expires: Timestamp::from_millis(now + lifetime),
            account: super::accounts::answer(changed.unwrap_or(account))?,
        }))
    };
    app.db.write(insert).await
}

/// The account of a login, after two limits: of the network and of the login.
async fn known(
    app: &App,
    guard: &Guard,
    login: &str,
    now: i64,
) -> Result<Outcome<Option<Account>>, DbError> {
    let of_login =
        Rate { bucket: format!("login {login}"), each_ms: LOGIN_EACH_MS, burst_ms: LOGIN_BURST_MS };
    let look = async |tx: Tx| {
        let tx = &tx;
        let early = guard::take(tx, &guard.rate, now).await?;
        let early = early.max(guard::take(tx, &of_login, now).await?);
        if early > 0 {
            return Ok(rate_limited(early));
        }
        Ok(Outcome::Done(accounts::by_login(tx, login).await?))
    };
    app.db.write(look).await
}

/// The sessions and keys of the caller's account.
///
/// # Errors
/// [`DbError`].
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<api::Session>, DbError> {
    let rows = sessions::of(&app.db.read().await?, caller.id(), app.clock.now()).await?;
    let info = |row: sessions::Listed| api::Session {
        id: id(row.id),
        label: row.label,
        created: Timestamp::from_millis(row.created),
        expires: row.expires.map(Timestamp::from_millis),
        current: row.hash == caller.session,
    };
    Ok(rows.into_iter().map(info).collect())
}

/// Ends one of the caller's sessions; none: the one that asks.
///
/// # Errors
/// [`DbError`].
pub async fn end(app: &App, caller: &Caller, which: Option<Id>) -> Result<Outcome<()>, DbError> {
    let end = async |tx: Tx| {
        let tx = &tx;
        let has_ended = match which {
            Some(which) => sessions::end(tx, caller.id(), row_id(which)).await?,
            None => sessions::end_current(tx, &caller.session).await?,
        };
        if has_ended {
            Ok(Outcome::Done(()))
        } else {
            Ok(refuse(Code::NotFound, "no such session"))
        }
    };
    app.db.write(end).await
}

/// Makes an API key: an account of its own, which nobody logs in to.
///
/// # Errors
/// [`DbError`].
pub async fn make_key(
    app: &App,
    caller: &Caller,
    guard: &Guard,
    request: ApiKeyRequest,
) -> Result<Outcome<ApiKeyAnswer>, DbError> {
    if request.role == api::Role::Customer {
        return Ok(invalid("/role", "operator, auditor or payments: customers log in"));
    }
    let now = app.clock.now();
    let (text, hash) = secret(KEY)?;
    let (account, key, entry) = (fresh_id()?, fresh_id()?, fresh_id()?);
    let holder = Account {
        id: account,
        login: format!("key-{}", show(key)),
        name: request.label.to_string(),
        password: None,
        role: text_of(request.role),
        state: text_of(api::AccountState::Active),
        consent: false,
        created: now,
        rev: 1,
    };
    let session = Session {
        hash,
        id: key,
        account,
        kind: "key",
        label: request.label.to_string(),
        created: now,
        expires: None,
    };
    let make = async |tx: Tx| {
        let tx = &tx;
        accounts::insert(tx, &holder).await?;
        sessions::insert(tx, &session).await?;
        let detail = format!("{} {}", holder.role, holder.name);
        record(tx, (entry, now), caller, "key-made", show(key), detail).await?;
        Ok(Outcome::Done(ApiKeyAnswer { id: id(key), secret: text.clone() }))
    };
    guard.run(app, caller.id(), (now, DAY), make).await
}

/// Ends an API key, and closes its account.
///
/// # Errors
/// [`DbError`].
pub async fn end_key(app: &App, caller: &Caller, key: Id) -> Result<Outcome<()>, DbError> {
    let (now, entry) = (app.clock.now(), fresh_id()?);
    let end = async |tx: Tx| {
        let tx = &tx;
        let Some(account) = sessions::end_key(tx, row_id(key)).await? else {
            return Ok(refuse(Code::NotFound, "no such key"));
        };
        if let Some(holder) = accounts::by_id(tx, account).await? {
            let closed = Account { state: text_of(api::AccountState::Closed), ..holder };
            accounts::update(tx, &closed).await?;
        }
        record(tx, (entry, now), caller, "key-ended", key.to_string(), String::new()).await?;
        Ok(Outcome::Done(()))
    };
    app.db.write(end).await
}
