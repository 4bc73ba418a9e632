//! Files on disk: those of the segment store, and the journal of a fetch.

use std::collections::BTreeSet;

use segcast_client::file::journal::{self, HEADER, Identity, RECORD};
use segcast_proto::ids::SetId;
use segcast_store::format::segment_file::Geometry;
use segcast_store::format::set_file::{SetFile, check_pages};
use segcast_store::format::slot_header::SlotHeader;
use segcast_store::format::store_file::{StoreFile, file_bytes_valid};

use super::script::{Script, Steps};
use super::seed::Seed;

const SET: SetId = SetId([7; 16]);
const FILE: u32 = 9;
const FILE_BYTES: u64 = 1 << 20;
/// Bytes of a segment file's header page that mean something, and their checksum.
const FILE_HEADER: usize = 40;

/// Reads `data` as each kind of file, under a right checksum or not.
pub fn run(data: &[u8]) {
    let mut script = Script::new(data);
    let (kind, refit) = (script.choose(6), script.flag());
    match kind {
        0 => store_file(&checked(script.rest(), refit)),
        1 => segment_file(&checked(script.rest(), refit)),
        2 => set_file(&checked(script.rest(), refit)),
        3 => slot_header(&checked(script.rest(), refit)),
        4 => geometry(&mut script),
        _ => fetch_journal(&mut script, refit),
    }
}

/// With a right CRC32C at its end, if that is wanted.
fn checked(bytes: &[u8], refit: bool) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if refit && let Some((body, checksum)) = bytes.split_last_chunk_mut::<4>() {
        *checksum = crc32c::crc32c(body).to_be_bytes();
    }
    bytes
}

fn store_file(bytes: &[u8]) {
    if let Ok(store) = StoreFile::decode(bytes) {
        assert!(file_bytes_valid(store.file_bytes));
        assert_eq!(StoreFile::decode(&store.encode()), Ok(store));
    }
}

fn segment_file(bytes: &[u8]) {
    if let Ok(geometry) = Geometry::decode_header(bytes, FILE, FILE_BYTES) {
        assert_eq!(geometry.encode_header(FILE)[..FILE_HEADER], bytes[..FILE_HEADER]);
        check_geometry(&geometry);
    }
}

fn set_file(bytes: &[u8]) {
    match SetFile::decode(bytes, SET) {
        Ok(file) => {
            assert!(check_pages(&file.pages).is_ok());
            assert_eq!(SetFile::decode(&file.encode(), SET).as_ref(), Ok(&file));
            assert_eq!(file.encode(), bytes, "two encodings of one set");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn slot_header(bytes: &[u8]) {
    if let Ok(header) = SlotHeader::decode(bytes, FILE, 3) {
        assert_eq!((header.file, header.slot), (FILE, 3));
        assert_eq!(SlotHeader::decode(&header.encode(), FILE, 3), Ok(header));
        assert!(SlotHeader::decode(bytes, FILE + 1, 3).is_err());
    }
}

fn geometry(script: &mut Script<'_>) {
    if let Ok(geometry) = Geometry::new(script.number(), script.long()) {
        check_geometry(&geometry);
    }
}

/// Every slot lies in the file, after all headers.
fn check_geometry(geometry: &Geometry) {
    let last = geometry.slots().checked_sub(1).expect("a geometry has a slot");
    assert!(geometry.header_range(last).end <= geometry.data_range(0).start);
    assert!(geometry.data_range(last).end <= geometry.file_bytes());
    assert!(geometry.data_range(last).start.is_multiple_of(4096));
    assert!(geometry.blocks(last, 1).end <= geometry.file_bytes());
}

/// A journal names the segments of its intact records and no others.
fn fetch_journal(script: &mut Script<'_>, genuine: bool) {
    let identity = identity();
    let mut bytes = Vec::new();
    if genuine {
        bytes.extend(identity.encode());
        while !script.is_over() && script.flag() {
            bytes.extend(identity.record(script.number() as u32));
        }
        if script.flag() {
            script.patch(&mut bytes);
        }
    }
    bytes.extend(script.rest());
    match journal::read(&bytes, &identity) {
        Ok(map) => {
            assert_eq!(bytes[..HEADER], identity.encode());
            let records = bytes[HEADER..].chunks_exact(RECORD);
            let named = (0..identity.segments).filter(|&segment| {
                records.clone().any(|record| record == identity.record(segment))
            });
            assert_eq!(map.iter().collect::<BTreeSet<_>>(), named.collect());
        }
        Err(error) => {
            assert!(bytes.get(..HEADER) != Some(&identity.encode()[..]), "{error}");
        }
    }
}

fn identity() -> Identity {
    Identity {
        set: SET,
        root_digest: [9; 32],
        segments: 20,
        segment_bytes: 73_728,
        length: 19 * 73_728 + 1,
    }
}

/// One of every file, with its own checksum and to be given one.
#[must_use]
pub fn seeds() -> Vec<Seed> {
    let store = StoreFile { file_bytes: 1 << 30 }.encode();
    let file = Geometry::new(FILE_BYTES, 73_728).expect("slots that fit").encode_header(FILE);
    let set = |pages: &[usize]| SetFile {
        set: SET,
        generation: 12,
        segment_bytes: 73_728,
        segments: 3,
        pages: pages.iter().map(|&bytes| vec![5; bytes].into()).collect(),
    };
    let slot = SlotHeader {
        set: SET,
        segment: 2,
        length: 73_728,
        generation: 12,
        data_checksum: 0x1234_5678,
        file: FILE,
        slot: 3,
    };
    let mut seeds = Vec::new();
    for (kind, name, bytes) in [
        (0, "store", store),
        (1, "segments", file[..FILE_HEADER].to_vec()),
        (2, "set", set(&[200]).encode()),
        (2, "set-pages", set(&[0, 40, 100]).encode()),
        (3, "slot", slot.encode()),
    ] {
        for (refit, how) in [(0, "own"), (1, "refitted")] {
            let steps = Steps::new().byte(kind).byte(refit).bytes(&bytes);
            seeds.push(Seed::new(&format!("{name}-{how}"), steps));
        }
    }
    let geometry = |bytes: u64, segment: u32| {
        Seed::new(
            &format!("geometry-{segment}"),
            Steps::new().byte(4).byte(0).number(bytes).long(segment),
        )
    };
    seeds.extend([geometry(1 << 30, 1_032_192), geometry(12_288, 4096), geometry(1 << 38, 1)]);
    let begin = Steps::new().byte(5).byte(1);
    let records =
        |steps: Steps| [0, 5, 19, 5, 20].iter().fold(steps, |steps, &n| steps.byte(1).number(n));
    seeds.push(Seed::new("journal", records(begin.clone()).byte(0).byte(0)));
    seeds.push(Seed::new("journal-torn", records(begin.clone()).byte(0).byte(0).bytes(&[0, 0, 1])));
    seeds.push(Seed::new(
        "journal-altered",
        records(begin).byte(0).byte(1).patch(&[(81, 1), (90, 9)]),
    ));
    let foreign = Identity { set: SetId([8; 16]), ..identity() };
    let foreign = Steps::new().byte(5).byte(0).bytes(&foreign.encode());
    seeds.push(Seed::new("journal-foreign", foreign));
    seeds
}
