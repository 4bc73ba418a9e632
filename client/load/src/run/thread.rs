//! One thread of the generator: sockets, viewers, and the loop that drives them.
//!
//! Sessions of one socket are told apart by the receiver index that each datagram begins with. What a turn costs depends
//! on the viewers that have something to do, not on how many there are.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use segcast_client::connection::{self, now, socket_towards};
use segcast_proto::time::{Duration, Instant};
use segcast_proto::wire::ClearHeader;
use segcast_sysio::driver::{Driver, DriverConfig, Outgoing, ZeroCopy};
use segcast_sysio::probe::IoKind;
use segcast_sysio::udp::UdpSocket;

use super::fan::{Fan, Wish};
use super::setting::Setting;
use super::tally::{End, Tally};
use super::timers::{Armed, Timers};
use super::viewer::Viewer;
use super::{RunConfig, RunError, Share, Subject};
use crate::plan::Plan;
use crate::record::{Unoffered, Wire};

/// Receive 64 × 64 KiB as a client does; send small datagrams of many sessions in one turn.
const DRIVER: DriverConfig = DriverConfig {
    receive_buffers: 64,
    receive_buffer_bytes: 65_536,
    send_buffers: 256,
    send_buffer_bytes: 4096,
    gso: true,
    zero_copy: ZeroCopy::Never,
};
/// The stop flag is looked at this often.
const TURN: Duration = Duration::from_millis(20);
/// Viewers that come in one turn: a handshake's keys cost some 0.2 ms, and others wait.
const ARRIVALS_PER_TURN: usize = 8;
/// Viewers whose time has come that are looked at in one turn.
const TIMERS_PER_TURN: usize = 1024;
/// Bits of a receiver index that are the viewer's place; the others count its tenants.
const SLOT_BITS: u32 = 20;
const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;
/// After a stop, what is under way has this long to come.
const STOPPING: Duration = Duration::from_secs(1);

/// The part of a driver's counts that goes into the records.
#[derive(Default)]
struct Counted {
    overflow: u64,
    stray: u64,
}

/// One thread.
pub(super) struct Thread<'a> {
    driver: Driver,
    /// Those of sessions; the one after them is for groups, if viewers hear any.
    sockets: u32,
    fan: Option<Fan>,
    /// Where each viewer opens what came to a group.
    scratch: Vec<u8>,
    setting: Setting<'a>,
    share: &'a Share,
    tally: Tally,
    viewers: Vec<Option<Viewer>>,
    /// Tenants of each place so far.
    tenants: Vec<u32>,
    free: Vec<u32>,
    here: usize,
    touched: VecDeque<u32>,
    timers: Timers,
    /// The next of the share's viewings and requests.
    viewing: usize,
    request: usize,
    /// Where the viewer of a seat is; only where requests go to seats.
    places: Vec<u32>,
    counted: Counted,
    stray: u64,
    stopping: Option<Instant>,
}

/// Sockets and driver of a thread; made before the run begins.
pub(super) fn driver(
    subject: &Subject<'_>,
    config: &RunConfig,
    kind: IoKind,
    sessions: u32,
) -> Result<Driver, RunError> {
    let sockets = sessions.div_ceil(config.sessions_per_socket).max(1);
    let sockets = (0..sockets).map(|_| socket_towards(subject.edge.address, config.gro));
    let mut sockets = sockets.collect::<Result<Vec<_>, _>>()?;
    sockets.extend(Fan::socket(config, subject)?);
    Ok(connection::driver(config.io, kind, sockets, DRIVER)?)
}

impl<'a> Thread<'a> {
    pub(super) fn new(
        driver: Driver,
        setting: Setting<'a>,
        share: &'a Share,
        tally: Tally,
    ) -> Result<Self, RunError> {
        let hears = usize::from(setting.config.multicast.is_some());
        let sockets = driver.sockets().len() - hears;
        Ok(Self {
            sockets: sockets as u32,
            fan: Fan::new(setting.config, sockets)?,
            scratch: Vec::new(),
            driver,
            places: vec![
                u32::MAX;
                if share.requests.is_empty() { 0 } else { share.seats as usize }
            ],
            setting,
            share,
            tally,
            viewers: Vec::new(),
            tenants: Vec::new(),
            free: Vec::new(),
            here: 0,
            touched: VecDeque::new(),
            timers: Timers::default(),
            viewing: 0,
            request: 0,
            counted: Counted::default(),
            stray: 0,
            stopping: None,
        })
    }

    /// Runs until all viewers have come and gone, or `stop`.
    pub(super) fn run(mut self, stop: &AtomicBool) -> Result<(), RunError> {
        let mut begun = now();
        loop {
            let at = now();
            self.note_phase(at);
            if stop.load(Ordering::Relaxed) && self.stopping.is_none() {
                self.stop(at);
            }
            let more = self.arrive(at)?;
            let more = self.on_time(begun, at) || more;
            let all_sent = self.work(at);
            if at >= self.tally.next() {
                self.hand_over(at);
            }
            if self.stopping.is_some_and(|until| until <= at) {
                self.abandon(at);
            }
            if self.is_over() && all_sent {
                break;
            }
            begun = now();
            let wait = if more || !all_sent { Duration::ZERO } else { self.wait(begun) };
            self.turn(wait)?;
        }
        // What was queued last goes out: goodbyes.
        self.turn(Duration::ZERO)?;
        self.count_wire();
        self.tally.finish(now());
        Ok(())
    }

    /// What came before a phase began belongs to the one before it.
    fn note_phase(&mut self, at: Instant) {
        let phase = self.setting.phase_at(at);
        if self.tally.is_before(phase) {
            self.account(at);
            self.tally.begin_phase(at, phase);
        }
    }

    fn is_over(&self) -> bool {
        let planned =
            self.viewing < self.share.viewings.len() || self.request < self.share.requests.len();
        self.here == 0 && (!planned || self.stopping.is_some())
    }

    fn wait(&self, at: Instant) -> Duration {
        let viewing = self.share.viewings.get(self.viewing).map(|v| self.setting.begin + v.at);
        let request = self.share.requests.get(self.request).map(|r| self.setting.begin + r.at);
        let planned = [viewing, request].into_iter().flatten().min();
        let planned = planned.filter(|_| self.stopping.is_none()).unwrap_or(Instant::FAR_FUTURE);
        let next = self.timers.next().min(self.tally.next()).min(planned);
        next.saturating_since(at).min(TURN)
    }

    /// Viewers and requests whose time has come; true when there are more.
    fn arrive(&mut self, at: Instant) -> Result<bool, RunError> {
        if self.stopping.is_some() {
            return Ok(false);
        }
        for _ in 0..ARRIVALS_PER_TURN {
            let Some(viewing) = self.share.viewings.get(self.viewing) else { break };
            if self.setting.begin + viewing.at > at {
                break;
            }
            self.viewing += 1;
            self.seat(*viewing, at)?;
        }
        while let Some(request) = self.share.requests.get(self.request) {
            let intended = self.setting.begin + request.at;
            if intended > at {
                break;
            }
            self.request += 1;
            let place = self.places[request.seat as usize];
            let wanted = (request.title, request.segment);
            if let Some(Some(viewer)) = self.viewers.get_mut(place as usize) {
                viewer.request(&self.setting, wanted, intended, &mut self.tally);
                touch(viewer, place, &mut self.touched);
            } else {
                // Its session should have begun long ago.
                let phase = self.setting.phase_at(intended);
                self.tally.intended(phase);
                self.tally.ended(phase, End::NeverOffered(Unoffered::GeneratorLate));
            }
        }
        let next = self.share.viewings.get(self.viewing);
        Ok(next.is_some_and(|viewing| self.setting.begin + viewing.at <= at))
    }

    /// A viewer comes.
    fn seat(&mut self, viewing: crate::plan::Viewing, at: Instant) -> Result<(), RunError> {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.viewers.push(None);
            self.tenants.push(0);
            self.viewers.len() as u32 - 1
        });
        let tenant = &mut self.tenants[slot as usize];
        *tenant = tenant.wrapping_add(1);
        let index = index_of(slot, *tenant);
        let session = self.setting.session(viewing.seat, index)?;
        if let Some(place) = self.places.get_mut(viewing.seat as usize) {
            *place = slot;
        }
        let mut viewer = Viewer::new(&self.setting, viewing, (session, index), at, &mut self.tally);
        touch(&mut viewer, slot, &mut self.touched);
        self.viewers[slot as usize] = Some(viewer);
        self.here += 1;
        Ok(())
    }

    /// Viewers of whom something is due; true when there are more.
    fn on_time(&mut self, begun: Instant, at: Instant) -> bool {
        for _ in 0..TIMERS_PER_TURN {
            let viewers = &self.viewers;
            let armed = |slot: u32| Some(viewers.get(slot as usize)?.as_ref()?.armed);
            let due = self.timers.pop(at, armed);
            let Some(slot) = due else { return false };
            if let Some(viewer) = self.viewers.get_mut(slot as usize).and_then(Option::as_mut) {
                viewer.armed = Armed::default();
                viewer.on_time(&self.setting, (begun, at), &mut self.tally);
                touch(viewer, slot, &mut self.touched);
            }
        }
        true
    }

    /// Lets touched viewers work and send; false when buffers ran out.
    fn work(&mut self, at: Instant) -> bool {
        while let Some(&slot) = self.touched.front() {
            let Some(viewer) = &mut self.viewers[slot as usize] else {
                self.touched.pop_front();
                continue;
            };
            viewer.work(&self.setting, at, &mut self.tally);
            grant(viewer, self.fan.as_mut(), self.driver.sockets(), at);
            viewer.tell(&mut self.tally);
            let socket = (slot % self.sockets) as u16;
            loop {
                let Some(mut buffer) = self.driver.send_buffer() else { return false };
                let Some(len) = viewer.session.poll_transmit(at, &mut buffer) else { break };
                let to = self.setting.subject.edge.address;
                self.driver.send(Outgoing::datagram(buffer, len, socket, to));
            }
            viewer.touched = false;
            self.touched.pop_front();
            if viewer.has_left() {
                self.tally.wire(viewer.wire());
                self.viewers[slot as usize] = None;
                self.free.push(slot);
                self.here -= 1;
            } else {
                let due = viewer.due();
                self.timers.arm(&mut viewer.armed, slot, due);
            }
        }
        true
    }

    /// Sends what is queued, waits, takes in what comes.
    fn turn(&mut self, wait: Duration) -> Result<(), RunError> {
        let (viewers, touched, stray) = (&mut self.viewers, &mut self.touched, &mut self.stray);
        let (tenants, tally) = (&self.tenants, &mut self.tally);
        let (fan, scratch, setting) = (&mut self.fan, &mut self.scratch, &self.setting);
        let edge = self.setting.subject.edge.address;
        self.driver.turn(Some(wait), &mut |received| {
            if let Some(fan) = fan.as_mut().filter(|fan| fan.socket == received.socket) {
                fan.came(received.bytes.len());
                let at = now();
                for (slot, viewer) in (0..).zip(viewers.iter_mut()) {
                    let viewer = viewer.as_mut();
                    if let Some(viewer) = viewer
                        && viewer.hear(setting, at, received.bytes, scratch)
                    {
                        touch(viewer, slot, touched);
                    }
                }
                return;
            }
            let known = ClearHeader::decode(received.bytes).ok().filter(|_| received.from == edge);
            let index = known.map_or(u32::MAX, |header| header.receiver.0);
            let slot = index & SLOT_MASK;
            match viewers.get_mut(slot as usize) {
                Some(Some(viewer)) => {
                    viewer.session.handle_datagram(now(), received.ecn, received.bytes);
                    viewer.tell(tally);
                    touch(viewer, slot, touched);
                }
                // What was under way to a viewer who has just left.
                Some(None) if index == index_of(slot, tenants[slot as usize]) => {}
                _ => *stray += 1,
            }
        })?;
        while let Some(failure) = self.driver.take_failure() {
            // A lost request is repeated by its timer; the reason may help to find why nothing comes.
            tracing::debug!(?failure, "a datagram was not sent");
        }
        Ok(())
    }

    /// The second is over.
    fn hand_over(&mut self, at: Instant) {
        self.account(at);
        let open = self.viewers.iter().flatten().filter(|viewer| viewer.is_open()).count();
        self.tally.hand_over(at, open as u64);
    }

    /// What was played and what came until now.
    fn account(&mut self, at: Instant) {
        for viewer in self.viewers.iter_mut().flatten() {
            viewer.play(at, &mut self.tally);
        }
        self.count_wire();
    }

    fn count_wire(&mut self) {
        for viewer in self.viewers.iter_mut().flatten() {
            self.tally.wire(viewer.wire());
        }
        if let Some(fan) = &mut self.fan {
            self.tally.wire(fan.take_wire());
        }
        let overflow = self.driver.stats().receive_overflow;
        self.tally.wire(Wire {
            overflow_datagrams: overflow - self.counted.overflow,
            stray_datagrams: self.stray - self.counted.stray,
            ..Wire::default()
        });
        self.counted = Counted { overflow, stray: self.stray };
    }

    fn stop(&mut self, at: Instant) {
        self.stopping = Some(at + STOPPING.min(self.setting.plan.workload.timeout));
        self.each(|viewer, tally| viewer.stop(at, tally));
    }

    fn abandon(&mut self, at: Instant) {
        self.each(|viewer, tally| viewer.abandon(at, tally));
    }

    fn each(&mut self, act: impl Fn(&mut Viewer, &mut Tally)) {
        for (slot, viewer) in (0..).zip(&mut self.viewers) {
            if let Some(viewer) = viewer {
                act(viewer, &mut self.tally);
                touch(viewer, slot, &mut self.touched);
            }
        }
    }
}

/// Joins and leaves what a viewer wishes.
fn grant(viewer: &mut Viewer, fan: Option<&mut Fan>, sockets: &[UdpSocket], at: Instant) {
    let Some(fan) = fan else { return };
    while let Some(wish) = viewer.take_wish() {
        let Err(error) = fan.wish(wish, sockets) else { continue };
        match wish {
            Wish::Join(route) => {
                tracing::warn!(group = %route.group, %error, "not joined: all comes by unicast");
                viewer.join_failed(at, route);
            }
            Wish::Leave(route) => tracing::debug!(group = %route.group, %error, "not left"),
        }
    }
}

/// The receiver index of the viewer in `slot`, the `tenant`th one there.
fn index_of(slot: u32, tenant: u32) -> u32 {
    slot & SLOT_MASK | tenant << SLOT_BITS
}

fn touch(viewer: &mut Viewer, slot: u32, touched: &mut VecDeque<u32>) {
    if !std::mem::replace(&mut viewer.touched, true) {
        touched.push_back(slot);
    }
}

/// The share of each thread: seats in turn.
pub(super) fn shares(plan: &Plan, threads: usize) -> Vec<Share> {
    let seats = plan.workload.sessions_max();
    let mut shares = vec![Share { seats, ..Share::default() }; threads];
    for viewing in &plan.viewings {
        shares[viewing.seat as usize % threads].viewings.push(*viewing);
    }
    for request in &plan.requests {
        shares[request.seat as usize % threads].requests.push(*request);
    }
    shares
}
