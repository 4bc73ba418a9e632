//! What the viewers got beside what the edge sent, as tables for people and as JSON for programs.

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use segcast_config::amount::rounded;
use serde::Serialize;

use super::viewer::Watched;

/// Everything that `segcast demo --multicast --json` prints.
#[derive(Debug, Serialize)]
pub(in super::super) struct Figures {
    /// `namespaces` or `loopback`.
    pub(super) network: &'static str,
    pub(super) set: String,
    pub(super) bytes: u64,
    pub(super) running_time_s: f64,
    pub(super) viewers: Vec<Watched>,
    /// UDP payload of all that the edge sent, and what of that went to groups.
    pub(super) sent_bytes: u64,
    pub(super) group_bytes: u64,
    /// Segments that were sent to groups.
    pub(super) group_sends: u64,
    /// Bytes of titles that viewers got.
    pub(super) delivered_bytes: u64,
    /// Bytes delivered for each that was sent.
    pub(super) gain: f64,
}

impl Figures {
    /// Two tables that fit 80 columns.
    pub(in super::super) fn table(&self) -> String {
        format!("{}\n{}", self.each(), self.all())
    }

    fn each(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(UTF8_BORDERS_ONLY);
        table.set_header([
            "viewer",
            "started",
            "picture",
            "by groups",
            "completed",
            "by unicast",
            "missed",
        ]);
        for (number, viewer) in (1..).zip(&self.viewers) {
            let alone = u64::from(viewer.segments) - viewer.by_group - viewer.completed;
            table.add_row([
                format!("{number}"),
                format!("{:.1} s", viewer.started_s),
                format!("+{:.1} s", viewer.picture_s),
                format!("{} of {}", viewer.by_group, viewer.segments),
                viewer.completed.to_string(),
                alone.to_string(),
                format!("{} of {}", viewer.missed, viewer.deadlines),
            ]);
        }
        table.column_iter_mut().for_each(|c| c.set_cell_alignment(CellAlignment::Right));
        table
    }

    fn all(&self) -> Table {
        let sum = |of: fn(&Watched) -> u32| self.viewers.iter().map(of).sum::<u32>();
        let (sent, groups) = (self.sent_bytes, self.group_bytes);
        let rows = [
            ("delivered to viewers", rounded::size(self.delivered_bytes)),
            ("sent by the edge", rounded::size(sent)),
            (
                "of that, to groups",
                format!("{} in {} segments", rounded::size(groups), self.group_sends),
            ),
            ("of that, to single viewers", rounded::size(sent.saturating_sub(groups))),
            ("the title itself", rounded::size(self.bytes)),
            ("gain: delivered for each byte sent", rounded::three_digits(self.gain)),
            ("deadlines missed", format!("{} of {}", sum(|v| v.missed), sum(|v| v.deadlines))),
            ("times that a picture stood still", sum(|v| v.stalls).to_string()),
        ];
        let mut table = Table::new();
        table.load_preset(UTF8_BORDERS_ONLY);
        table.set_header(["all viewers", ""]);
        for (name, value) in rows {
            table.add_row([name.to_owned(), value]);
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}
