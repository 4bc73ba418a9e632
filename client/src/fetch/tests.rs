//! Whole fetches from edges inside the test: good ones, lying ones, damaged ones, dying ones.

use std::path::Path;

use segcast_proto::wire::code::Code;

use super::pipeline::{Numbering, Pipeline};
use super::schedule::Schedule;
use super::*;
use crate::testing::edge::{Edge, Faults, access, expired_access};
use crate::testing::{self, Packed, SEGMENT};

const LOOPBACK: &str = "127.0.0.1:0";

fn good(packed: &Packed) -> Edge {
    Edge::start(packed.clone(), Faults::default(), LOOPBACK)
}

fn fetch(edges: &[&Edge], output: &Path) -> Result<Report, FetchError> {
    let edges: Vec<_> = edges.iter().map(|edge| vec![edge.address()]).collect();
    let config = FetchConfig::default();
    let fetch = Fetch::start(&edges, access(), None, output.to_owned(), config)?;
    fetch.run(&mut |_| (), &AtomicBool::new(false))
}

/// A window of so many segments, and progress told at every turn: the fetch cannot outrun the test.
fn slow(window: u64) -> FetchConfig {
    let window_bytes = window * SEGMENT as u64;
    FetchConfig { window_bytes, progress_every: Duration::ZERO, ..FetchConfig::default() }
}

struct Place {
    _folder: tempfile::TempDir,
    output: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("film");
    Place { _folder: folder, output }
}

#[test]
fn titles_of_every_odd_length_arrive_as_they_were() {
    let segment = SEGMENT as u64;
    for length in [0, 1, segment, segment + 1, 40 * segment + 7] {
        let packed = testing::title(length, true);
        let (edge, place) = (good(&packed), place());
        let report = fetch(&[&edge], &place.output).unwrap();
        assert_eq!(std::fs::read(&place.output).unwrap(), packed.plain, "{length} bytes");
        assert_eq!(report.bytes, length);
        assert_eq!(report.segment_time.count, u64::from(report.segments));
    }
}

#[test]
fn ipv6_and_clear_sets_work_alike() {
    let packed = testing::title(3 * SEGMENT as u64, false);
    let place = place();
    let edge = Edge::start(packed.clone(), Faults::default(), "[::1]:0");
    fetch(&[&edge], &place.output).unwrap();
    assert_eq!(std::fs::read(&place.output).unwrap(), packed.plain);
}

#[test]
fn wrong_bytes_are_never_written_and_another_edge_has_the_right_ones() {
    let packed = testing::title(6 * SEGMENT as u64, true);
    let place = place();
    let faults = Faults { wrong: Some(3), ..Faults::default() };
    let (liar, honest) = (Edge::start(packed.clone(), faults, LOOPBACK), good(&packed));
    let refused = fetch(&[&liar], &place.output).unwrap_err();
    let FetchError::NoEdgeLeft { last, .. } = refused else { panic!("{refused}") };
    assert_eq!(last, Reason::WrongBytes);
    assert!(!place.output.exists());
    let part = std::fs::read(place.output.with_extension("part")).unwrap();
    assert!(part[3 * SEGMENT..4 * SEGMENT].iter().all(|byte| *byte == 0), "wrong bytes written");
    // The same output goes on from what was right.
    let report = fetch(&[&liar, &honest], &place.output).unwrap();
    assert!(report.resumed_segments > 0, "{report:?}");
    assert_eq!(std::fs::read(&place.output).unwrap(), packed.plain);
}

#[test]
fn an_edge_whose_every_segment_is_wrong_is_asked_for_few() {
    let packed = testing::title(300 * SEGMENT as u64, true);
    let place = place();
    let faults = Faults { all_wrong: true, ..Faults::default() };
    let (liar, honest) = (Edge::start(packed.clone(), faults, LOOPBACK), good(&packed));
    let config = slow(8);
    let edges = [vec![liar.address()], vec![honest.address()]];
    let fetch = Fetch::start(&edges, access(), None, place.output.clone(), config).unwrap();
    let report = fetch.run(&mut |_| (), &AtomicBool::new(false)).unwrap();
    assert_eq!(std::fs::read(&place.output).unwrap(), packed.plain);
    // Three that ban it, and what of the window was being checked then.
    assert!(report.edges[0].wrong <= 3 + 8, "{report:?}");
}

#[test]
fn a_damaged_segment_comes_from_another_edge() {
    let packed = testing::title(6 * SEGMENT as u64, true);
    let place = place();
    let faults = Faults { damaged: Some(2), ..Faults::default() };
    let (damaged, whole) = (Edge::start(packed.clone(), faults, LOOPBACK), good(&packed));
    let refused = fetch(&[&damaged], &place.output).unwrap_err();
    let FetchError::NoEdgeLeft { last, object } = refused else { panic!("{refused}") };
    assert_eq!((last, object.as_str()), (Reason::Code(Code::SegmentUnavailable), "segment 2"));
    fetch(&[&damaged, &whole], &place.output).unwrap();
    assert_eq!(std::fs::read(&place.output).unwrap(), packed.plain);
}

#[test]
fn an_edge_without_the_set_is_left_alone() {
    let packed = testing::title(6 * SEGMENT as u64, true);
    let place = place();
    let empty = Edge::start(packed.clone(), Faults { empty: true, ..Faults::default() }, LOOPBACK);
    let refused = fetch(&[&empty], &place.output).unwrap_err();
    assert!(refused.to_string().contains("UNKNOWN_SET"), "{refused}");
    let whole = good(&packed);
    fetch(&[&empty, &whole], &place.output).unwrap();
    assert_eq!(std::fs::read(&place.output).unwrap(), packed.plain);
}

#[test]
fn an_edge_that_crashes_and_comes_back_costs_only_time() {
    let packed = testing::title(300 * SEGMENT as u64, true);
    let place = place();
    let edge = good(&packed);
    let target = edge.address();
    let config = slow(4);
    let fetch =
        Fetch::start(&[vec![target]], access(), None, place.output.clone(), config).unwrap();
    let mut running = Some(edge);
    let mut restarts = 0;
    let mut progress = |at: &Progress| {
        if at.bytes > 0 && at.bytes < at.total && restarts == 0 {
            running = None;
            running =
                Some(Edge::start(packed.clone(), Faults::default(), &target.address.to_string()));
            restarts += 1;
        }
    };
    let report = fetch.run(&mut progress, &AtomicBool::new(false)).unwrap();
    assert_eq!(restarts, 1, "the title was too short for the test");
    assert!(report.edges[0].handshakes > 1, "{report:?}");
    assert_eq!(std::fs::read(&place.output).unwrap(), packed.plain);
}

#[test]
fn a_stopped_fetch_goes_on_from_what_it_had() {
    let packed = testing::title(200 * SEGMENT as u64, true);
    let (edge, place) = (good(&packed), place());
    let config = slow(2);
    let stop = AtomicBool::new(false);
    let begun = Fetch::start(&[vec![edge.address()]], access(), None, place.output.clone(), config);
    let stopped = begun.unwrap().run(
        &mut |at| {
            if at.bytes > 0 {
                stop.store(true, Ordering::Relaxed);
            }
        },
        &stop,
    );
    let Err(FetchError::Stopped { have, segments: 200 }) = stopped else { panic!("{stopped:?}") };
    assert!(have > 0 && have < 200, "{have}");
    let report = fetch(&[&edge], &place.output).unwrap();
    assert!(report.resumed_segments >= have, "{report:?}");
    assert_eq!(report.edges[0].segments + report.resumed_segments, 200);
    assert_eq!(std::fs::read(&place.output).unwrap(), packed.plain);
}

#[test]
fn damage_to_the_part_file_is_found_and_fetched_again() {
    use std::os::unix::fs::FileExt;
    let packed = testing::title(6 * SEGMENT as u64, true);
    let place = place();
    let faults = Faults { damaged: Some(5), ..Faults::default() };
    let damaged = Edge::start(packed.clone(), faults, LOOPBACK);
    fetch(&[&damaged], &place.output).unwrap_err();
    let part = std::fs::File::options().write(true).open(place.output.with_extension("part"));
    part.unwrap().write_all_at(b"scribble", 10).unwrap();
    fetch(&[&good(&packed)], &place.output).unwrap();
    assert_eq!(std::fs::read(&place.output).unwrap(), packed.plain);
}

#[test]
fn silence_ends_the_fetch_when_patience_does() {
    let packed = testing::title(SEGMENT as u64, true);
    let edge = good(&packed);
    let mut nobody = edge.address();
    drop(edge);
    nobody.public_key[0] ^= 1;
    let place = place();
    let config = FetchConfig { patience: Duration::from_millis(300), ..FetchConfig::default() };
    let fetch =
        Fetch::start(&[vec![nobody]], access(), None, place.output.clone(), config).unwrap();
    let silent = fetch.run(&mut |_| (), &AtomicBool::new(false)).unwrap_err();
    assert!(matches!(silent, FetchError::NoProgress { .. }), "{silent}");
    assert!(silent.to_string().contains("does not answer"), "{silent}");
}

/// As of a name with `::1` first, and an edge that listens on 127.0.0.1.
#[test]
fn all_addresses_of_a_name_are_tried_and_one_session_is_enough() {
    let packed = testing::title(40 * SEGMENT as u64, true);
    let place = place();
    let edge = good(&packed);
    let at = |address: &str| EdgeAddress { address: address.parse().unwrap(), ..edge.address() };
    // Nobody answers at the first, and what answers at the third is the edge again.
    let addresses = vec![at("[::1]:9"), edge.address(), edge.address()];
    let config = slow(4);
    let fetch = Fetch::start(&[addresses], access(), None, place.output.clone(), config).unwrap();
    let mut open = 0;
    let report = fetch.run(&mut |at| open = open.max(at.edges_open), &AtomicBool::new(false));
    let report = report.unwrap();
    assert_eq!((open, report.edges.len()), (1, 1), "{report:?}");
    assert_eq!(report.edges[0].address, edge.address().address);
    assert_eq!(std::fs::read(&place.output).unwrap(), packed.plain);
}

/// An edge's verdict on a set, and damage in its store, are the same at another address of its name: also where nobody
/// listens there, so that waiting for it would be in vain.
#[test]
fn what_an_edge_cannot_deliver_is_not_waited_for_at_its_other_addresses() {
    let packed = testing::title(6 * SEGMENT as u64, true);
    let refusal = |faults: Faults| {
        let (place, edge) = (place(), Edge::start(packed.clone(), faults, LOOPBACK));
        let nobody = EdgeAddress { address: "[::1]:9".parse().unwrap(), ..edge.address() };
        let config = FetchConfig { patience: Duration::from_secs(5), ..FetchConfig::default() };
        let addresses = [vec![edge.address(), nobody]];
        let fetch = Fetch::start(&addresses, access(), None, place.output.clone(), config).unwrap();
        match fetch.run(&mut |_| (), &AtomicBool::new(false)).unwrap_err() {
            FetchError::NoEdgeLeft { last, .. } => last,
            other => panic!("{other}"),
        }
    };
    let empty = Faults { empty: true, ..Faults::default() };
    assert_eq!(refusal(empty), Reason::Code(Code::UnknownSet));
    let wrong = Faults { wrong: Some(3), ..Faults::default() };
    assert_eq!(refusal(wrong), Reason::WrongBytes);
    let damaged = Faults { damaged: Some(3), ..Faults::default() };
    assert_eq!(refusal(damaged), Reason::Code(Code::SegmentUnavailable));
}

#[test]
fn an_edge_that_refuses_the_token_is_given_up_at_all_its_addresses() {
    let packed = testing::title(SEGMENT as u64, true);
    let (place, edge) = (place(), good(&packed));
    let nobody = EdgeAddress { address: "[::1]:9".parse().unwrap(), ..edge.address() };
    let config = FetchConfig { patience: Duration::from_secs(5), ..FetchConfig::default() };
    let edges = [vec![edge.address(), nobody]];
    let begun = Fetch::start(&edges, expired_access(), None, place.output.clone(), config).unwrap();
    let refused = begun.run(&mut |_| (), &AtomicBool::new(false)).unwrap_err();
    let FetchError::Refused(who) = refused else { panic!("{refused}") };
    assert_eq!(who, [(edge.address().address, Reason::Code(Code::TokenExpired))]);
}

/// Each part of a fetch has a schedule of its own.
#[test]
fn an_edge_that_was_given_up_is_not_waited_for_in_the_next_part() {
    let gone = good(&testing::title(0, true)).address();
    let connections = Connections::open(&[gone, gone], access(), ConnectionConfig::default());
    let mut edges = Edges::new(connections.unwrap(), [1, 1], Duration::from_secs(1));
    edges.give_up(0, Reason::WrongBytes);
    let schedule = Schedule::new(1, SEGMENT as u32, &edges.firsts(), 1 << 20);
    let numbering = Numbering::Segments { bytes: SEGMENT as u32 };
    let mut pipeline = Pipeline::new(schedule, numbering, SetHandle(0), &mut edges);
    assert!(!pipeline.schedule.refused(0, 1), "only edge 0 is left, and it was given up");
}

#[test]
fn what_the_kernel_says_of_a_silent_edge_is_told() {
    let packed = testing::title(SEGMENT as u64, true);
    let gone = good(&packed).address();
    let place = place();
    let config = FetchConfig { patience: Duration::from_millis(300), ..FetchConfig::default() };
    let edges = [vec![gone]];
    let fetch = Fetch::start(&edges, access(), None, place.output.clone(), config).unwrap();
    let silent = fetch.run(&mut |_| (), &AtomicBool::new(false)).unwrap_err().to_string();
    assert!(silent.contains("refused") && silent.contains("is the port right?"), "{silent}");
}

#[test]
fn two_edges_share_the_work_and_one_that_dies_is_replaced() {
    let packed = testing::title(300 * SEGMENT as u64, true);
    let place = place();
    let (one, two) = (good(&packed), good(&packed));
    let mut dying = Some(one);
    let edges = [vec![dying.as_ref().unwrap().address()], vec![two.address()]];
    let config = slow(8);
    let fetch = Fetch::start(&edges, access(), None, place.output.clone(), config).unwrap();
    let mut progress = |at: &Progress| {
        if at.bytes > 0 {
            dying = None;
        }
    };
    let report = fetch.run(&mut progress, &AtomicBool::new(false)).unwrap();
    assert!(two.sent() > 0);
    assert_eq!(std::fs::read(&place.output).unwrap(), packed.plain);
    assert_eq!(report.edges.iter().map(|edge| edge.segments).sum::<u32>(), 300);
}
