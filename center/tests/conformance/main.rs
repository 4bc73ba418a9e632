//! The services do the same on both databases, at two instances. Each case has a database of its own.

mod accounts;
mod crash;
mod rights;
mod spending;
mod world;

use std::sync::{Arc, OnceLock};

use segcast_kit::needs::{self, Need, trial};
use segcast_kit::process::postgres::Postgres;
use tempfile::TempDir;

use self::world::World;

/// A case: it has a world for itself.
type Case = fn(World) -> Running;
type Running = std::pin::Pin<Box<dyn Future<Output = ()>>>;

macro_rules! cases {
    ($($module:ident::$case:ident),* $(,)?) => {
        [$((concat!(stringify!($module), "_", stringify!($case)), (|world| Box::pin($module::$case(world))) as Case)),*]
    };
}

fn main() {
    crash::work_if_asked();
    let cases = cases![
        spending::one_play_is_spent_once,
        spending::one_key_spends_once,
        spending::a_purse_is_not_overdrawn,
        spending::refunds_stay_within_the_price,
        spending::who_gives_back_has_not_played,
        rights::a_ticket_and_its_certificate_open_the_title,
        rights::a_foreign_or_changed_ticket_is_refused,
        rights::tokens_follow_certificates,
        rights::rights_end_in_time,
        accounts::a_login_is_guessed_five_times_a_minute,
        accounts::a_password_is_changed_and_other_sessions_end,
        accounts::devices_are_bounded_and_known_by_their_key,
        accounts::texts_are_stored_as_they_are,
        accounts::the_first_administrator_is_made_once,
        crash::an_instance_is_killed,
    ];
    let server: Arc<OnceLock<Postgres>> = Arc::default();
    let mut trials = Vec::new();
    for (name, case) in cases {
        trials.push(trial(&format!("sqlite_{name}"), &[], move || on_sqlite(case)));
        let server = Arc::clone(&server);
        let needs: &[Need] = &[needs::postgresql];
        trials.push(trial(&format!("postgresql_{name}"), needs, move || {
            run(&server.get_or_init(Postgres::start).database(name), case);
        }));
    }
    trials.push(trial("postgresql_crash_the_server_is_killed", &[needs::postgresql], || {
        crash::postgresql_is_killed(Postgres::start());
    }));
    needs::main(trials);
}

fn on_sqlite(case: Case) {
    let folder: TempDir = tempfile::tempdir().expect("a folder");
    run(&format!("sqlite:{}", folder.path().join("center.sqlite").display()), case);
}

fn run(url: &str, case: Case) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async { case(World::open(url).await).await });
}
