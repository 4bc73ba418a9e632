//! `segcast load report`: reports made again from a stored result.

use std::path::PathBuf;

use clap::Args;
use segcast_config::ExitCode;
use segcast_load::report;
use segcast_load::result::LoadResult;

use super::reporting::{new, print, write};

/// Arguments of `segcast load report`.
#[derive(Args, Debug)]
pub(crate) struct AgainArgs {
    /// The result that --json stored
    #[arg(value_name = "FILE", required_unless_present = "schema")]
    result: Option<PathBuf>,
    /// Write the report with plots here; else the text is printed
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print the JSON schema of stored results
    #[arg(long, conflicts_with_all = ["result", "html"])]
    schema: bool,
}

/// Runs the command. The verdict was given when the result was made: reading it again succeeds.
pub(crate) fn run(args: &AgainArgs) -> anyhow::Result<ExitCode> {
    let Some(path) = &args.result else {
        print(report::SCHEMA_TEXT)?;
        return Ok(ExitCode::Success);
    };
    let result = LoadResult::read(path)?;
    match &args.html {
        Some(html) => write(html, new(html)?, &report::html(&result))?,
        None => print(&report::text(&result))?,
    }
    Ok(ExitCode::Success)
}
