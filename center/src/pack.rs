//! A title for sale: its set is taken in the database, packed with the center's manifest key, and published.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use segcast_api::problem::Problem;
use segcast_api::text::{Name, Slug};
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::ids::SetId;
use segcast_proto::segment::cipher::TitleKey;
use segcast_proto::trust::Use;
use segcast_store::Store;

use crate::app::{App, Outcome};
use crate::config::Config;
use crate::db::DbError;
use crate::db::catalogue::ReadySet;
use crate::ingest::{self, Keeper, PackError, PackOptions, PackReport, Progress};
use crate::keys::{KeyDirError, TitleRecord};
use crate::serve::{Opened, StartError, open};
use crate::service::sets;

/// Why there is no set.
#[derive(Debug, thiserror::Error)]
pub enum SaleError {
    /// The center does not open.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The database.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The slug, or the set.
    #[error(transparent)]
    Refused(Box<Problem>),
    /// Packing.
    #[error(transparent)]
    Pack(#[from] PackError),
}

/// The center's keys, and the title key until it is in the database.
struct Kept<'a> {
    app: &'a App,
    title: Mutex<Option<TitleKey>>,
}

impl Keeper for Kept<'_> {
    fn signer(&self) -> Result<Arc<SigningKey>, KeyDirError> {
        Ok(self.app.vault.signer(Use::Manifest))
    }

    fn keep(&self, _: SetId, record: TitleRecord) -> Result<Option<PathBuf>, KeyDirError> {
        if let TitleRecord::Sealed(key) = record {
            *self.title.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
        }
        Ok(None)
    }
}

/// Packs the file at `input` as the newest version of the title `slug`, which is made and listed if it is not there. The
/// title key goes into the database after the store has the set: whoever is stopped between the two has a set in the store
/// that nobody sells, and packs again.
///
/// # Errors
/// [`SaleError`].
pub fn pack(
    config: &Config,
    (input, slug, name): (&Path, &Slug, &Name),
    options: PackOptions,
    store: &Store,
    progress: impl FnMut(Progress),
) -> Result<PackReport, SaleError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(StartError::from)?;
    let Opened { app, .. } = runtime.block_on(open(config))?;
    let set = settled(runtime.block_on(sets::take(&app, slug, name))?)?;
    let kept = Kept { app: &app, title: Mutex::default() };
    let options = PackOptions { set: Some(set), clear: false, name: name.to_string(), ..options };
    let report = ingest::pack(input, &options, &kept, store, progress)?;
    let key = kept.title.into_inner().unwrap_or_else(PoisonError::into_inner);
    let ready = ReadySet {
        set,
        length: report.geometry.true_length().cast_signed(),
        page0_digest: report.page0_digest,
    };
    let key = key.expect("what is not clear is sealed");
    settled(runtime.block_on(sets::publish(&app, &ready, &key))?)?;
    runtime.block_on(app.db.close());
    Ok(report)
}

fn settled<T>(outcome: Outcome<T>) -> Result<T, SaleError> {
    match outcome {
        Outcome::Done(value) => Ok(value),
        Outcome::Refused(problem) => Err(SaleError::Refused(Box::new(problem))),
    }
}
