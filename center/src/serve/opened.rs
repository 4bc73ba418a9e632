//! What a start opens before it serves: folder, master key, database, vault. `segcast center pack` opens the same.

use std::fs::DirBuilder;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use segcast_keys::file::{self, KeyFileError};
use segcast_keys::keytext::{self, KeyKind};
use segcast_proto::crypto::sign::{SigningKey, key_id};
use segcast_proto::trust::Use;
use zeroize::Zeroizing;

use super::StartError;
use crate::app::{App, Clock, Outcome, Settings};
use crate::config::{Config, Registration};
use crate::db::keys::{self as rows, StoredKey};
use crate::db::{Db, DbError, Tx};
use crate::vault::{Keys, Master, Seed, Vault, VaultError};

/// The table of private keys, as they are wrapped, and the use under which the root's public key lies there.
const TABLE: &str = "signing_keys";
const ROOT: &str = "root";

/// What a master key proves itself by.
const PROOF: &[u8] = b"segcast v1 master proof";

/// An open center.
pub struct Opened {
    /// All that services need.
    pub app: App,
    /// Files that were made now and must be kept safe.
    pub made: Vec<PathBuf>,
}

/// Opens a center; what a first start needs is made.
///
/// # Errors
/// [`StartError`].
pub async fn open(config: &Config) -> Result<Opened, StartError> {
    make_folder(&config.state)?;
    let mut made = Vec::new();
    let db = Db::open(&config.database_url()).await?;
    let known = rows::masters(&db.read().await?).await?;
    let obtained = config.master_key.obtain(&config.state, known.is_empty());
    let (master, is_new) = match (obtained, known.first()) {
        // A new one would open nothing.
        (Err(source), Some((wanted, _))) => {
            return Err(StartError::MasterMissing { wanted: format!("{wanted:08x}"), source });
        }
        (obtained, _) => obtained?,
    };
    if let (true, crate::vault::MasterSource::File(path)) = (is_new, &config.master_key) {
        made.push(config.state.join(path));
    }
    let clock = Clock::system();
    let now = clock.now();
    prove(&db, &master, now).await?;
    let root_path = config.state.join("root.key");
    let mut keys = stored(&db, &master).await?;
    if keys.is_none() {
        let (root, is_new) = root(&root_path)?;
        enter(&db, &master, &Keys::fresh(&root, seconds(now))?, now).await?;
        // Another instance may have been faster: what counts is what lies there.
        keys = stored(&db, &master).await?;
        if is_new {
            made.push(root_path.clone());
        }
    }
    let mut keys = keys.ok_or(DbError::Row("the keyset went while it was read"))?;
    if root_path.exists() {
        let (root, _) = root(&root_path)?;
        if let Some(renewed) = keys.renewed(&root, seconds(now))? {
            enter_keyset(&db, &renewed).await?;
            keys = renewed;
        }
    }
    let vault = Vault::new(&master, &keys);
    write_public(&config.state.join("center.pub"), &vault.signer(Use::Token).public())?;
    Ok(Opened { app: App::new(db, vault, clock, settings(config)), made })
}

fn seconds(ms: i64) -> u64 {
    (ms / 1000).cast_unsigned()
}

fn settings(config: &Config) -> Settings {
    let currencies = config.currencies.iter();
    Settings {
        registration: config.registration == Registration::Open,
        currencies: currencies.map(|name| name.0).collect(),
        devices_max: config.devices_max,
        token_lifetime: config.token_lifetime,
        grace: config.grace,
        session_lifetime: config.session_lifetime,
        edges: config.edges.iter().map(|edge| edge.0.clone()).collect(),
    }
}

fn make_folder(path: &Path) -> Result<(), StartError> {
    let folder = |source| StartError::Folder { path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(folder)?;
    let mode = std::fs::metadata(path).map_err(folder)?.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(StartError::FolderMode { path: path.to_owned(), mode })
    }
}

/// Makes sure that this is the master key of this database, which the first start makes so.
async fn prove(db: &Db, master: &Master, now: i64) -> Result<(), StartError> {
    let id = i64::from(u32::from_be_bytes(master.id()));
    let known = rows::masters(&db.read().await?).await?;
    if let Some((_, proof)) = known.iter().find(|(known, _)| *known == id) {
        master.unwrap("masters", &id.to_be_bytes(), proof)?;
        return Ok(());
    }
    if let Some((wanted, _)) = known.first() {
        let (wanted, given) = (format!("{wanted:08x}"), hex::encode(master.id()));
        return Err(VaultError::OtherMaster { wanted, given }.into());
    }
    let proof = master.wrap("masters", &id.to_be_bytes(), PROOF);
    let insert = async |tx: Tx| {
        let tx = &tx;
        rows::insert_master(tx, id, proof.clone(), now).await?;
        Ok(Outcome::Done(()))
    };
    db.write(insert).await?;
    Ok(())
}

/// The keys that the database holds; none before the first start.
async fn stored(db: &Db, master: &Master) -> Result<Option<Keys>, StartError> {
    let connection = db.read().await?;
    let Some((_, bytes, _)) = rows::newest_keyset(&connection).await? else { return Ok(None) };
    let mut seeds = Vec::new();
    let mut root = None;
    for key in rows::signing_keys(&connection).await? {
        let use_ = crate::vault::USES.into_iter().find(|use_| name(*use_) == key.use_name);
        match use_ {
            None if key.use_name == ROOT => root = Some(key.public),
            None => {}
            Some(use_) => {
                let plain = master.unwrap(TABLE, &key.kid, &key.wrapped)?;
                let seed: [u8; 32] = plain
                    .as_slice()
                    .try_into()
                    .map_err(|_| DbError::Row("a signing key has 32 bytes"))?;
                seeds.push(Seed { use_, seed: Zeroizing::new(seed) });
            }
        }
    }
    let root = root.ok_or(DbError::Row("there is a keyset and no root"))?;
    Ok(Some(Keys::stored(seeds, bytes, root)?))
}

/// What a use is called in the database.
fn name(use_: Use) -> &'static str {
    match use_ {
        Use::Token => "token",
        Use::Manifest => "manifest",
        Use::Ticket => "ticket",
        Use::List => "list",
        Use::Metering => "metering",
        Use::NextRoot => "next_root",
    }
}

/// Enters the first keys, all of them or, where another instance was faster, none.
async fn enter(db: &Db, master: &Master, keys: &Keys, now: i64) -> Result<(), StartError> {
    let keyset = keys.keyset();
    let until = |use_| {
        let key = keyset.keys.iter().find(|key| key.use_ == use_);
        let ms = |seconds: u64| seconds.cast_signed().saturating_mul(1000);
        key.map_or((now, now), |key| (ms(key.signs_until), ms(key.verify_until)))
    };
    let mut new: Vec<_> = keys
        .seeds()
        .iter()
        .map(|Seed { use_, seed }| {
            let public = SigningKey::from_seed(seed).public();
            let (signs_until, verify_until) = until(*use_);
            StoredKey {
                kid: key_id(&public),
                use_name: name(*use_).to_owned(),
                public,
                wrapped: master.wrap(TABLE, &key_id(&public), seed.as_slice()),
                state: "signing".to_owned(),
                signs_from: now,
                signs_until,
                verify_until,
            }
        })
        .collect();
    let public = keys.root();
    new.push(StoredKey {
        kid: key_id(&public),
        use_name: ROOT.to_owned(),
        public,
        // Its private half is not the center's to have.
        wrapped: Vec::new(),
        state: "verifying".to_owned(),
        signs_from: now,
        signs_until: now,
        verify_until: i64::MAX,
    });
    let times = (keyset.issued.cast_signed() * 1000, keyset.expires.cast_signed() * 1000);
    let insert = async |tx: Tx| {
        let tx = &tx;
        if rows::insert_keyset(tx, 1, keys.bytes().to_vec(), times).await? {
            for key in &new {
                rows::insert_signing_key(tx, key).await?;
            }
        }
        Ok(Outcome::Done(()))
    };
    db.write(insert).await?;
    Ok(())
}

async fn enter_keyset(db: &Db, keys: &Keys) -> Result<(), StartError> {
    let keyset = keys.keyset();
    let times = (keyset.issued.cast_signed() * 1000, keyset.expires.cast_signed() * 1000);
    let insert = async |tx: Tx| {
        let tx = &tx;
        rows::insert_keyset(tx, keyset.number.cast_signed(), keys.bytes().to_vec(), times).await?;
        Ok(Outcome::Done(()))
    };
    db.write(insert).await?;
    Ok(())
}

/// The root; whether it was made now.
fn root(path: &Path) -> Result<(SigningKey, bool), StartError> {
    match file::read(path, KeyKind::RootSecret) {
        Ok(seed) => Ok((SigningKey::from_seed(&seed), false)),
        Err(error) if error.is_not_found() => {
            let mut seed = Zeroizing::new([0; 32]);
            getrandom::fill(seed.as_mut_slice()).map_err(VaultError::Random)?;
            file::create(path, KeyKind::RootSecret, seed.as_slice())?;
            Ok((SigningKey::from_seed(&seed), true))
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes the key that edges are given as `center_keys`, complete or not at all.
fn write_public(path: &Path, key: &[u8; 32]) -> Result<(), StartError> {
    let temporary = path.with_extension("new");
    let write = || {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(keytext::format(KeyKind::CenterPublic, key).as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    write().map_err(|source| KeyFileError::io(path, "write it")(source).into())
}
