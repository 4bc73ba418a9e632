//! How figures are shown: a table for people, JSON for programs.

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table as Grid};
use serde::Serialize;

use super::repeats::Band;

/// How to show figures.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct OutputArgs {
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
}

impl OutputArgs {
    /// Prints `value` as JSON, or the table.
    ///
    /// # Errors
    /// When `value` has no JSON form: a map with keys that are no strings.
    pub fn print(self, value: &impl Serialize, table: &Table) -> anyhow::Result<()> {
        if self.json {
            println!("{}", serde_json::to_string_pretty(value)?);
        } else {
            println!("{}", table.0);
        }
        Ok(())
    }
}

/// A table whose first column names things and whose others are figures.
#[derive(Debug)]
pub struct Table(Grid);

impl Table {
    /// An empty table under a header.
    #[must_use]
    pub fn new<const N: usize>(header: [&str; N]) -> Self {
        let mut grid = Grid::new();
        grid.load_preset(UTF8_BORDERS_ONLY);
        grid.set_header(header);
        for column in grid.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Self(grid)
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.0.add_row(cells);
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A figure with three significant digits; 0 and what is not finite as they are.
#[must_use]
pub fn digits(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    // 10^2 ≤ value: no decimal is left.
    let whole = value.abs().log10().floor() as i32;
    let decimals = usize::try_from(2 - whole).unwrap_or(0);
    format!("{value:.decimals$}")
}

impl std::fmt::Display for Band {
    /// The median, and the band behind it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}–{})", digits(self.median), digits(self.min), digits(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        let shown = [0.0, 0.012_345, 1.0, 9.876, 12.34, 123.4, 12_345.0].map(digits);
        assert_eq!(shown, ["0", "0.0123", "1.00", "9.88", "12.3", "123", "12345"]);
    }

    #[test]
    fn a_table_has_its_header_and_rows() {
        let mut table = Table::new(["what", "GB/s"]);
        table.row(["copy".to_owned(), "10.0".to_owned()]);
        let text = table.to_string();
        assert!(text.contains("what") && text.contains("copy") && text.contains("10.0"), "{text}");
    }
}
