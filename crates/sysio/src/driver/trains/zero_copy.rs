//! Copy or zero copy, for each train: by what the kernel's notifications reported about its route.
//!
//! A send without copying pays only where the device takes pages. Loopback, veth, packet sockets
//! and devices without checksum offload copy all the same, later and from a colder cache
//! (Documentation/networking/msg_zerocopy.rst), and say so in the notification.

use std::net::IpAddr;

/// When trains are sent without copying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZeroCopy {
    /// Where the kernel then does not copy.
    #[default]
    Auto,
    /// Wherever it is possible at all.
    Always,
    /// Nowhere.
    Never,
}

/// Shorter trains are copied: a notification costs as much as copying some KiB (`benches/sends.rs`).
pub(crate) const SHORTEST: usize = 16_384;

/// Notifications of a route that are judged together.
const WINDOW: u8 = 8;
/// Trains that are copied after a window of which half was copied, and the most after several
/// such windows: then 8 of 16 384 trains look again whether the route has changed.
const PAUSE: u32 = 512;
const LONGEST_PAUSE: u32 = 16_384;

/// Kinds of peers, which are likely to be reached through different devices.
const CLASSES: usize = 3;

/// What is known of a route.
#[derive(Debug, Clone, Copy)]
struct Route {
    /// Trains that are still to be copied before zero copy is tried again.
    pause: u32,
    next_pause: u32,
    seen: u8,
    copied: u8,
}

const FRESH: Route = Route { pause: 0, next_pause: PAUSE, seen: 0, copied: 0 };

/// The choice. A route is a local address and a kind of peer: [`CLASSES`] for each socket.
#[derive(Debug)]
pub(crate) struct Choice {
    when: ZeroCopy,
    local: Box<[IpAddr]>,
    routes: Box<[Route]>,
}

impl Choice {
    /// For sockets bound to `local`, in their order.
    pub(crate) fn new(when: ZeroCopy, local: Box<[IpAddr]>) -> Choice {
        let routes = vec![FRESH; local.len() * CLASSES].into();
        Choice { when, local, routes }
    }

    /// Of a driver that always copies.
    pub(crate) fn never() -> Choice {
        Choice::new(ZeroCopy::Never, Box::default())
    }

    /// Whether the next train of `len` bytes from `socket` to `to` is to be sent without copying.
    pub(crate) fn wants(&mut self, socket: u16, to: IpAddr, len: usize) -> bool {
        if self.when != ZeroCopy::Auto || len < SHORTEST {
            return self.when == ZeroCopy::Always;
        }
        let route = self.route(socket, to);
        if route.pause == 0 {
            return true;
        }
        route.pause -= 1;
        false
    }

    /// Learns that a train was copied all the same, or was not.
    pub(crate) fn learn(&mut self, socket: u16, to: IpAddr, copied: bool) {
        if self.when != ZeroCopy::Auto {
            return;
        }
        let route = self.route(socket, to);
        // During a pause late notifications of the trains before it come in.
        if route.pause > 0 {
            return;
        }
        route.seen += 1;
        route.copied += u8::from(copied);
        if route.seen < WINDOW {
            return;
        }
        let mostly = 2 * route.copied >= WINDOW;
        *route = Route {
            pause: if mostly { route.next_pause } else { 0 },
            next_pause: if mostly { (4 * route.next_pause).min(LONGEST_PAUSE) } else { PAUSE },
            ..FRESH
        };
    }

    fn route(&mut self, socket: u16, to: IpAddr) -> &mut Route {
        let class = class(to, self.local[usize::from(socket)]);
        &mut self.routes[usize::from(socket) * CLASSES + class]
    }
}

/// 0: this machine. 1: private and link-local addresses, where containers of this machine are
/// reached through veth or a bridge. 2: all others.
fn class(to: IpAddr, local: IpAddr) -> usize {
    let near = match to {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    match (to.is_loopback() || to == local, near) {
        (true, _) => 0,
        (false, true) => 1,
        (false, false) => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: &str = "192.0.2.7";
    const FULL: usize = 64_000;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn choice(when: ZeroCopy) -> Choice {
        Choice::new(when, ["192.0.2.1", "2001:db8::1"].map(ip).into())
    }

    /// Trains that are copied before zero copy is wanted again, and the notifications of those that
    /// then are not, all `copied`.
    fn window(choice: &mut Choice, copied: bool) -> u32 {
        let mut paused = 0;
        while !choice.wants(0, ip(FAR), FULL) {
            paused += 1;
        }
        for _ in 0..WINDOW {
            assert!(choice.wants(0, ip(FAR), FULL));
            choice.learn(0, ip(FAR), copied);
        }
        paused
    }

    #[test]
    fn a_route_that_copies_is_left_alone_for_longer_and_longer() {
        let mut choice = choice(ZeroCopy::Auto);
        let pauses: Vec<u32> = (0..6).map(|_| window(&mut choice, true)).collect();
        assert_eq!(pauses, [0, 512, 2048, 8192, 16_384, 16_384]);
        // Others are not concerned.
        assert!(choice.wants(0, ip("10.0.0.1"), FULL) && choice.wants(0, ip("127.0.0.1"), FULL));
        assert!(choice.wants(1, ip("2001:db8::7"), FULL));
        // Once it takes pages, it is used, and a later change is met with the shortest pause.
        assert_eq!(window(&mut choice, false), 16_384);
        assert_eq!(window(&mut choice, false), 0);
        assert_eq!(window(&mut choice, true), 0);
        assert_eq!(window(&mut choice, true), 512);
    }

    #[test]
    fn a_few_copies_and_late_notifications_change_nothing() {
        let mut choice = choice(ZeroCopy::Auto);
        for number in 0..10_000 {
            assert!(choice.wants(0, ip(FAR), FULL));
            // A packet socket that takes a sample of the trains.
            choice.learn(0, ip(FAR), number % 3 == 0);
        }
        window(&mut choice, true);
        for _ in 0..100 {
            choice.learn(0, ip(FAR), false);
        }
        assert_eq!(window(&mut choice, true), 512);
    }

    #[test]
    fn the_switch_forces_either() {
        let (mut always, mut never) = (choice(ZeroCopy::Always), choice(ZeroCopy::Never));
        for _ in 0..100 {
            always.learn(0, ip(FAR), true);
            never.learn(0, ip(FAR), false);
            assert!(always.wants(0, ip(FAR), FULL) && always.wants(0, ip(FAR), 2));
            assert!(!never.wants(0, ip(FAR), FULL));
        }
        assert!(!choice(ZeroCopy::Auto).wants(0, ip(FAR), SHORTEST - 1));
        assert!(!Choice::never().wants(0, ip(FAR), FULL));
    }

    #[test]
    fn peers_are_told_apart_by_where_they_are() {
        let local = ip("192.0.2.1");
        for (peer, expected) in [
            ("127.9.9.9", 0),
            ("192.0.2.1", 0),
            ("::1", 0),
            ("10.1.2.3", 1),
            ("192.168.0.9", 1),
            ("169.254.0.9", 1),
            ("fd00::9", 1),
            ("fe80::9", 1),
            ("192.0.2.2", 2),
            ("2001:db8::9", 2),
        ] {
            assert_eq!(class(ip(peer), local), expected, "{peer}");
        }
    }
}
