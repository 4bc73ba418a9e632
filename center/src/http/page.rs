//! Lists in pages: the cursor is sealed, so that nobody relies on what is in it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use segcast_api::page::Page;
use segcast_api::problem::Problem;

use super::answer::{Done, Refusal, Sent};
use crate::app::App;
use crate::db::{DbError, Window};
use crate::service::Listed;
use crate::vault::Vault;

/// The query of every list.
pub(super) const QUERY: &[(&str, &str)] = &[
    ("limit", "Items at most, 1 to 200; 50 unless told otherwise"),
    ("after", "`next` of the page before"),
];

/// Items of a page, unless told otherwise and at most.
const LIMIT: u16 = 50;
const LIMIT_MAX: u16 = 200;

/// What cursors are wrapped as; they lie in no table.
const PLACE: &str = "cursor";

/// Answers with the part of the list of `route` that `limit` and `cursor` ask for; `read` gives it.
pub(super) async fn listed<T, F>(
    app: &App,
    route: &str,
    (limit, cursor): (Option<u16>, &Option<String>),
    read: impl FnOnce(Window) -> F,
) -> Done<Page<T>>
where
    F: Future<Output = Result<Listed<T>, DbError>>,
{
    let window = window(&app.vault, route, limit, cursor.as_deref())?;
    let listed = read(window).await?;
    Ok(Sent(page(&app.vault, route, listed)))
}

/// The part of a list that is asked for; the newest of it, when no cursor is given.
fn window(
    vault: &Vault,
    route: &str,
    limit: Option<u16>,
    cursor: Option<&str>,
) -> Result<Window, Refusal> {
    let limit = limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Refusal::from(Problem::field("/limit", "1 to 200")));
    }
    let first = Window::first(limit.into());
    let Some(cursor) = cursor else { return Ok(first) };
    let after = open(vault, route, cursor);
    let after = after.ok_or_else(|| {
        Refusal::from(Problem::field("/after", "not `next` of a page of this list"))
    })?;
    Ok(Window { after, ..first })
}

fn open(vault: &Vault, route: &str, cursor: &str) -> Option<(i64, i64)> {
    let sealed = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let plain = vault.unwrap(PLACE, route.as_bytes(), &sealed).ok()?;
    let (created, id) = plain.split_first_chunk::<8>()?;
    Some((i64::from_be_bytes(*created), i64::from_be_bytes(id.try_into().ok()?)))
}

/// A page of it.
fn page<T>(vault: &Vault, route: &str, listed: Listed<T>) -> Page<T> {
    let next = listed.next.map(|(created, id)| {
        let plain = [created.to_be_bytes(), id.to_be_bytes()].concat();
        URL_SAFE_NO_PAD.encode(vault.wrap(PLACE, route.as_bytes(), &plain))
    });
    Page { items: listed.items, next }
}

#[cfg(test)]
mod tests {
    use segcast_proto::crypto::sign::SigningKey;

    use super::*;
    use crate::vault::{Keys, Master, Vault};

    #[test]
    fn a_cursor_leads_on_in_its_own_list_only() {
        let keys = Keys::fresh(&SigningKey::from_seed(&[1; 32]), 1_800_000_000).unwrap();
        let vault = Vault::new(&Master::new([1; 32]), &keys);
        let listed = Listed { items: vec![1, 2], next: Some((7, 9)) };
        let after = page(&vault, "GET /v1/orders", listed).next;
        let window_of = |route| window(&vault, route, Some(2), after.as_deref());
        assert_eq!(window_of("GET /v1/orders").unwrap(), Window { after: (7, 9), limit: 2 });
        assert!(window_of("GET /v1/tickets").is_err());
        let is_wrong =
            |limit, after: &str| window(&vault, "GET /v1/orders", limit, Some(after)).is_err();
        assert!(is_wrong(None, "AAAA") && is_wrong(Some(0), "") && is_wrong(Some(201), ""));
    }
}
