//! A title to several viewers, once to a group: what that costs, and that nobody is worse off by it, whatever is lost and
//! whatever a member does.
#![forbid(unsafe_code)]

use segcast_kit::endpoint::rig::MS;
use segcast_kit::groups::{Member, World};
use segcast_proto::time::Duration;

#[test]
fn eight_who_start_together_cost_little_more_than_one() {
    let sent = World::new(70, 0).play(8, MS * 100).expect("all in time").titles();
    assert!(sent < 1.2, "{sent} titles");
}

#[test]
fn eight_who_start_one_after_another_share_what_is_to_come() {
    let sent = World::new(71, 0).play(8, Duration::from_secs(5)).expect("all in time").titles();
    assert!(sent < 3.6, "{sent} titles");
}

#[test]
fn what_is_lost_on_the_way_is_repaired_in_time() {
    let sent = World::new(72, 20).play(8, MS * 100).expect("all in time").titles();
    assert!(sent < 1.8, "{sent} titles");
}

#[test]
fn who_hears_nothing_from_the_start_or_from_the_middle_on_misses_nothing() {
    for cut in [Duration::ZERO, Duration::from_secs(25)] {
        let mut world = World::new(73, 0);
        world.cut_at = Some(world.rig.now + cut);
        world.play(4, MS * 100).expect("all in time");
        assert!(world.viewers.iter().all(|viewer| viewer.groups.stats().deaf > 0));
    }
}

#[test]
fn whatever_one_member_does_the_others_have_all_in_time_and_cost_little_more() {
    let honest = World::new(74, 20).play(8, MS * 100).expect("all in time").titles();
    for first in [Member::Forging, Member::Deaf, Member::Bombing, Member::Lossy] {
        let played = World::with(74, 20, first).play(8, MS * 100);
        let played = played.unwrap_or_else(|wrong| panic!("{first:?}: {wrong}"));
        assert_eq!(played.forged > 0, first == Member::Forging);
        assert!(played.titles() < honest * 1.25, "{first:?}: {played:?}, {honest} without");
    }
}
