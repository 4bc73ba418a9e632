//! A center's services on one database, or two instances of them, with a customer who has money and a film to buy.

use std::time::Duration;

use segcast_api::accounts::{AccountRequest, Role};
use segcast_api::admin::TopUpRequest;
use segcast_api::catalogue::{Offer, OfferKind, OfferRequest};
use segcast_api::devices::DeviceRequest;
use segcast_api::orders::OrderRequest;
use segcast_api::tickets::{Ticket, ValidationAnswer, ValidationRequest};
use segcast_api::value::{Bytes, Id, Money};
use segcast_center::app::{App, Clock, Outcome, Settings};
use segcast_center::db::catalogue::ReadySet;
use segcast_center::db::guard::Rate;
use segcast_center::db::{Db, DbError};
use segcast_center::service::{
    Caller, Guard, IdempotencyKey, Origin, accounts, catalogue, devices, ledger, orders, sets,
    upkeep, validations,
};
use segcast_center::vault::{Keys, Master, Seed, USES, Vault};
use segcast_proto::crypto::hash::sha256;
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::ids::SetId;
use segcast_proto::segment::cipher::TitleKey;
use segcast_proto::ticket::AccountId;
use segcast_proto::trust::{CenterId, Keyset, KeysetKey, Use};
use zeroize::Zeroizing;

/// The key of the film.
pub(crate) const TITLE_KEY: [u8; 16] = [0x5E; 16];
/// SHA-256 of its manifest's page 0.
pub(crate) const PAGE0: [u8; 32] = [0xD1; 32];

/// What came of a service.
pub(crate) type Came<T> = Result<Outcome<T>, DbError>;

/// Two instances with the same database and keys, and who uses them.
pub(crate) struct World {
    pub(crate) apps: [App; 2],
    pub(crate) operator: Caller,
    pub(crate) customer: Caller,
    pub(crate) film: SetId,
    /// Where the database is.
    pub(crate) url: String,
}

/// One instance, and its customer.
pub(crate) struct Asker {
    pub(crate) app: App,
    pub(crate) customer: Caller,
}

impl Asker {
    /// An instance at this database, for a customer that is there.
    pub(crate) async fn open(url: &str, customer: u64) -> Self {
        let db = Db::open(url).await.expect("a database");
        let app = App::new(db, vault(), Clock::system(), settings());
        Self { app, customer: caller(customer, Role::Customer) }
    }
}

impl World {
    /// Two instances at this database, a customer, and a film that is ready.
    pub(crate) async fn open(url: &str) -> Self {
        let db = Db::open(url).await.expect("a database");
        let app = App::new(db, vault(), Clock::system(), settings());
        let other = App { db: Db::open(url).await.expect("the same database"), ..app.clone() };
        let mut world = Self {
            operator: caller(0, Role::Operator),
            customer: caller(0, Role::Customer),
            film: SetId::new([0; 12], 0),
            apps: [app, other],
            url: url.to_owned(),
        };
        world.operator = world.account("operator@example.org", Role::Operator).await;
        world.customer = world.account("mara@example.org", Role::Customer).await;
        world.film = world.publish("film").await;
        world
    }

    /// The first instance.
    pub(crate) fn app(&self) -> &App {
        &self.apps[0]
    }

    /// An account. It gets its role by the caller that is made of it: what a role may do, routes check.
    pub(crate) async fn account(&self, login: &str, role: Role) -> Caller {
        let request = AccountRequest {
            login: login.parse().expect("a login"),
            password: serde_json::from_str("\"correct horse battery\"").expect("a password"),
            name: "Mara".parse().expect("a name"),
        };
        let account = done(accounts::register(self.app(), &open(), request).await);
        caller(account.id.0, role)
    }

    /// A title with one set that is ready.
    pub(crate) async fn publish(&self, slug: &str) -> SetId {
        let (slug, name) = (slug.parse().expect("a slug"), "A film".parse().expect("a name"));
        let set = done(sets::take(self.app(), &slug, &name).await);
        let ready = ReadySet { set, length: 5_000_000, page0_digest: PAGE0 };
        done(sets::publish(self.app(), &ready, &TitleKey::new(TITLE_KEY)).await);
        set
    }

    /// An offer of the film.
    pub(crate) async fn offer(&self, kind: OfferKind, plays: Option<u16>, minor: i64) -> Offer {
        let is_bought = kind == OfferKind::Purchase;
        let request = OfferRequest {
            kind,
            plays,
            start_within: plays.map(|_| 30 * 24 * 3600),
            play_window: (!is_bought).then_some(48 * 3600),
            price: euro(minor),
            valid_from: None,
            valid_until: None,
        };
        done(catalogue::make_offer(self.app(), &self.operator, &once(), "film", request).await)
    }

    /// Brings the customer money.
    pub(crate) async fn top_up(&self, minor: i64, reference: &str) {
        let request = TopUpRequest {
            amount: euro(minor),
            reference: reference.parse().expect("a reference"),
        };
        let account = Id(self.customer.account.0);
        done(ledger::top_up(self.app(), &self.operator, &once(), account, request).await);
    }

    /// A device of the customer's.
    pub(crate) async fn device(&self, byte: u8) -> Id {
        let name = format!("device {byte}").parse().expect("a name");
        let request = DeviceRequest { client_key: Bytes::from([byte; 32]), name };
        done(devices::add(self.app(), &self.customer, &open(), request).await).id
    }

    /// Orders, as the customer.
    pub(crate) async fn order(&self, offer: &Offer) -> Ticket {
        let request = OrderRequest { offer: offer.id };
        done(orders::order(self.app(), &self.customer, &once(), request).await).ticket
    }

    /// Validates a ticket at an instance.
    pub(crate) async fn validate(
        &self,
        instance: usize,
        guard: &Guard,
        ticket: &Ticket,
        device: Id,
    ) -> Came<ValidationAnswer> {
        let request = ValidationRequest { ticket: ticket.ticket.clone(), device };
        validations::validate(&self.apps[instance], &self.customer, guard, request).await
    }

    /// What the customer has, minor units.
    pub(crate) async fn balance(&self) -> i64 {
        let balance = ledger::balance(self.app(), &self.customer).await.expect("a balance");
        balance.balances.first().map_or(0, |money| money.minor)
    }

    /// Nothing is wrong in the books.
    pub(crate) async fn books_balance(&self) {
        let books = upkeep::books(self.app()).await.expect("books");
        assert!(books.balanced, "{books:?}");
    }
}

/// Settings, with all that is bounded far away.
pub(crate) fn settings() -> Settings {
    Settings {
        registration: true,
        currencies: vec!["EUR".parse().expect("a currency")],
        devices_max: 5,
        token_lifetime: Duration::from_secs(900),
        grace: Duration::from_secs(1800),
        session_lifetime: Duration::from_secs(3600),
        edges: vec!["127.0.0.1:4870 segcast-edge-public:AAAA".to_owned()],
    }
}

/// The same keys in each process.
fn vault() -> Vault {
    let root = SigningKey::from_seed(&[1; 32]);
    let seed = |use_: Use| Seed { use_, seed: Zeroizing::new([0x10 + use_ as u8; 32]) };
    let key = |use_: Use| KeysetKey {
        use_,
        public: SigningKey::from_seed(&seed(use_).seed).public(),
        signs_from: 1_700_000_000,
        signs_until: 4_000_000_000,
        verify_until: 4_000_000_000,
    };
    let keyset = Keyset {
        number: 1,
        issued: 1_700_000_000,
        expires: 4_000_000_000,
        keys: USES.into_iter().map(key).collect(),
        center: CenterId::of(&root.public()),
    };
    let seeds = USES.into_iter().map(seed).collect();
    let keys = Keys::stored(seeds, keyset.sign(&root).expect("a keyset"), root.public());
    Vault::new(&Master::new([2; 32]), &keys.expect("keys"))
}

fn caller(account: u64, role: Role) -> Caller {
    let origin = Origin { network: "127.0.0.0/24".to_owned(), request_id: "test".to_owned() };
    Caller { account: AccountId(account), role, session: [0; 32], origin }
}

/// So many euro cents.
pub(crate) fn euro(minor: i64) -> Money {
    Money { minor, currency: "EUR".parse().expect("a currency") }
}

/// No key, and no limit that is met.
pub(crate) fn open() -> Guard {
    let rate = Rate { bucket: "test".to_owned(), each_ms: 0, burst_ms: 60_000 };
    Guard { rate, key: None, route: "POST /test", request: [0; 32] }
}

/// A key that nobody had before.
pub(crate) fn once() -> Guard {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    keyed(&format!("{:016x}-{number:016x}", std::process::id()))
}

/// This key.
pub(crate) fn keyed(key: &str) -> Guard {
    let request = sha256(&[key.as_bytes()]);
    let key = IdempotencyKey::new(key);
    assert!(key.is_some(), "16 to 64 visible characters");
    Guard { key, request, ..open() }
}

/// It was done.
pub(crate) fn done<T>(came: Came<T>) -> T {
    match came.expect("a database") {
        Outcome::Done(done) => done,
        Outcome::Refused(problem) => panic!("refused: {problem}"),
    }
}

/// It was refused: the code.
pub(crate) fn refused<T>(came: Came<T>) -> &'static str {
    match came.expect("a database") {
        Outcome::Done(_) => panic!("it was done"),
        Outcome::Refused(problem) => problem.code.as_str(),
    }
}
