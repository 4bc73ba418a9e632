//! `segcast login`, `segcast logout`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use segcast_api::accounts::{AccountRequest, SessionAnswer, SessionRequest};
use segcast_api::client::{Center, ClientError};
use segcast_api::devices::DeviceRequest;
use segcast_api::problem::Code;
use segcast_api::text::{Login, Name};
use segcast_api::value::Bytes;
use segcast_config::ExitCode;
use segcast_proto::handshake::StaticSecret;

use crate::rights::{self, RightsError};
use crate::{output, secret};

/// Arguments of `segcast login`.
#[derive(Args, Debug)]
pub(crate) struct LoginArgs {
    /// The center, as in <https://center.example:4880>
    #[arg(value_name = "URL")]
    url: String,
    /// Trust the certificates of this file instead of the public ones
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Who logs in. The password is asked for, or read from standard input or `SEGCAST_PASSWORD`
    #[arg(long, value_name = "LOGIN", default_value = "admin")]
    account: Login,
    /// Make the account first, with this name for people
    #[arg(long, value_name = "NAME")]
    register: Option<Name>,
    /// What this device is called; this machine's name when it is not said
    #[arg(long, value_name = "NAME")]
    device: Option<Name>,
}

/// Runs `segcast login`.
pub(crate) fn run(args: &LoginArgs) -> anyhow::Result<ExitCode> {
    let ca = args.ca.as_deref().map(read_ca).transpose()?;
    let center = Center::new(&args.url, ca.as_deref())?;
    let (store, status) = rights::Account::meet(&center)?;
    let password =
        secret::password("SEGCAST_PASSWORD", &format!("password of {}: ", args.account))?;
    if let Some(name) = &args.register {
        let (login, name) = (args.account.clone(), name.clone());
        center.register(&AccountRequest { login, password: password.clone(), name })?;
    }
    let request = SessionRequest { login: args.account.clone(), password, new_password: None };
    let session = begin(&center, request)?;
    let center = center.with_bearer(session.token.clone());
    let key = StaticSecret::new(*rights::Account::device_key(&store)?);
    let name = args.device.clone().map_or_else(machine_name, Ok)?;
    let device = DeviceRequest { client_key: Bytes::from(key.public()), name };
    let device = center.add_device(&device)?;
    let who = (session.account.id, session.account.login.clone(), device.id);
    let account = rights::Account::keep(store, center, ca, &status, who, &session.token)?;
    output::result(format_args!(
        "{} is logged in at {} on device \"{}\"; what it has is kept in {}",
        account.login(),
        account.center.url(),
        device.name,
        account.store.path("").display()
    ))?;
    Ok(ExitCode::Success)
}

/// Logs in; who has a password of somebody else's making is asked for a new one.
fn begin(center: &Center, request: SessionRequest) -> anyhow::Result<SessionAnswer> {
    match center.login(&request) {
        Err(ClientError::Refused(problem)) if problem.code == Code::PasswordMustChange => {
            output::note(
                "this password was for the first login: choose one of at least 10 characters",
            );
            let new = secret::password("SEGCAST_NEW_PASSWORD", "new password: ")?;
            Ok(center.login(&SessionRequest { new_password: Some(new), ..request })?)
        }
        other => Ok(other?),
    }
}

fn read_ca(path: &Path) -> Result<String, RightsError> {
    fs::read_to_string(path).map_err(|source| RightsError::File {
        path: path.to_owned(),
        action: "read the certificates",
        source,
    })
}

fn machine_name() -> anyhow::Result<Name> {
    let system = rustix::system::uname();
    let name = system.nodename().to_str().ok().and_then(|name| name.parse().ok());
    name.context("this machine has no name: give one with --device NAME")
}

/// Runs `segcast logout`.
pub(crate) fn logout() -> anyhow::Result<ExitCode> {
    rights::Account::open()?.logout()?;
    output::result("logged out; tickets and plays are kept for the next login")?;
    Ok(ExitCode::Success)
}
