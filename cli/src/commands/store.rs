//! `segcast store`: looks at a store that no other process has open, and removes sets from it.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use segcast_config::ExitCode;
use segcast_config::amount::rounded;
use segcast_edge::config::Config;
use segcast_proto::ids::SetId;
use segcast_store::{Options, SetInfo, Store, StoreError};

use crate::words;

/// Arguments of `segcast store`.
#[derive(Args, Debug)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Read every segment from the disk and compare it with its checksum; exit code 6 when one is wrong
    Verify(VerifyArgs),
    /// Remove a set, without asking, and say what that has freed
    Remove(RemoveArgs),
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
struct RemoveArgs {
    #[command(flatten)]
    folder: FolderArg,
    /// The set to remove
    #[arg(long, value_name = "ID")]
    set: SetId,
}

/// Runs the command.
pub(crate) fn run(args: &StoreArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        StoreCommand::Verify(args) => verify(args),
        StoreCommand::Remove(args) => remove(args),
    }
}

impl FolderArg {
    fn open(&self) -> Result<Store, StoreError> {
        Store::open(&self.store, &Options::default())
    }
}

fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let store = args.folder.open()?;
    let is_meant = |set: SetId| args.set.is_none_or(|wanted| wanted == set);
    // What the scan found is not served, and so in no catalogue.
    let damage = store.damage().iter();
    let damage: Vec<_> = damage.filter(|d| d.set().map_or(args.set.is_none(), is_meant)).collect();
    let sets: Vec<_> = store.catalogue().sets().filter(|info| is_meant(info.set)).collect();
    if let (Some(set), [], []) = (args.set, &damage[..], &sets[..]) {
        return Err(StoreError::NoSuchSet { set }.into());
    }
    for damage in &damage {
        println!("{damage}");
    }
    let mut wrong = damage.len();
    for info in &sets {
        let bad = store.verify_set(&info.set)?;
        println!("{}", found(info, &bad));
        wrong += usize::from(!bad.is_empty());
    }
    if wrong == 0 {
        return Ok(ExitCode::Success);
    }
    println!("something is wrong with {}", args.folder.store.display());
    Ok(ExitCode::WrongBytes)
}

fn found(info: &SetInfo, bad: &[u32]) -> String {
    let SetInfo { set, segments, segment_bytes, .. } = info;
    let size = rounded::size(u64::from(*segment_bytes));
    let judged = match bad {
        [] => "all as they were packed".to_owned(),
        bad => format!("{} wrong: {}", bad.len(), ranges(bad)),
    };
    format!("set {set}: {} of {size}, {judged}", words::count((*segments).into(), "segment"))
}

/// `3, 7-9` of ascending numbers.
fn ranges(numbers: &[u32]) -> String {
    let ranges = numbers.chunk_by(|before, after| before + 1 == *after).map(|range| match range {
        [first, .., last] => format!("{first}-{last}"),
        range => range.iter().map(u32::to_string).collect(),
    });
    ranges.collect::<Vec<_>>().join(", ")
}

fn remove(args: &RemoveArgs) -> anyhow::Result<ExitCode> {
    let store = args.folder.open()?;
    let before = store.usage().free_slots;
    let info = store.catalogue().sets().find(|info| info.set == args.set);
    store.remove_set(&args.set).with_context(|| args.folder.store.display().to_string())?;
    let slots = store.usage().free_slots.saturating_sub(before);
    let bytes = match info {
        Some(info) => format!(", {}", rounded::size(slots * u64::from(info.segment_bytes))),
        // A broken set's segments may have had any size.
        None => String::new(),
    };
    println!("set {}: removed; free again: {}{bytes}", args.set, words::count(slots, "segment"));
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
