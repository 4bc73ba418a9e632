//! What must be in the folder after a kill, and whether it is.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use segcast_proto::ids::{ObjectNumber, SetId};
use segcast_store::fault::FaultLayer;
use segcast_store::{Catalogue, Options, Store, Stored};

use crate::Tally;
use crate::content::{Spec, pool};

/// For each set what may be there: one state, or two while an operation was not acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Model {
    may_be: BTreeMap<SetId, Vec<Option<Spec>>>,
}

impl Model {
    /// Reads what a child printed. A line that the kill cut short counts as not printed.
    pub(crate) fn read(&mut self, text: &str, tally: &mut Tally) {
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let words: Vec<&str> = line.split(' ').collect();
            let Some((verb, [set, spec @ ..])) = words.split_first() else { continue };
            let Ok(set) = set.parse::<SetId>() else { continue };
            let states = self.may_be.entry(set).or_insert_with(|| vec![None]);
            match *verb {
                "committing" => states.push(Spec::parse(spec)),
                "removing" => states.push(None),
                "committed" | "removed" => {
                    states.drain(..states.len() - 1);
                    let count =
                        if *verb == "removed" { &mut tally.removed } else { &mut tally.committed };
                    *count += 1;
                }
                _ => {}
            }
        }
    }

    /// Opens the store and compares.
    pub(crate) fn check(&mut self, dir: &Path, tally: &mut Tally) -> Result<(), String> {
        // `create`: the child may have been killed before there was a store. The layer, which kills nobody here, spares
        // this process to wait for the disk: what it syncs survives the end of a process as it is.
        let options = Options {
            create: true,
            file_bytes: Some(crate::child::FILE_BYTES),
            layer: Some(Arc::new(FaultLayer::from_seed(0, None))),
            ..Options::default()
        };
        let store = Store::open(dir, &options).map_err(|error| format!("open: {error}"))?;
        if !store.damage().is_empty() {
            return Err(format!("damage: {:?}", store.damage()));
        }
        self.check_sets(&store.catalogue(), tally)?;
        check_slots(&store)?;
        check_reuse(&store)
    }

    fn check_sets(&mut self, catalogue: &Catalogue, tally: &mut Tally) -> Result<(), String> {
        for info in catalogue.sets() {
            if !pool().contains(&info.set) {
                return Err(format!("{} was never written", info.set));
            }
        }
        for set in pool() {
            let states = self.may_be.entry(set).or_insert_with(|| vec![None]);
            let found = states.iter().position(|state| is_there(catalogue, set, *state));
            let Some(found) = found else {
                let what = catalogue.find_set(&set).and_then(|index| catalogue.set(index));
                return Err(format!("{set}: {what:?} is there, not one of {states:?}"));
            };
            if found > 0 && states[found].is_some() {
                tally.unacknowledged += 1;
            }
            *states = vec![states[found]];
        }
        Ok(())
    }
}

/// Whether the catalogue has exactly this for the set.
fn is_there(catalogue: &Catalogue, set: SetId, state: Option<Spec>) -> bool {
    let index = catalogue.find_set(&set);
    let (Some(index), Some(spec)) = (index, state) else {
        return index.is_none() && state.is_none();
    };
    let segments = (0..spec.segments).all(|segment| {
        catalogue.object(index, ObjectNumber(segment)) == Stored::Mapped(&spec.segment(segment))
    });
    let has_leaves = spec.leaves_bytes > 0 && spec.segments > 0;
    let leaves = (0..spec.segments).all(|segment| {
        let found = catalogue.object(index, ObjectNumber::leaves_of(segment));
        if has_leaves {
            found == Stored::Mapped(&spec.leaves(segment))
        } else {
            found == Stored::PastEnd
        }
    });
    let pages = (0..).zip(spec.all_pages()).all(|(page, bytes)| {
        catalogue.object(index, ObjectNumber::page(page)) == Stored::Page(&bytes)
    });
    let past = [spec.segments, ObjectNumber::leaves_of(spec.segments).0];
    let past = [ObjectNumber(past[0]), ObjectNumber(past[1]), ObjectNumber::page(spec.pages)];
    segments
        && leaves
        && pages
        && past.iter().all(|o| catalogue.object(index, *o) == Stored::PastEnd)
}

/// Every valid header has its data, and every slot that is no set's is free.
fn check_slots(store: &Store) -> Result<(), String> {
    let damage = store.verify_slots().map_err(|error| error.to_string())?;
    if !damage.is_empty() {
        return Err(format!("half written: {damage:?}"));
    }
    let held: u64 = store.catalogue().sets().map(|info| u64::from(info.segments)).sum();
    let usage = store.usage();
    if usage.slots - usage.free_slots != held {
        return Err(format!("{held} slots are held by sets, but {usage:?}"));
    }
    Ok(())
}

/// A set that needs every free slot of one size can be written, and removed again.
fn check_reuse(store: &Store) -> Result<(), String> {
    let before = store.usage();
    let set = SetId([0xEE; 16]);
    let spec =
        Spec { incarnation: 5, segment_bytes: 20_000, segments: 7, pages: 1, leaves_bytes: 0 };
    let write = || {
        let mut writer = store.begin_set(set, spec.segment_bytes, spec.segments)?;
        for segment in 0..spec.segments {
            writer.write_segment(segment, &spec.segment(segment))?;
        }
        writer.commit(&spec.all_pages())
    };
    write().map_err(|error| format!("writing after the crash: {error}"))?;
    if !is_there(&store.catalogue(), set, Some(spec)) {
        return Err("a set written after the crash is not there".to_owned());
    }
    store.remove_set(&set).map_err(|error| format!("removing after the crash: {error}"))?;
    let after = store.usage();
    if after.slots - after.free_slots != before.slots - before.free_slots {
        return Err(format!("slots were lost: {before:?}, then {after:?}"));
    }
    Ok(())
}
