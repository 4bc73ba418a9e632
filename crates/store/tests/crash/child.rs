//! The process that is killed: writes, aborts and removes sets at random, and prints what was acknowledged.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use segcast_proto::ids::SetId;
use segcast_store::fault::FaultLayer;
use segcast_store::layer::SyncPoint;
use segcast_store::{Options, SetWriter, Store};

use crate::content::{Random, Spec, pool};

pub(crate) const DIR: &str = "SEGCAST_CRASH_DIR";
pub(crate) const SEED: &str = "SEGCAST_CRASH_SEED";
pub(crate) const KILL: &str = "SEGCAST_CRASH_KILL";
pub(crate) const WITHOUT: &str = "SEGCAST_CRASH_WITHOUT";
/// Small, so that a few sets need several files and slots are used again.
pub(crate) const FILE_BYTES: u64 = 64 << 10;
const STEPS: u32 = 80;

#[test]
#[ignore = "the other tests of this file run it as a process of its own"]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let mut layer = FaultLayer::from_seed(number(SEED).unwrap(), number(KILL));
    if let Some(point) = number(WITHOUT) {
        layer = layer.without(SyncPoint::ALL[usize::try_from(point).unwrap()]);
    }
    let layer = Arc::new(layer);
    work(Path::new(&dir), Arc::clone(&layer), Random::new(!number(SEED).unwrap()));
    say(&format!("ended after {} operations", layer.operations()));
}

fn say(text: &str) {
    println!("{text}");
    std::io::stdout().flush().unwrap();
}

fn work(dir: &Path, layer: Arc<FaultLayer>, mut random: Random) {
    let options = Options {
        create: true,
        file_bytes: Some(FILE_BYTES),
        layer: Some(layer),
        ..Options::default()
    };
    let store = Store::open(dir, &options).unwrap();
    // A line of its own after what the test harness prints.
    say("");
    let mut writer: Option<(SetId, Spec, SetWriter)> = None;
    let mut shown = store.catalogue();
    for _ in 0..STEPS {
        let pool = pool();
        let set = pool[usize::try_from(random.below(pool.len() as u64)).unwrap()];
        let exists = store.catalogue().find_set(&set).is_some();
        match random.below(8) {
            0 => shown = store.catalogue(),
            1 | 2 if exists => remove(&store, set),
            3 => drop(writer.take()),
            // The one begun last is written while another may be open.
            _ if !exists && writer.as_ref().is_none_or(|(other, ..)| *other != set) => {
                let next = begin(&store, set, &mut random);
                if let Some(earlier) = writer.replace(next) {
                    commit(earlier);
                }
            }
            _ => {}
        }
    }
    writer.into_iter().for_each(commit);
    drop(shown);
}

fn begin(store: &Store, set: SetId, random: &mut Random) -> (SetId, Spec, SetWriter) {
    let spec = Spec::random(random);
    let mut writer = store.begin_set(set, spec.segment_bytes, spec.segments).unwrap();
    let mut order: Vec<u32> = (0..spec.segments).collect();
    while !order.is_empty() {
        let next = usize::try_from(random.below(order.len() as u64)).unwrap();
        let segment = order.swap_remove(next);
        writer.write_segment(segment, &spec.segment(segment)).unwrap();
        if spec.leaves_bytes > 0 {
            writer.write_leaves(segment, &spec.leaves(segment)).unwrap();
        }
    }
    (set, spec, writer)
}

fn commit((set, spec, writer): (SetId, Spec, SetWriter)) {
    say(&format!("committing {set} {}", spec.print()));
    writer.commit(&spec.all_pages()).unwrap();
    say(&format!("committed {set}"));
}

fn remove(store: &Store, set: SetId) {
    say(&format!("removing {set}"));
    store.remove_set(&set).unwrap();
    say(&format!("removed {set}"));
}
