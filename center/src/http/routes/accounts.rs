//! Accounts, logins and devices of the caller's own.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use segcast_api::accounts::{
    Account, AccountExport, AccountPatch, AccountRequest, PasswordRequest, Session, SessionAnswer,
    SessionRequest,
};
use segcast_api::devices::{Device, DeviceRequest};
use segcast_api::page::Page;
use segcast_api::problem::Code;
use segcast_api::value::Id;

use crate::app::App;
use crate::http::answer::{Done, Refusal, Sent, done, empty, revision, versioned};
use crate::http::call::{Call, Named, Open};
use crate::http::op::{ALL, Api, CUSTOMERS, HOUR, MINUTE, Op};
use crate::service::{accounts, devices, export, sessions};

pub(super) fn routes(api: Api) -> Api {
    let register = Op::new("POST /v1/accounts", "Makes an account")
        .takes::<AccountRequest>()
        .gives::<Account>()
        .rate(5, HOUR)
        .may(&[Code::LoginTaken, Code::PasswordWeak, Code::RegistrationClosed]);
    let login = Op::new("POST /v1/sessions", "Logs in")
        .takes::<SessionRequest>()
        .gives::<SessionAnswer>()
        .rate(10, MINUTE)
        .may(&[Code::LoginFailed, Code::PasswordMustChange, Code::PasswordWeak, Code::Conflict]);
    let password =
        Op::new("POST /v1/account/password", "Changes the password, and ends all other logins")
            .by(ALL)
            .takes::<PasswordRequest>()
            .gives::<Account>()
            .rate(10, MINUTE)
            .may(&[Code::PasswordWrong, Code::PasswordWeak, Code::Conflict, Code::NotFound]);
    let account = Op::new("GET /v1/account", "One's own account").by(ALL).gives::<Account>();
    let export = Op::new("GET /v1/account/export", "All that is known of the account")
        .by(CUSTOMERS)
        .gives::<AccountExport>();
    let change = Op::new("PATCH /v1/account", "Changes name and consent").by(ALL).matched();
    let close = Op::new("DELETE /v1/account", "Closes the account; the ledger stays").by(ALL);
    let add = Op::new("POST /v1/devices", "Makes a device known; the same key gives the same one")
        .by(CUSTOMERS)
        .takes::<DeviceRequest>()
        .gives::<Device>()
        .may(&[Code::TooManyDevices, Code::Conflict]);
    let end =
        Op::new("DELETE /v1/sessions/{id}", "Ends a login by its id, or this one by `current`");
    let remove = Op::new("DELETE /v1/devices/{id}", "Removes a device from the account");
    api.add(register, post(self::register))
        .add(login, post(self::login))
        .add(
            Op::new("GET /v1/sessions", "Logins of the account").by(ALL).lists::<Session>(),
            get(sessions),
        )
        .add(end.by(ALL), delete(self::end))
        .add(password, post(self::password))
        .add(account.may(&[Code::NotFound]), get(self::account))
        .add(export.may(&[Code::NotFound]), get(self::export))
        .add(
            change.takes::<AccountPatch>().gives::<Account>().may(&[Code::NotFound]),
            axum::routing::patch(self::change),
        )
        .add(close.may(&[Code::NotFound, Code::Conflict]), delete(self::close))
        .add(add, post(self::add))
        .add(
            Op::new("GET /v1/devices", "Devices of the account").by(CUSTOMERS).lists::<Device>(),
            get(devices),
        )
        .add(remove.by(CUSTOMERS), delete(self::remove))
}

async fn register(State(app): State<App>, call: Open<AccountRequest>) -> Done<Account> {
    done(accounts::register(&app, &call.guard, call.body).await)
}

async fn login(State(app): State<App>, call: Open<SessionRequest>) -> Done<SessionAnswer> {
    done(sessions::login(&app, &call.guard, &call.origin, call.body).await)
}

async fn sessions(State(app): State<App>, call: Call<()>) -> Done<Page<Session>> {
    let items = sessions::list(&app, &call.caller).await?;
    Ok(Sent(Page { items, next: None }))
}

async fn end(
    State(app): State<App>,
    Named(which): Named<String>,
    call: Call<()>,
) -> Result<StatusCode, Refusal> {
    let which = match which.as_str() {
        "current" => None,
        id => Some(id.parse().map_err(|_| Refusal::new(Code::NotFound, "no such session"))?),
    };
    empty(sessions::end(&app, &call.caller, which).await)
}

async fn password(
    State(app): State<App>,
    call: Call<PasswordRequest>,
) -> Result<Response, Refusal> {
    empty(accounts::change_password(&app, &call.caller, &call.guard, call.body).await)?;
    let changed = accounts::get(&app, call.caller.account.0.cast_signed()).await;
    versioned(changed, &axum::http::HeaderMap::new())
}

async fn account(State(app): State<App>, call: Call<()>) -> Result<Response, Refusal> {
    versioned(accounts::get(&app, call.caller.account.0.cast_signed()).await, &call.headers)
}

async fn export(State(app): State<App>, call: Call<()>) -> Done<AccountExport> {
    done(export::export(&app, &call.caller).await)
}

async fn change(State(app): State<App>, call: Call<AccountPatch>) -> Result<Response, Refusal> {
    let rev = revision(&call.headers)?;
    versioned(accounts::change_own(&app, &call.caller, rev, call.body).await, &call.headers)
}

async fn close(State(app): State<App>, call: Call<()>) -> impl IntoResponse {
    empty(accounts::close_own(&app, &call.caller).await)
}

async fn add(State(app): State<App>, call: Call<DeviceRequest>) -> Done<Device> {
    done(devices::add(&app, &call.caller, &call.guard, call.body).await)
}

async fn devices(State(app): State<App>, call: Call<()>) -> Done<Page<Device>> {
    let items = devices::list(&app, &call.caller).await?;
    Ok(Sent(Page { items, next: None }))
}

async fn remove(State(app): State<App>, Named(id): Named<Id>, call: Call<()>) -> impl IntoResponse {
    empty(devices::remove(&app, &call.caller, id).await)
}
