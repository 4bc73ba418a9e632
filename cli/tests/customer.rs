//! The whole way through the real programs: a center sells, an edge delivers, a customer gets the title; then without the
//! center; and what was secret is in no log and no file where it does not belong.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use segcast_kit::process::{Center, Edge, fail, kill, segcast, succeed};
use tempfile::TempDir;

const ADMIN: &str = "a password of the operator's";
const MARA: &str = "a password of the customer's";

struct World {
    folder: TempDir,
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A center; its log, at trace, goes to the file `center.log`.
    fn center(&self, more: &[&str]) -> Center {
        let log =
            File::options().create(true).append(true).open(self.path("center.log")).expect("a log");
        let mut command = segcast();
        command.stderr(log);
        let arguments = [&["--log-level", "trace"], more].concat();
        let log = || fs::read_to_string(self.path("center.log")).unwrap_or_default();
        Center::start(command, &self.path("segcast-center"), &arguments)
            .unwrap_or_else(|error| panic!("{error}: {}", log()))
    }

    /// A command of somebody with a place of their own for logins.
    fn who(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = segcast();
        command.current_dir(self.folder.path()).args(arguments).stdin(Stdio::null());
        command.env("XDG_DATA_HOME", self.path(name));
        command
    }

    fn login(&self, center: &Center, name: &str, password: &str, more: &[&str]) -> Command {
        let login = ["login", &center.url, "--ca", "segcast-center/tls.pem", "--account", name];
        let mut command = self.who(name, &[&login, more].concat());
        command.env("SEGCAST_PASSWORD", password);
        command
    }

    /// What somebody keeps of their only center under this name.
    fn kept(&self, name: &str, what: &str) -> PathBuf {
        let home = self.path(name).join("segcast");
        let center =
            fs::read_to_string(home.join("current")).expect("a center that was logged in to");
        home.join(center.trim()).join(what)
    }

    /// All files of a folder of that.
    fn files(&self, name: &str, folder: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.kept(name, folder)).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }
}

fn set_up() -> (World, Vec<u8>, Edge, Center) {
    let world = World { folder: TempDir::new().expect("a folder") };
    let bytes: Vec<u8> = (0_u32..3_000_000).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect();
    fs::write(world.path("film"), &bytes).expect("a title");
    // The first start makes keys and database; edges need its key before they start.
    let first = world.center(&[]);
    let one_time = first.password.clone();
    drop(first);
    let pack = ["center", "pack", "film", "--slug", "film", "--name", "A film", "--store", "store"];
    succeed(segcast().current_dir(world.folder.path()).args(pack));
    let key = ["--center-keys", "segcast-center/center.pub"];
    let edge = Edge::start(segcast(), world.folder.path(), "127.0.0.1:0", &key).expect("it serves");
    let mut center = world.center(&["--edges", &format!("{}={}", edge.address, edge.key)]);
    assert_eq!(center.password, None, "the password is told once");
    center.password = one_time;
    (world, bytes, edge, center)
}

#[test]
fn from_the_first_start_to_the_title_and_on_without_the_center() {
    let (world, bytes, _edge, mut center) = set_up();
    sell(&world, &center);
    buy(&world, &center);
    watch(&world, &bytes);
    search_for_secrets(&world, &center);
    kill(&mut center.child);
    without_the_center(&world, &bytes);
}

/// The operator logs in and offers the film.
fn sell(world: &World, center: &Center) {
    let one_time = center.password.as_deref().expect("a first start");
    let said = fail(&mut world.login(center, "admin", "wrong wrong wrong", &[]), 5);
    assert!(said.contains("login-failed"), "{said}");
    succeed(world.login(center, "admin", one_time, &[]).env("SEGCAST_NEW_PASSWORD", ADMIN));
    let offer = ["admin", "offers", "film", "--price", "4.99 EUR", "--plays", "1"];
    let times = ["--start-within", "30d", "--play-window", "2d"];
    let shown = succeed(&mut world.who("admin", &[&offer[..], &times].concat()));
    assert!(shown.contains("rental, 1 play, 2 days each, to start within 30 days"), "{shown}");
}

/// A customer comes, has no money, gets some, and orders.
fn buy(world: &World, center: &Center) {
    let said = fail(&mut world.who("mara", &["order", "film"]), 5);
    assert!(said.contains("log in first: segcast login URL"), "{said}");
    succeed(&mut world.login(center, "mara", MARA, &["--register", "Mara", "--device", "tv"]));
    let shown = succeed(&mut world.who("mara", &["catalog"]));
    assert!(shown.contains("film") && shown.contains("4.99 EUR"), "{shown}");
    let said = fail(&mut world.who("mara", &["order", "film"]), 5);
    assert!(said.contains("it costs 4.99 EUR, the balance is 0.00 EUR"), "{said}");
    // A payment that is told twice counts once.
    for _ in 0..2 {
        let top_up = ["admin", "top-up", "mara", "5.00 EUR", "--reference", "pay_1"];
        succeed(&mut world.who("admin", &top_up));
    }
    let said = fail(&mut world.who("mara", &["get", "film", "--yes"]), 5);
    assert!(said.contains("order it: segcast order film"), "{said}");
    succeed(&mut world.who("mara", &["order", "film"]));
    assert_eq!(succeed(&mut world.who("mara", &["balance"])).trim(), "0.01 EUR");
    let shown = succeed(&mut world.who("admin", &["admin", "books"]));
    assert!(shown.contains("the books balance: 2 transfers"), "{shown}");
    assert_eq!(world.files("mara", "pending"), Vec::<PathBuf>::new());
}

/// Gets the film, once for the play and once more within it.
fn watch(world: &World, bytes: &[u8]) {
    // Nobody can be asked here whether the last play may be spent.
    let said = fail(&mut world.who("mara", &["get", "film", "--out", "copy"]), 5);
    assert!(said.contains("segcast get film --yes"), "{said}");
    succeed(&mut world.who("mara", &["get", "film", "--out", "copy", "--yes"]));
    assert!(fs::read(world.path("copy")).expect("a title") == bytes);
    let shown = succeed(&mut world.who("mara", &["tickets"]));
    assert!(shown.contains("play") && !shown.contains("1 play"), "{shown}");
    succeed(&mut world.who("mara", &["get", "film", "--out", "copy", "--force"]));
    assert!(fs::read(world.path("copy")).expect("a title") == bytes);
    let said = fail(&mut world.who("mara", &["order", "film"]), 5);
    assert!(said.contains("the balance is 0.01 EUR"), "{said}");
}

/// What is kept here plays on; what needs the center says so.
fn without_the_center(world: &World, bytes: &[u8]) {
    succeed(&mut world.who("mara", &["get", "film", "--out", "again"]));
    assert!(fs::read(world.path("again")).expect("a title") == bytes);
    let shown = succeed(&mut world.who("mara", &["tickets"]));
    assert!(shown.contains("film"), "{shown}");
    for command in [&["order", "film"][..], &["balance"], &["renew"]] {
        let said = fail(&mut world.who("mara", command), 4);
        assert!(said.contains("cannot reach https://127.0.0.1:"), "{said}");
    }
}

/// Passwords, bearer tokens and the title key, in every text that they could take, in the center's log at trace and all files
/// of center and edge.
fn search_for_secrets(world: &World, center: &Center) {
    let session: String =
        serde_json::from_slice(&fs::read(world.kept("mara", "session")).expect("a session"))
            .expect("JSON");
    let one_time = center.password.clone().expect("a first start");
    let mut secrets: Vec<Vec<u8>> =
        [ADMIN, MARA, &session, &one_time].map(|text| text.as_bytes().to_vec()).into();
    let key = title_key(&world.files("mara", "plays")[0]);
    secrets.extend([key.clone(), hex::encode(&key).into(), URL_SAFE_NO_PAD.encode(&key).into()]);
    for file in ["center.log", "segcast-center", "store", "keys"] {
        search(&world.path(file), &secrets);
    }
    // And the search finds what is there.
    assert!(contains(&fs::read(world.kept("mara", "session")).expect("a session"), &secrets[2]));
}

/// As a client makes it: the key parts of ticket and certificate, each at offset 48 (protocol, tickets).
fn title_key(play: &Path) -> Vec<u8> {
    let play: serde_json::Value =
        serde_json::from_slice(&fs::read(play).expect("a play")).expect("JSON");
    let part = |name: &str| {
        URL_SAFE_NO_PAD.decode(play[name].as_str().expect("a text")).expect("base64url")[48..64]
            .to_vec()
    };
    part("ticket").iter().zip(part("certificate")).map(|(one, other)| one ^ other).collect()
}

fn search(path: &Path, secrets: &[Vec<u8>]) {
    if path.is_dir() {
        for entry in fs::read_dir(path).expect("a folder") {
            search(&entry.expect("an entry").path(), secrets);
        }
    } else {
        let bytes = fs::read(path).expect("a file");
        for (number, secret) in secrets.iter().enumerate() {
            assert!(!contains(&bytes, secret), "secret {number} is in {}", path.display());
        }
    }
}

fn contains(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret)
}
