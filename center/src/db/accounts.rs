//! Accounts: who may come in, as what. States and roles are checked by the schema.

use super::sql::args;
use super::{DbError, Row, Tx, Window};

/// An account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its id.
    pub id: i64,
    /// The login, in lower case.
    pub login: String,
    /// The name to show.
    pub name: String,
    /// The hash of the password; none: nobody comes in by one.
    pub password: Option<String>,
    /// customer, operator, auditor or payments.
    pub role: String,
    /// active, `must_change`, blocked or closed.
    pub state: String,
    /// Whether viewing may be counted.
    pub consent: bool,
    /// When it was made, Unix time in ms.
    pub created: i64,
    /// Counts changes.
    pub rev: i64,
}

macro_rules! account {
    ($rest:literal) => {
        concat!(
            "SELECT id, login, name, password, role, state, consent, created, rev FROM accounts ",
            $rest
        )
    };
}

fn account(row: &Row) -> Result<Account, DbError> {
    Ok(Account {
        id: row.get(0)?,
        login: row.get(1)?,
        name: row.get(2)?,
        password: row.get(3)?,
        role: row.get(4)?,
        state: row.get(5)?,
        consent: row.get::<i64>(6)? == 1,
        created: row.get(7)?,
        rev: row.get(8)?,
    })
}

/// Writes a new account; false when the login is taken.
///
/// # Errors
/// [`DbError`].
pub async fn insert(tx: &Tx, new: &Account) -> Result<bool, DbError> {
    let sql = "INSERT INTO accounts (id, login, name, password, role, state, consent, devices, created, rev) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9) ON CONFLICT (login) DO NOTHING RETURNING id";
    let consent = i64::from(new.consent);
    let parameters = args![
        new.id,
        &new.login,
        &new.name,
        new.password.clone(),
        &new.role,
        &new.state,
        consent,
        new.created,
        new.rev,
    ];
    Ok(tx.maybe(sql, parameters).await?.is_some())
}

/// The account with this login.
///
/// # Errors
/// [`DbError`].
pub async fn by_login(tx: &Tx, login: &str) -> Result<Option<Account>, DbError> {
    tx.maybe(account!("WHERE login = $1"), args![login]).await?.as_ref().map(account).transpose()
}

/// The account with this id.
///
/// # Errors
/// [`DbError`].
pub async fn by_id(tx: &Tx, id: i64) -> Result<Option<Account>, DbError> {
    tx.maybe(account!("WHERE id = $1"), args![id]).await?.as_ref().map(account).transpose()
}

/// Accounts, newest first.
///
/// # Errors
/// [`DbError`].
pub async fn list(tx: &Tx, window: Window) -> Result<Vec<Account>, DbError> {
    let sql = account!(
        "WHERE created < $1 OR (created = $1 AND id < $2) ORDER BY created DESC, id DESC LIMIT $3"
    );
    tx.all(sql, window.args()).await?.iter().map(account).collect()
}

/// Writes name, password, role, state and consent if the account is still at the revision that was read; false when
/// it is not.
///
/// # Errors
/// [`DbError`].
pub async fn update(tx: &Tx, changed: &Account) -> Result<bool, DbError> {
    let sql = "UPDATE accounts SET login = $3, name = $4, password = $5, role = $6, state = $7, consent = $8, \
               rev = rev + 1 WHERE id = $1 AND rev = $2 RETURNING id";
    let consent = i64::from(changed.consent);
    let parameters = args![
        changed.id,
        changed.rev,
        &changed.login,
        &changed.name,
        changed.password.clone(),
        &changed.role,
        &changed.state,
        consent,
    ];
    Ok(tx.maybe(sql, parameters).await?.is_some())
}

/// Whether there is any account yet.
///
/// # Errors
/// [`DbError`].
pub async fn is_empty(tx: &Tx) -> Result<bool, DbError> {
    Ok(tx.maybe("SELECT id FROM accounts LIMIT 1", args![]).await?.is_none())
}
