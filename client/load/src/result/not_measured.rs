//! What a run says nothing about: every report has to say so.

use super::Extent;
use super::measured::Measured;

pub(super) fn list(measured: &Measured<'_>) -> Vec<String> {
    let mut list: Vec<String> = [
        "One-way delay: both times of a round trip are the client's",
        "Drops in network cards, qdiscs and the softnet backlog of either box",
        "Power, memory bandwidth, CPU cycles and frequency",
        "Repeatability: this is one run; claim no difference from another one without repeats",
    ]
    .map(str::to_owned)
    .to_vec();
    if measured.figures.all.wire.group_datagrams == 0 {
        list.push("Multicast: every segment here came by unicast".to_owned());
    }
    if let Extent::Partial { why } = &measured.end.extent {
        list.push(format!("The rest of the plan: {why}"));
    }
    if measured.fingerprint.one_box {
        list.push(
            "A network card and a link: client and server shared one box, its CPUs and its memory bandwidth (LAB)"
                .to_owned(),
        );
    }
    match &measured.server {
        None => list.push(
            "What the server used: neither its process (--server-pid) nor its metrics (--server-metrics) were given"
                .to_owned(),
        ),
        Some(server) => {
            if server.pid.is_none() {
                list.push("The server's CPU, memory and faults: --server-pid was not given".to_owned());
            } else {
                list.push("Softirq time that the kernel spent for the server outside its process".to_owned());
            }
            if server.metrics_url.is_none() {
                list.push("The server's own counters: --server-metrics was not given".to_owned());
            }
        }
    }
    if measured.others.is_none() {
        let what = "What other programs took of this box's processors: the server's part could not be told from it";
        list.push(what.to_owned());
    }
    let playout = &measured.figures.all.playout;
    if playout.started + playout.never_started == 0 {
        list.push("Start-up, stalls and rebuffering: no viewing played at a bit rate".to_owned());
    }
    if cfg!(debug_assertions) {
        list.push("What a release build of the generator can do: this is a debug build".to_owned());
    }
    list
}
