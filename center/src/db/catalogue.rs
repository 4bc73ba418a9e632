//! Titles, their sets, and what they are offered for.

use segcast_proto::ids::SetId;

use super::sql::args;
use super::{DbError, Row, Tx, Window};

/// A title.
#[derive(Clone, Debug)]
pub struct Title {
    /// Its id.
    pub id: i64,
    /// The first 12 bytes of its sets' ids.
    pub number: [u8; 12],
    /// Its name in addresses.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// What it is about.
    pub synopsis: String,
    /// draft, listed or withdrawn.
    pub state: String,
    /// When it was made, Unix time in ms.
    pub created: i64,
    /// Counts changes.
    pub rev: i64,
    /// The newest set that is ready.
    pub newest: Option<ReadySet>,
}

/// A set that can be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadySet {
    /// Its id.
    pub set: SetId,
    /// Bytes of the title.
    pub length: i64,
    /// SHA-256 of the manifest's page 0.
    pub page0_digest: [u8; 32],
}

/// An offer of a title. Times are Unix milliseconds, spans milliseconds.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Its id.
    pub id: i64,
    /// The title.
    pub title: i64,
    /// rental, purchase or free.
    pub kind: String,
    /// How often it may be started; none: as often as wanted.
    pub plays: Option<i64>,
    /// How long after the order it may be started.
    pub start_within: Option<i64>,
    /// How long a play lasts.
    pub play_window: Option<i64>,
    /// Minor units.
    pub price: i64,
    /// ISO 4217.
    pub currency: String,
    /// From when it is sold.
    pub valid_from: i64,
    /// Until when it is sold; none: until it is ended.
    pub valid_until: Option<i64>,
    /// When it was made.
    pub created: i64,
    /// Counts changes.
    pub rev: i64,
}

macro_rules! titles {
    ($rest:literal) => {
        concat!(
            "SELECT t.id, t.number, t.slug, t.name, t.synopsis, t.state, t.created, t.rev, s.set_id, s.length, \
             s.page0_digest \
             FROM titles t LEFT JOIN sets s ON s.title = t.id AND s.state = 'ready' AND s.version = \
             (SELECT max(n.version) FROM sets n WHERE n.title = t.id AND n.state = 'ready') ",
            $rest
        )
    };
}

fn title(row: &Row) -> Result<Title, DbError> {
    let newest = match row.get::<Option<Vec<u8>>>(8)? {
        Some(_) => Some(ReadySet {
            set: SetId(row.array(8)?),
            length: row.get(9)?,
            page0_digest: row.array(10)?,
        }),
        None => None,
    };
    Ok(Title {
        id: row.get(0)?,
        number: row.array(1)?,
        slug: row.get(2)?,
        name: row.get(3)?,
        synopsis: row.get(4)?,
        state: row.get(5)?,
        created: row.get(6)?,
        rev: row.get(7)?,
        newest,
    })
}

/// What titles are searched by: name and slug in lower case. Databases differ in what they call lower case.
fn search_text(title: &Title) -> String {
    format!("{} {}", title.name.to_lowercase(), title.slug)
}

/// Writes a title; false when its slug is taken.
///
/// # Errors
/// [`DbError`].
pub async fn insert_title(tx: &Tx, new: &Title) -> Result<bool, DbError> {
    let sql = "INSERT INTO titles (id, number, slug, name, search, synopsis, state, created, rev) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (slug) DO NOTHING RETURNING id";
    let parameters = args![
        new.id,
        new.number,
        &new.slug,
        &new.name,
        search_text(new),
        &new.synopsis,
        &new.state,
        new.created,
        new.rev,
    ];
    Ok(tx.maybe(sql, parameters).await?.is_some())
}

/// Writes name, synopsis and state if the title is still at the revision that was read.
///
/// # Errors
/// [`DbError`].
pub async fn update_title(tx: &Tx, changed: &Title) -> Result<bool, DbError> {
    let sql = "UPDATE titles SET name = $3, search = $4, synopsis = $5, state = $6, rev = rev + 1 \
               WHERE id = $1 AND rev = $2 RETURNING id";
    let parameters = args![
        changed.id,
        changed.rev,
        &changed.name,
        search_text(changed),
        &changed.synopsis,
        &changed.state,
    ];
    Ok(tx.maybe(sql, parameters).await?.is_some())
}

/// The title with this slug.
///
/// # Errors
/// [`DbError`].
pub async fn by_slug(tx: &Tx, slug: &str) -> Result<Option<Title>, DbError> {
    tx.maybe(titles!("WHERE t.slug = $1"), args![slug]).await?.as_ref().map(title).transpose()
}

/// The title with this id.
///
/// # Errors
/// [`DbError`].
pub async fn by_id(tx: &Tx, id: i64) -> Result<Option<Title>, DbError> {
    tx.maybe(titles!("WHERE t.id = $1"), args![id]).await?.as_ref().map(title).transpose()
}

/// Titles whose name or slug contains a text, newest first: the listed ones, or all.
///
/// # Errors
/// [`DbError`].
pub async fn list(
    tx: &Tx,
    contains: &str,
    all: bool,
    window: Window,
) -> Result<Vec<Title>, DbError> {
    let sql = titles!(
        "WHERE (t.created < $1 OR (t.created = $1 AND t.id < $2)) AND (t.state = 'listed' OR $4 = 1) \
         AND t.search LIKE $5 ESCAPE '!' ORDER BY t.created DESC, t.id DESC LIMIT $3"
    );
    let word = contains.to_lowercase().replace('!', "!!").replace('%', "!%").replace('_', "!_");
    let mut parameters = window.args();
    parameters.extend(args![i64::from(all), format!("%{word}%")]);
    tx.all(sql, parameters).await?.iter().map(title).collect()
}

/// The version that a title's next set gets. The title's row is locked until the transaction ends.
///
/// # Errors
/// [`DbError`].
pub async fn next_version(tx: &Tx, title: i64) -> Result<u32, DbError> {
    tx.run("UPDATE titles SET rev = rev WHERE id = $1", args![title]).await?;
    let sql = "SELECT coalesce(max(version), 0) + 1 FROM sets WHERE title = $1";
    let version: i64 = tx.one(sql, args![title]).await?.get(0)?;
    u32::try_from(version).map_err(|_| DbError::Row("a title has 2^32 versions"))
}

/// Takes a set's id for a title, before anything of it is stored.
///
/// # Errors
/// [`DbError`].
pub async fn insert_set(tx: &Tx, set: SetId, title: i64, now: i64) -> Result<(), DbError> {
    let version = u32::from_be_bytes(*set.0.last_chunk().expect("16 bytes"));
    let sql = "INSERT INTO sets (set_id, title, version, state, length, page0_digest, created) \
               VALUES ($1, $2, $3, 'building', NULL, NULL, $4)";
    tx.run(sql, args![set.0, title, i64::from(version), now]).await
}

/// Makes a set ready, with its wrapped title key; false when it is not one that is being built.
///
/// # Errors
/// [`DbError`].
pub async fn publish_set(tx: &Tx, new: &ReadySet, wrapped: Vec<u8>) -> Result<bool, DbError> {
    let sql = "UPDATE sets SET state = 'ready', length = $2, page0_digest = $3 \
               WHERE set_id = $1 AND state = 'building' RETURNING set_id";
    if tx.maybe(sql, args![new.set.0, new.length, new.page0_digest]).await?.is_none() {
        return Ok(false);
    }
    let sql = "INSERT INTO title_keys (set_id, wrapped) VALUES ($1, $2)";
    tx.run(sql, args![new.set.0, wrapped]).await?;
    Ok(true)
}

/// Withdraws a set; false when there is none such that is ready.
///
/// # Errors
/// [`DbError`].
pub async fn withdraw_set(tx: &Tx, set: SetId) -> Result<bool, DbError> {
    let sql = "UPDATE sets SET state = 'withdrawn' WHERE set_id = $1 AND state = 'ready' RETURNING set_id";
    Ok(tx.maybe(sql, args![set.0]).await?.is_some())
}

/// A set's state, the digest of its manifest's page 0 and its wrapped title key.
#[derive(Clone, Debug)]
pub struct SetKey {
    /// building, ready or withdrawn.
    pub state: String,
    /// SHA-256 of the manifest's page 0, once it is ready.
    pub page0_digest: Option<[u8; 32]>,
    /// The wrapped title key, once it is ready.
    pub wrapped: Option<Vec<u8>>,
}

/// What tickets and certificates of a set are made from.
///
/// # Errors
/// [`DbError`].
pub async fn set_key(tx: &Tx, set: SetId) -> Result<Option<SetKey>, DbError> {
    let sql = "SELECT s.state, s.page0_digest, k.wrapped FROM sets s LEFT JOIN title_keys k ON k.set_id = s.set_id \
               WHERE s.set_id = $1";
    let Some(row) = tx.maybe(sql, args![set.0]).await? else { return Ok(None) };
    let page0_digest = match row.get::<Option<Vec<u8>>>(1)? {
        Some(_) => Some(row.array(1)?),
        None => None,
    };
    Ok(Some(SetKey { state: row.get(0)?, page0_digest, wrapped: row.get(2)? }))
}

macro_rules! offers {
    ($rest:literal) => {
        concat!(
            "SELECT id, title, kind, plays, start_within, play_window, price, currency, valid_from, valid_until, \
             created, rev FROM offers ",
            $rest
        )
    };
}

fn offer(row: &Row) -> Result<Offer, DbError> {
    Ok(Offer {
        id: row.get(0)?,
        title: row.get(1)?,
        kind: row.get(2)?,
        plays: row.get(3)?,
        start_within: row.get(4)?,
        play_window: row.get(5)?,
        price: row.get(6)?,
        currency: row.get(7)?,
        valid_from: row.get(8)?,
        valid_until: row.get(9)?,
        created: row.get(10)?,
        rev: row.get(11)?,
    })
}

/// Writes an offer.
///
/// # Errors
/// [`DbError`].
pub async fn insert_offer(tx: &Tx, new: &Offer) -> Result<(), DbError> {
    let sql = "INSERT INTO offers (id, title, kind, plays, start_within, play_window, price, currency, valid_from, \
               valid_until, created, rev) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let parameters = args![
        new.id,
        new.title,
        &new.kind,
        new.plays,
        new.start_within,
        new.play_window,
        new.price,
        &new.currency,
        new.valid_from,
        new.valid_until,
        new.created,
        new.rev,
    ];
    tx.run(sql, parameters).await
}

/// The offer with this id.
///
/// # Errors
/// [`DbError`].
pub async fn offer_by_id(tx: &Tx, id: i64) -> Result<Option<Offer>, DbError> {
    tx.maybe(offers!("WHERE id = $1"), args![id]).await?.as_ref().map(offer).transpose()
}

/// Offers of a title that are sold at `now`, oldest first, at most 100.
///
/// # Errors
/// [`DbError`].
pub async fn offers_of(tx: &Tx, title: i64, now: i64) -> Result<Vec<Offer>, DbError> {
    let sql = offers!(
        "WHERE title = $1 AND valid_from <= $2 AND (valid_until IS NULL OR valid_until > $2) \
         ORDER BY created, id LIMIT 100"
    );
    tx.all(sql, args![title, now]).await?.iter().map(offer).collect()
}

/// Ends an offer at a time if it is still at the revision that was read.
///
/// # Errors
/// [`DbError`].
pub async fn end_offer(tx: &Tx, id: i64, rev: i64, until: Option<i64>) -> Result<bool, DbError> {
    let sql =
        "UPDATE offers SET valid_until = $3, rev = rev + 1 WHERE id = $1 AND rev = $2 RETURNING id";
    Ok(tx.maybe(sql, args![id, rev, until]).await?.is_some())
}
