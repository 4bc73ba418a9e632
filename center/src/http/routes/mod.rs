//! All operations, one file for each group.

mod accounts;
mod admin;
mod catalogue;
mod plays;
mod shop;
mod status;

use super::op::Api;

/// The table of everything that can be asked.
pub(super) fn all() -> Api {
    let groups = [
        status::routes,
        accounts::routes,
        catalogue::routes,
        shop::routes,
        plays::routes,
        admin::routes,
    ];
    groups.into_iter().fold(Api::new(), |api, group| group(api))
}
