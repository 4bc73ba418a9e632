//! `segcast store`: lists and checks what is in a store, and removes sets from it, also while edges serve it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, Subcommand};
use segcast_config::ExitCode;
use segcast_config::amount::rounded;
use segcast_edge::config::Config;
use segcast_proto::ids::SetId;
use segcast_store::error::Damage;
use segcast_store::limits::PAGE_MEMORY_DEFAULT;
use segcast_store::{Options, Reader, SetInfo, Store, StoreError};

use crate::output::{self, OutputError};
use crate::words;

/// How long a removal waits for edges to let go of the set: they look at the store twice a second.
const LET_GO: Duration = Duration::from_secs(10);
/// How often it asks.
const ASK: Duration = Duration::from_millis(20);

/// Arguments of `segcast store`.
#[derive(Args, Debug)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// List the sets, and what is damaged; exit code 6 when something is
    List(FolderArg),
    /// Read every segment from the disk and compare it with its checksum; exit code 6 when one is wrong
    Verify(VerifyArgs),
    /// Compute the leaves of a set that was packed without, or whose `.leaves` file is damaged: what groups need
    Leaves(SetArgs),
    /// Remove a set, without asking, and say what that has freed
    Remove(SetArgs),
}

#[derive(Args, Debug)]
struct FolderArg {
    /// Directory of the store
    #[arg(long, value_name = "DIR", default_value_os_t = Config::default().store)]
    store: PathBuf,
}

#[derive(Args, Debug)]
struct VerifyArgs {
    #[command(flatten)]
    folder: FolderArg,
    /// The set to look at; all sets unless given
    #[arg(long, value_name = "ID")]
    set: Option<SetId>,
}

#[derive(Args, Debug)]
struct SetArgs {
    #[command(flatten)]
    folder: FolderArg,
    /// The set
    #[arg(long, value_name = "ID")]
    set: SetId,
}

/// Runs the command.
pub(crate) fn run(args: &StoreArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        StoreCommand::List(folder) => list(folder),
        StoreCommand::Verify(args) => verify(args),
        StoreCommand::Leaves(args) => leaves(args),
        StoreCommand::Remove(args) => remove(args),
    }
}

impl FolderArg {
    /// Only to read: nothing is locked, and nothing in the folder changes.
    fn read(&self) -> Result<Reader, StoreError> {
        Reader::open(&self.store, PAGE_MEMORY_DEFAULT)
    }

    /// The exit code after this many things that are wrong; says so when there are any.
    fn judge(&self, wrong: usize) -> Result<ExitCode, OutputError> {
        if wrong == 0 {
            return Ok(ExitCode::Success);
        }
        output::result(format_args!("something is wrong with {}", self.store.display()))?;
        Ok(ExitCode::WrongBytes)
    }
}

fn list(folder: &FolderArg) -> anyhow::Result<ExitCode> {
    let store = folder.read()?;
    let catalogue = store.catalogue();
    let mut bytes = 0;
    for info in catalogue.sets() {
        let of_set = u64::from(info.segments) * u64::from(info.segment_bytes);
        bytes += of_set;
        output::result(format_args!(
            "{}, {}, manifest of {}{}",
            described(&info),
            rounded::size(of_set),
            words::count(info.pages.into(), "page"),
            if info.leaves_bytes == 0 { "" } else { ", leaves" }
        ))?;
    }
    store.damage().iter().try_for_each(output::result)?;
    let sets = words::count(catalogue.sets().len() as u64, "set");
    let (bytes, place) = (rounded::size(bytes), folder.store.display());
    output::result(format_args!("{sets}, {bytes} in {place}"))?;
    Ok(folder.judge(store.damage().len())?)
}

fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let store = args.folder.read()?;
    let is_meant = |set: SetId| args.set.is_none_or(|wanted| wanted == set);
    // What the look found damaged is not served, and so in no catalogue.
    let is_of_meant = |damage: &&Damage| damage.set().map_or(args.set.is_none(), is_meant);
    let damage: Vec<_> = store.damage().iter().filter(is_of_meant).collect();
    let catalogue = store.catalogue();
    let sets: Vec<_> = catalogue.sets().filter(|info| is_meant(info.set)).collect();
    if let (Some(set), [], []) = (args.set, &damage[..], &sets[..]) {
        return Err(StoreError::NoSuchSet { set }.into());
    }
    damage.iter().try_for_each(output::result)?;
    let mut wrong = damage.len();
    for info in &sets {
        let bad = catalogue.verify_set(&info.set)?;
        let bad_leaves = catalogue.verify_leaves(&info.set)?;
        output::result(found(info, &bad, &bad_leaves))?;
        wrong += usize::from(!bad.is_empty() || !bad_leaves.is_empty());
    }
    Ok(args.folder.judge(wrong)?)
}

/// `set ID: 40 segments of 2.88 MiB`.
fn described(info: &SetInfo) -> String {
    let SetInfo { set, segments, segment_bytes, .. } = info;
    let size = rounded::size(u64::from(*segment_bytes));
    format!("set {set}: {} of {size}", words::count((*segments).into(), "segment"))
}

fn found(info: &SetInfo, bad: &[u32], bad_leaves: &[u32]) -> String {
    let judged = match bad {
        [] => "all as they were packed".to_owned(),
        bad => format!("{} wrong: {}", bad.len(), ranges(bad)),
    };
    let leaves = match bad_leaves {
        [] if info.leaves_bytes == 0 => String::new(),
        [] => ", and its leaves".to_owned(),
        bad => format!(
            "; leaves of {} wrong: {} (segcast store leaves --set {} makes them anew)",
            words::count(bad.len() as u64, "segment"),
            ranges(bad),
            info.set
        ),
    };
    format!("{}, {judged}{leaves}", described(info))
}

/// `3, 7-9` of ascending numbers.
fn ranges(numbers: &[u32]) -> String {
    let ranges = numbers.chunk_by(|before, after| before + 1 == *after).map(|range| match range {
        [first, .., last] => format!("{first}-{last}"),
        range => range.iter().map(u32::to_string).collect(),
    });
    ranges.collect::<Vec<_>>().join(", ")
}

fn leaves(args: &SetArgs) -> anyhow::Result<ExitCode> {
    let store = Store::open(&args.folder.store, &Options::default())?;
    store.make_leaves(&args.set).with_context(|| args.folder.store.display().to_string())?;
    let info = store.catalogue().sets().find(|info| info.set == args.set);
    let bytes = info.map_or(0, |info| u64::from(info.segments) * u64::from(info.leaves_bytes));
    let (set, bytes) = (args.set, rounded::size(bytes));
    output::result(format_args!("set {set}: all as its manifest says; leaves of {bytes} written"))?;
    Ok(ExitCode::Success)
}

fn remove(args: &SetArgs) -> anyhow::Result<ExitCode> {
    let store = Store::open(&args.folder.store, &Options::default())?;
    let before = store.usage().free_slots;
    let info = store.catalogue().sets().find(|info| info.set == args.set);
    store.remove_set(&args.set).with_context(|| args.folder.store.display().to_string())?;
    let begun = Instant::now();
    while store.still_read() > 0 && begun.elapsed() < LET_GO {
        std::thread::sleep(ASK);
    }
    if store.still_read() > 0 {
        output::result(format_args!(
            "set {}: removed; it is still read, and its room is free at the first change of the store after that has ended",
            args.set
        ))?;
        return Ok(ExitCode::Success);
    }
    let slots = store.usage().free_slots.saturating_sub(before);
    let bytes = match info {
        Some(info) => format!(", {}", rounded::size(slots * u64::from(info.segment_bytes))),
        // A broken set's segments may have had any size.
        None => String::new(),
    };
    let (set, slots) = (args.set, words::count(slots, "segment"));
    output::result(format_args!("set {set}: removed; free again: {slots}{bytes}"))?;
    Ok(ExitCode::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_follow_each_other_are_a_range() {
        assert_eq!(ranges(&[3, 7, 8, 9, 11, 12]), "3, 7-9, 11-12");
        assert_eq!(ranges(&[0]), "0");
    }
}
