//! Accounts, logins, devices, and texts that could be taken for something else.

use std::time::Duration;

use segcast_api::accounts::{AccountRequest, PasswordRequest, SessionAnswer, SessionRequest};
use segcast_api::catalogue::TitleRequest;
use segcast_api::devices::DeviceRequest;
use segcast_api::text::Secret;
use segcast_api::value::Bytes;
use segcast_center::app::Outcome;
use segcast_center::db::Window;
use segcast_center::db::guard::Rate;
use segcast_center::service::{Caller, Guard, Origin, accounts, catalogue, devices, sessions};

use crate::world::{Came, World, done, once, open, refused};

const PASSWORD: &str = "correct horse battery";

fn origin() -> Origin {
    Origin { network: "127.0.0.0/24".to_owned(), request_id: "test".to_owned() }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

async fn login(
    world: &World,
    instance: usize,
    password: &str,
    new: Option<&str>,
) -> Came<SessionAnswer> {
    let request = SessionRequest {
        login: "mara@example.org".parse().expect("a login"),
        password: secret(password),
        new_password: new.map(secret),
    };
    sessions::login(&world.apps[instance], &open(), &origin(), request).await
}

async fn who(world: &World, answer: &SessionAnswer) -> Came<Caller> {
    sessions::authenticate(world.app(), answer.token.expose(), origin()).await
}

/// Guesses at two instances together stop at the limit, and go on a while later.
pub(crate) async fn a_login_is_guessed_five_times_a_minute(world: World) {
    for guess in 0..5 {
        assert_eq!(refused(login(&world, guess % 2, "wrong horse", None).await), "login-failed");
    }
    for instance in 0..2 {
        assert_eq!(refused(login(&world, instance, PASSWORD, None).await), "rate-limited");
    }
    world.app().clock.advance(Duration::from_secs(12));
    let answer = done(login(&world, 0, PASSWORD, None).await);
    assert_eq!(done(who(&world, &answer).await).account, world.customer.account);
    for changed in ["segcast_s_", "x", "", "segcast_k_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
    {
        let came = sessions::authenticate(world.app(), changed, origin()).await;
        assert_eq!(refused(came), "unauthenticated");
    }
    world.app().clock.advance(Duration::from_secs(3600));
    assert_eq!(refused(who(&world, &answer).await), "unauthenticated");
}

/// The session that changes a password goes on, all others end; the old password is none any more.
pub(crate) async fn a_password_is_changed_and_other_sessions_end(world: World) {
    let (one, other) =
        (login(&world, 0, PASSWORD, None).await, login(&world, 1, PASSWORD, None).await);
    let (one, other) = (done(one), done(other));
    let caller = done(who(&world, &one).await);
    let change = async |old: &str, new: &str| {
        let request = PasswordRequest { old: secret(old), new: secret(new) };
        accounts::change_password(world.app(), &caller, &open(), request).await
    };
    assert_eq!(refused(change("wrong horse", "another horse battery").await), "password-wrong");
    assert_eq!(refused(change(PASSWORD, "short").await), "password-weak");
    assert_eq!(refused(change(PASSWORD, "mara@example.org").await), "password-weak");
    done(change(PASSWORD, "another horse battery").await);
    assert_eq!(done(who(&world, &one).await).account, world.customer.account);
    assert_eq!(refused(who(&world, &other).await), "unauthenticated");
    assert_eq!(refused(login(&world, 0, PASSWORD, None).await), "login-failed");
    let third = login(&world, 0, "another horse battery", Some("a third horse battery")).await;
    let third = done(third);
    assert_eq!(refused(who(&world, &one).await), "unauthenticated");
    let list = sessions::list(world.app(), &done(who(&world, &third).await)).await.expect("a list");
    assert!(list.len() == 1 && list[0].current);
    done(sessions::end(world.app(), &done(who(&world, &third).await), None).await);
    assert_eq!(refused(who(&world, &third).await), "unauthenticated");
}

/// Five devices, also when many are added at once; the same key is the same device, also after it was taken off.
pub(crate) async fn devices_are_bounded_and_known_by_their_key(world: World) {
    let add = async |byte: u8| {
        let name = "a box".parse().expect("a name");
        let request = DeviceRequest { client_key: Bytes::from([byte; 32]), name };
        devices::add(&world.apps[usize::from(byte) % 2], &world.customer, &open(), request).await
    };
    let came = futures_util::future::join_all((1..=12).map(add)).await;
    let added = came.into_iter().filter_map(|came| match came.expect("a database") {
        Outcome::Done(device) => Some(device),
        Outcome::Refused(problem) => {
            assert_eq!(problem.code.as_str(), "too-many-devices");
            None
        }
    });
    let added: Vec<_> = added.collect();
    assert_eq!(added.len(), 5);
    let first = &added[0];
    assert_eq!(done(add(first.client_key.0[0]).await).id, first.id);
    done(devices::remove(world.app(), &world.customer, first.id).await);
    assert_eq!(refused(devices::remove(world.app(), &world.customer, first.id).await), "not-found");
    assert_eq!(devices::list(world.app(), &world.customer).await.expect("a list").len(), 4);
    assert_eq!(done(add(first.client_key.0[0]).await).id, first.id);
    assert_eq!(refused(add(99).await), "too-many-devices");
    assert_eq!(refused(add(0).await), "invalid");
}

/// SQL, quotes and characters of four bytes are text like any other; `%` and `_` are found as themselves.
pub(crate) async fn texts_are_stored_as_they_are(world: World) {
    let names = ["'; DROP TABLE titles; --", "100 % \"sure\" \\", "Fünf Ärzte 🎬", "a_b $1 ?"];
    for (n, name) in names.into_iter().enumerate() {
        let request = TitleRequest {
            slug: format!("title-{n}").parse().expect("a slug"),
            name: name.parse().expect("a name"),
            synopsis: Some("one\ntwo".parse().expect("a synopsis")),
        };
        let guard = once();
        let made = done(
            catalogue::make_title(world.app(), &world.operator, &guard, request.clone()).await,
        );
        let again =
            catalogue::make_title(&world.apps[1], &world.operator, &guard, request.clone()).await;
        assert_eq!(
            (done(again), made.name.as_str()),
            (made.clone(), name),
            "the same key, the same title"
        );
        let taken = catalogue::make_title(world.app(), &world.operator, &once(), request).await;
        assert_eq!(refused(taken), "slug-taken");
        assert_eq!(refused(catalogue::title(world.app(), &made.slug, false).await), "not-found");
    }
    let find = async |text: &str| {
        let found =
            catalogue::titles(world.app(), text, true, Window::first(9)).await.expect("titles");
        found.items.into_iter().map(|title| title.name).collect::<Vec<_>>()
    };
    assert_eq!(find("ÄRZTE").await, [names[2]]);
    assert_eq!(find("0 % ").await, [names[1]]);
    assert_eq!(find("a_b").await, [names[3]]);
    assert_eq!(find("%").await.len() + find("!").await.len(), 1);
    let page = catalogue::titles(world.app(), "", true, Window::first(3)).await.expect("titles");
    let rest = Window { after: page.next.expect("more"), limit: 9 };
    let rest = catalogue::titles(world.app(), "", true, rest).await.expect("titles");
    assert_eq!((page.items.len(), rest.items.len(), rest.next), (3, 2, None));
}

/// Only a center without accounts makes one, and its password has to be changed.
pub(crate) async fn the_first_administrator_is_made_once(world: World) {
    assert!(
        !accounts::make_first(world.app(), secret("one time password")).await.expect("a database")
    );
    let rate = Rate { bucket: "registrations".to_owned(), each_ms: 600_000, burst_ms: 0 };
    let guard = Guard { rate, ..open() };
    let request = || AccountRequest {
        login: "ivo@example.org".parse().expect("a login"),
        password: secret(PASSWORD),
        name: "Ivo".parse().expect("a name"),
    };
    done(accounts::register(world.app(), &guard, request()).await);
    assert_eq!(
        refused(accounts::register(&world.apps[1], &guard, request()).await),
        "rate-limited"
    );
    assert_eq!(refused(accounts::register(world.app(), &open(), request()).await), "login-taken");
}
