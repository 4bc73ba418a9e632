//! Parity that a group brings.

use super::*;

fn hand_parity(rig: &mut Rig, segment: u32, indexes: core::ops::Range<u32>) {
    for index in indexes {
        let symbol = rig.symbol(segment, index);
        rig.hand(&symbol);
    }
}

#[test]
fn any_symbols_make_a_segment_as_soon_as_there_are_enough() {
    let mut rig = Rig::listening();
    rig.send(3, &[0, 9, 63]);
    hand_parity(&mut rig, 3, 70..72);
    assert_eq!(rig.events(), []);
    hand_parity(&mut rig, 3, 72..74);
    assert_eq!(rig.segment(), 3);
    let stats = rig.groups.stats();
    assert_eq!((stats.computed, stats.rests, stats.forged), (3, 0, 0));
}

#[test]
fn parity_that_comes_before_its_leaves_waits_for_them() {
    let mut rig = Rig::listening();
    // Leaves 72 to 79 are in the second payload.
    let (first, second) = (rig.leaves(3, 0), rig.leaves(3, 1));
    rig.hand(&first);
    hand_parity(&mut rig, 3, 2..64);
    hand_parity(&mut rig, 3, 72..74);
    assert_eq!((rig.events(), rig.groups.stats().verified), (vec![], 62));
    rig.hand(&second);
    assert_eq!(rig.segment(), 3);
}

#[test]
fn forged_parity_is_never_decoded_and_the_true_one_takes_its_place() {
    let mut rig = Rig::listening();
    let forged = rig.seal(PacketType::Symbol, 3, 72, &[0xEE; SYMBOL]);
    rig.hand(&forged);
    rig.send(3, &[5]);
    assert_eq!((rig.events(), rig.groups.stats().forged), (vec![], 1));
    hand_parity(&mut rig, 3, 72..73);
    assert_eq!(rig.segment(), 3);
    let beyond = rig.seal(PacketType::Symbol, 4, 80, &[0; SYMBOL]);
    rig.hand(&beyond);
    assert_eq!(rig.groups.stats().unwanted, 1);
    assert!(!rig.groups.is_open(4), "a segment has 80 symbols");
}

#[test]
fn what_parity_does_not_replace_is_fetched_and_the_rest_computed() {
    let mut rig = Rig::listening();
    let lost = [0, 9, 10, 40, 63];
    rig.send(3, &lost);
    hand_parity(&mut rig, 3, 64..67);
    rig.pass(MS * 270);
    let symbol = SYMBOL as u32;
    assert_eq!(rig.rest(), (ObjectNumber(3), vec![(0, symbol), (9 * symbol, 10 * symbol)]));
    // What was fetched is there; the other three are as they came: not at all.
    let mut bytes = TITLE.stored[3].clone();
    for index in &lost[2..] {
        bytes[*index as usize * SYMBOL..][..SYMBOL].fill(0);
    }
    rig.groups.complete(4, &mut [0; 9]);
    rig.groups.complete(3, &mut bytes);
    assert!(bytes == TITLE.stored[3]);
    assert_eq!(rig.groups.stats().computed, 3);
    bytes[0] ^= 1;
    let altered = bytes.clone();
    rig.groups.complete(3, &mut bytes);
    assert!(bytes == altered, "only once");
}
