//! What a run came to: the price of each kind of junk, its books, and handshakes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::Args;
use super::attacker::Sent;
use super::junk::Kind;
use super::ledger::Fates;
use super::newcomers::Tally;
use super::place::Link;
use super::stage::Piece;
use crate::measure::{Band, Repeats, Table, digits};

/// Share of the rate from which on it counts as reached.
const REACHED: f64 = 0.98;

/// Who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Who {
    /// Clients that the edge never saw.
    New,
    /// Clients that had a session before: the edge knows their tokens.
    Again,
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Self::New => "new clients",
            Self::Again => "the same once more",
        }
    }
}

/// Repeats so far.
#[derive(Debug, Default)]
pub(super) struct Collected {
    kinds: BTreeMap<Kind, OfKind>,
    handshakes: BTreeMap<(Who, Option<Kind>), OfHandshakes>,
    realtime: bool,
}

#[derive(Debug, Default)]
struct OfKind {
    rate: Repeats,
    quiet: Repeats,
    ratio: Repeats,
    cpu_ns: Repeats,
    busy_ns: Repeats,
    busy: Repeats,
    generator: Repeats,
    fates: Fates,
}

#[derive(Debug, Default)]
struct OfHandshakes {
    begun: Repeats,
    opened: Repeats,
    share: Repeats,
    per_cpu_s: Repeats,
    hellos: Repeats,
}

impl Collected {
    /// One round of one kind.
    pub(super) fn junk(
        &mut self,
        kind: Kind,
        quiet: Piece,
        junk: Piece,
        sent: Sent,
        fates: &Fates,
    ) {
        self.realtime |= sent.realtime;
        let of = self.kinds.entry(kind).or_default();
        let ratio = junk.goodput() / quiet.goodput();
        let arrived_per_s = fates.arrived as f64 / sent.seconds;
        // What the transfer itself costs is taken off by the bytes that came: it is less where goodput fell.
        let price = |cpu: fn(&Piece) -> f64| {
            let a_second = |piece: &Piece| cpu(piece) / piece.server.elapsed_s;
            1e9 * (a_second(&junk) - a_second(&quiet) * ratio) / arrived_per_s
        };
        of.rate.push(sent.datagrams as f64 / sent.seconds);
        of.quiet.push(quiet.goodput());
        of.ratio.push(ratio);
        if fates.arrived > 0 {
            of.cpu_ns.push(price(|piece| piece.server.seconds()));
            of.busy_ns.push(price(|piece| piece.server.core_busy_s));
        }
        of.busy.push(junk.server.core_busy_s / junk.server.elapsed_s);
        of.generator.push(junk.generator_busy);
        of.fates.add(fates);
    }

    /// One round of new clients.
    pub(super) fn handshakes(
        &mut self,
        who: (Who, Option<Kind>),
        rate: f64,
        piece: Piece,
        tally: Tally,
    ) {
        let of = self.handshakes.entry(who).or_default();
        let (begun, opened) = (tally.begun as f64, tally.opened as f64);
        // Open loop: they began within this time.
        let seconds = begun / rate;
        of.begun.push(begun / seconds);
        of.opened.push(opened / seconds);
        of.share.push(opened / begun);
        of.per_cpu_s.push(opened / piece.server.seconds());
        of.hellos.push(tally.hellos as f64 / begun);
    }
}

/// Everything that `hostile --json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Where.
    link: Link,
    /// Seconds of each piece, and rounds.
    seconds: f64,
    repeats: u16,
    /// Of everything random.
    seed: u64,
    /// Goodput of the transfer without a cap and without junk, bytes a second.
    full_bytes_per_s: f64,
    /// Share of it that the transfer was capped at.
    share: f64,
    sessions: u16,
    /// Junk datagrams a second that were asked for.
    rate: f64,
    /// Whether the attacker ran before everything else on its core.
    attacker_realtime: bool,
    /// One for each kind of junk.
    kinds: Vec<KindReport>,
    /// Without a flood and beside some.
    handshakes: Vec<HandshakeReport>,
}

/// One kind of junk. Figures are medians of the rounds, with their bands.
#[derive(Debug, Serialize)]
struct KindReport {
    /// Which.
    kind: Kind,
    /// Junk datagrams a second that the attacker reached.
    rate_reached: Band,
    /// Whether that is what was asked for.
    reached: bool,
    /// Goodput without junk, bytes a second.
    quiet_bytes_per_s: Band,
    /// Goodput beside junk by goodput without.
    goodput_ratio: Band,
    /// CPU time of the edge and its core's ksoftirqd for each junk datagram that arrived, ns.
    cpu_ns: Band,
    /// The same by the time that the core was busy: with what interrupts took while the edge slept.
    core_busy_ns: Band,
    /// Share of the time that the edge's core was busy beside junk, and the generator's.
    core_busy: Band,
    generator_busy: Band,
    /// Where the datagrams of all rounds went.
    fates: Fates,
}

/// New clients, without a flood or beside one.
#[derive(Debug, Serialize)]
struct HandshakeReport {
    /// Who came.
    who: Who,
    /// Beside which flood.
    flood: Option<Kind>,
    /// Clients a second that began.
    begun_per_s: Band,
    /// Those whose session opened.
    opened_per_s: Band,
    /// Opened by begun.
    share_opened: Band,
    /// Sessions opened and closed for each CPU-second of the edge, all that it did meanwhile included.
    per_cpu_s: Band,
    /// HELLOs that a client sent.
    hellos_each: Band,
}

impl Report {
    /// The medians.
    pub(super) fn new(args: &Args, link: Link, full: f64, collected: &Collected) -> Self {
        let kinds = collected.kinds.iter().map(|(&kind, of)| {
            let rate_reached = band(&of.rate);
            KindReport {
                kind,
                rate_reached,
                reached: rate_reached.median >= REACHED * args.rate,
                quiet_bytes_per_s: band(&of.quiet),
                goodput_ratio: band(&of.ratio),
                cpu_ns: band(&of.cpu_ns),
                core_busy_ns: band(&of.busy_ns),
                core_busy: band(&of.busy),
                generator_busy: band(&of.generator),
                fates: of.fates.clone(),
            }
        });
        let handshakes = collected.handshakes.iter().map(|(&(who, flood), of)| HandshakeReport {
            who,
            flood,
            begun_per_s: band(&of.begun),
            opened_per_s: band(&of.opened),
            share_opened: band(&of.share),
            per_cpu_s: band(&of.per_cpu_s),
            hellos_each: band(&of.hellos),
        });
        Self {
            link,
            seconds: args.seconds,
            repeats: args.repeats,
            seed: args.seed,
            full_bytes_per_s: full,
            share: args.share,
            sessions: args.sessions,
            rate: args.rate,
            attacker_realtime: collected.realtime,
            kinds: kinds.collect(),
            handshakes: handshakes.collect(),
        }
    }

    /// The kinds of junk, for people.
    pub(super) fn table(&self) -> Table {
        let header = [
            "junk",
            "datagrams/s",
            "arrived, %",
            "goodput ratio",
            "CPU ns each",
            "core ns each",
            "core busy",
            "generator",
        ];
        let mut table = Table::new(header);
        for of in &self.kinds {
            let short = if of.reached { "" } else { " (short)" };
            let arrived = of.fates.arrived as f64 / of.fates.offered.max(1) as f64 * 100.0;
            table.row([
                of.kind.name().to_owned(),
                format!("{}{short}", digits(of.rate_reached.median)),
                digits(arrived),
                of.goodput_ratio.to_string(),
                of.cpu_ns.to_string(),
                of.core_busy_ns.to_string(),
                digits(of.core_busy.median),
                digits(of.generator_busy.median),
            ]);
        }
        table
    }

    /// What the table has no room for.
    pub(super) fn notes(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = self.write_notes(&mut text);
        text
    }

    fn write_notes(&self, text: &mut String) -> std::fmt::Result {
        let gigabytes = |bytes: f64| digits(bytes / 1e9);
        let full = gigabytes(self.full_bytes_per_s);
        let paced = gigabytes(self.full_bytes_per_s * self.share);
        let (link, sessions) = (self.link, self.sessions);
        writeln!(text, "{link:?}; {sessions} sessions: {full} GB/s, capped at {paced} GB/s")?;
        if self.link == Link::Loopback {
            writeln!(text, "loopback: receiving costs the sender's core, so prices lack it")?;
        }
        for of in &self.kinds {
            let Fates { offered, arrived, socket_full, lost_before, counted, .. } = &of.fates;
            write!(text, "{}: {offered} sent, {arrived} arrived", of.kind.name())?;
            for (fate, count) in counted {
                write!(text, ", {count} {fate}")?;
            }
            write!(text, "; {socket_full} dropped at the full socket, {lost_before} before it")?;
            writeln!(text, "; {} answers not queued", of.fates.unanswered)?;
        }
        for of in &self.handshakes {
            let flood = of.flood.map_or("no flood", Kind::name);
            writeln!(
                text,
                "handshakes of {}, {flood}: {} a second of {} begun ({}), {} for each CPU-second, {} HELLOs each",
                of.who.name(),
                of.opened_per_s,
                digits(of.begun_per_s.median),
                digits(of.share_opened.median),
                of.per_cpu_s,
                digits(of.hellos_each.median)
            )?;
        }
        Ok(())
    }
}

fn band(repeats: &Repeats) -> Band {
    repeats.band().unwrap_or_default()
}
