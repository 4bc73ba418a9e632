//! Manifests (roots under a genuine signature, pages that a root names), geometry, and repair by parity.

use std::sync::LazyLock;

use segcast_proto::crypto::hash::sha256;
use segcast_proto::crypto::sign::SigningKey;
use segcast_proto::ids::SetId;
use segcast_proto::limits::SYMBOL;
use segcast_proto::segment::digest::{Digester, Entry};
use segcast_proto::segment::geometry::{
    DIGEST, Geometry, UNIT, is_segment_size, nearest_segment_size, segment_bytes_for,
};
use segcast_proto::segment::leaves::group_len;
use segcast_proto::segment::manifest::{
    Description, Manifest, ManifestBuilder, Protection, Root, RootError,
};
use segcast_proto::segment::parity::{ParityEncoder, repair};
use segcast_proto::time::Duration;

use super::script::{Script, Steps};
use super::seed::Seed;

/// Begins what the center signs (docs/protocol, section 13).
const CONTEXT: &[u8] = b"segcast v1 manifest";
/// Where the key id lies in a root.
const KEY_ID_AT: usize = 104;
const SIGNATURE: usize = 64;
const SET: SetId = SetId([7; 16]);

static CENTER: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::from_seed(&[1; 32]));

/// A title of one segment with parity, and its manifest.
struct Title {
    geometry: Geometry,
    stored: Vec<u8>,
    parity: Vec<u8>,
    pages: Vec<Vec<u8>>,
}

static TITLE: LazyLock<Title> = LazyLock::new(|| {
    let geometry = Geometry::new(u64::from(UNIT) - 5, UNIT, true).expect("a small title");
    let stored: Vec<u8> = (0..UNIT).map(|at| (at / 3) as u8).collect();
    let mut parity = Vec::new();
    ParityEncoder::new(&geometry).encode(&stored, &mut parity);
    let entry = Digester::new(&geometry, SET).entry(0, &stored);
    let pages = pages_of(geometry, "a title", &[entry]);
    Title { geometry, stored, parity, pages }
});

fn pages_of(geometry: Geometry, name: &str, entries: &[Entry]) -> Vec<Vec<u8>> {
    let description = Description {
        set: SET,
        geometry,
        protection: Protection::Sealed { salt: [2; 16], commitment: [3; 32] },
        running_time: Duration::from_secs(60),
        name: name.to_owned(),
    };
    let mut builder = ManifestBuilder::new(description).expect("a short name");
    entries.iter().for_each(|entry| builder.push(entry));
    builder.sign(&CENTER)
}

/// Reads `data` as a root, a page, a geometry, a segment, or losses to repair.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    match script.choose(5) {
        0 => root(script.rest().to_vec()),
        1 => page(&mut script),
        2 => geometry(&mut script),
        3 => segment(&mut script),
        _ => parity(&mut script),
    }
}

/// Puts the center's key id and signature to the fields of a root.
fn sign(mut fields: Vec<u8>) -> Vec<u8> {
    let key_id = segcast_proto::crypto::sign::key_id(&CENTER.public());
    if let Some(place) = fields.get_mut(KEY_ID_AT..KEY_ID_AT + key_id.len()) {
        place.copy_from_slice(&key_id);
    }
    let signature = CENTER.sign(&[CONTEXT, &fields].concat());
    fields.extend(signature);
    fields
}

fn root(fields: Vec<u8>) {
    let bare = Root::decode_and_verify(&fields, &[CENTER.public()]);
    assert!(bare.is_err(), "a root that the center did not sign");
    let bytes = sign(fields);
    let verified = Root::decode_and_verify(&bytes, &[CENTER.public()]);
    assert_eq!(Root::decode_unverified(&bytes), verified);
    match verified {
        Ok(root) => {
            check_geometry(root.geometry(), 1);
            let pages = root.geometry().pages();
            assert!((1..=pages).all(|page| root.page_digest(page as u16).is_some()));
            assert!(root.page_digest(0).is_none());
            assert!(root.page_digest((pages + 1) as u16).is_none() || pages == 0xFFFF);
        }
        Err(error) => assert_ne!(error, RootError::Signature),
    }
}

/// A page under a root that names exactly these bytes.
fn page(script: &mut Script<'_>) {
    let mut bytes = TITLE.pages[1].clone();
    script.patch(&mut bytes);
    bytes.truncate(bytes.len() - usize::from(script.byte() % 4));
    bytes.extend_from_slice(script.counted());
    let mut fields = TITLE.pages[0].clone();
    fields.truncate(fields.len() - SIGNATURE);
    let at = fields.len() - DIGEST;
    fields[at..].copy_from_slice(&sha256(&[&bytes]));
    let root = Root::decode_and_verify(&sign(fields), &[CENTER.public()]).expect("a valid root");
    let mut manifest = Manifest::new(root);
    let number = script.short();
    let taken = manifest.insert(number, &bytes);
    assert!(taken.is_err() || (number == 1 && manifest.is_complete()));
    assert_eq!(manifest.missing_page_for(0), taken.is_err().then_some(1));
    let index = script.long();
    assert_eq!(manifest.segment_digest(index).is_ok(), taken.is_ok() && index == 0);
    let group = manifest.group_digest(0, index);
    assert_eq!(group.is_ok(), taken.is_ok());
    if let Ok(group) = group {
        assert_eq!(group.is_some(), index < TITLE.geometry.leaf_groups());
    }
}

fn geometry(script: &mut Script<'_>) {
    let (length, bytes, parity) = (script.number(), script.long(), script.flag());
    let size = nearest_segment_size(u64::from(bytes));
    assert!(is_segment_size(size));
    let duration = Duration::from_millis(script.number());
    assert!(is_segment_size(segment_bytes_for(duration, length)));
    for size in [bytes, size] {
        match Geometry::new(length, size, parity) {
            Ok(geometry) => check_geometry(&geometry, script.number()),
            Err(error) => assert!(!is_segment_size(size) || length > 1 << 36, "{error}"),
        }
    }
}

/// Segments, pages and groups partition what they are to partition.
fn check_geometry(geometry: &Geometry, at: u64) {
    let (length, segments) = (geometry.true_length(), geometry.segments());
    assert_eq!(u64::from(segments), length.div_ceil(geometry.segment_bytes().into()));
    assert!(geometry.entries_per_page() > 0 && geometry.pages() <= 0xFFFF);
    assert_eq!(geometry.page_of(segments), None);
    assert_eq!(geometry.locate(length), None);
    let Some(last) = segments.checked_sub(1) else {
        return assert_eq!(geometry.pages(), 0);
    };
    assert_eq!(geometry.page_of(last).map(u32::from), Some(geometry.pages()));
    assert_eq!(geometry.title_range(last).map(|range| range.end), Some(length));
    let offset = at % length;
    let (segment, within) = geometry.locate(offset).expect("an offset in the title");
    let range = geometry.title_range(segment).expect("a segment of the title");
    assert_eq!(range.start + u64::from(within), offset);
    assert_eq!(geometry.data_len(segment).map(u64::from), Some(range.end - range.start));
    let page = geometry.page_of(segment).expect("a segment of the title");
    let described = geometry.segments_on(page).expect("a page of the manifest");
    assert!(
        described.contains(&segment) && described.len() <= geometry.entries_per_page() as usize
    );
    let groups = (0..geometry.leaf_groups()).map(|group| group_len(geometry, group).unwrap_or(0));
    let symbols = geometry.source_symbols() + geometry.parity_symbols();
    let leaves = if geometry.has_parity() { symbols as usize * 16 } else { 0 };
    assert_eq!(groups.sum::<usize>(), leaves);
    assert_eq!(group_len(geometry, geometry.leaf_groups()), None);
}

/// Nothing but the very segment is one: no byte that is unverified gets past this.
fn segment(script: &mut Script<'_>) {
    let manifest = Manifest::from_pages(&TITLE.pages, &[CENTER.public()]).expect("genuine");
    let mut stored = TITLE.stored.clone();
    script.patch(&mut stored);
    stored.truncate(stored.len() - usize::from(script.byte()));
    let number = script.number();
    let verified = manifest.verify_segment(number.min(u32::MAX.into()) as u32, &stored);
    assert_eq!(verified.is_ok(), number == 0 && stored == TITLE.stored);
}

/// Repairs a segment from symbols that are chosen; what was given true comes out true.
fn parity(script: &mut Script<'_>) {
    let mut stored = TITLE.stored.clone();
    let missing: Vec<u32> = script.counted().iter().map(|&index| index.into()).collect();
    for &index in &missing {
        let at = index as usize * SYMBOL;
        if let Some(symbol) = stored.get_mut(at..at + SYMBOL) {
            symbol.fill(0xEE);
        }
    }
    let symbols: Vec<&[u8]> = TITLE.parity.chunks(SYMBOL).collect();
    let source = TITLE.geometry.source_symbols();
    let cut = script.byte();
    let given: Vec<(u32, &[u8])> = script
        .counted()
        .iter()
        .map(|&index| {
            let index = u32::from(index);
            let symbol = index.checked_sub(source).and_then(|at| symbols.get(at as usize));
            let symbol = symbol.copied().unwrap_or(symbols[0]);
            (index, &symbol[..SYMBOL - usize::from(cut == 1)])
        })
        .collect();
    let before = stored.clone();
    match repair(&TITLE.geometry, &mut stored, &missing, &given) {
        Ok(()) => assert!(stored == TITLE.stored, "a wrong repair of {missing:?}"),
        Err(error) => assert!(stored == before, "{error} changed the segment"),
    }
}

/// Roots with and without parity and name, the title's page, cuts, losses.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut root = |name: &str, page: &[u8]| {
        let fields = &page[..page.len() - SIGNATURE];
        seeds.push(Seed::new(name, Steps::new().byte(0).bytes(fields)));
    };
    root("root", &TITLE.pages[0]);
    let plain = Geometry::new(3 * u64::from(UNIT), UNIT, false).expect("a small title");
    let entry = Entry::new(&[4; DIGEST], []);
    root("root-plain", &pages_of(plain, "", &[entry.clone(), entry.clone(), entry])[0]);
    let empty = Geometry::new(0, UNIT, true).expect("an empty title");
    root("root-empty", &pages_of(empty, "ö".repeat(20).as_str(), &[])[0]);

    let page = |patches: &[(u16, u8)]| Steps::new().byte(1).patch(patches).byte(0).counted(&[]);
    let parity =
        |missing: &[u8], given: &[u8]| Steps::new().byte(4).counted(missing).byte(0).counted(given);
    let geometry = |length: u64, bytes: u32, parity: u8, at: u64| {
        let steps = Steps::new().byte(2).number(length).long(bytes).byte(parity);
        steps.number(60_000).number(at).number(at)
    };
    for (name, steps) in [
        ("page", page(&[]).short(1).long(0)),
        ("page-2", page(&[]).short(2).long(1)),
        ("page-altered", page(&[(3, 1)]).short(1).long(0)),
        ("geometry", geometry(1 << 30, 14 * UNIT, 1, 12_345_678)),
        ("geometry-odd", geometry(1, 73_729, 0, 0)),
        ("geometry-large", geometry(u64::MAX, 455 * UNIT, 1, 1 << 40)),
        ("segment", Steps::new().byte(3).patch(&[]).byte(0).number(0)),
        ("segment-altered", Steps::new().byte(3).patch(&[(1000, 1)]).byte(0).number(0)),
        ("segment-short", Steps::new().byte(3).patch(&[]).byte(1).number(0)),
        ("parity", parity(&[0, 5, 63], &[64, 70, 79])),
        ("parity-few", parity(&[0, 5, 63], &[64, 70])),
        ("parity-twice", parity(&[5, 5], &[64, 64])),
    ] {
        seeds.push(Seed::new(name, steps));
    }
    seeds
}
