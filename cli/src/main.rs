//! Segcast, the one binary.
#![forbid(unsafe_code)]
// They panic where nobody reads: see `output`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod commands;
mod failure;
mod flags;
mod interrupt;
mod logging;
mod notify;
mod output;
mod terminal;
mod words;

use std::sync::Arc;

use clap::{Parser, Subcommand};
use signal_hook::consts::SIGXFSZ;

/// Deliver large files fast: fixed-size encrypted segments over UDP.
#[derive(Debug, Parser)]
#[command(name = "segcast", version, after_help = segcast_config::HELP, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See it work: pack, serve, fetch and measure, all on this machine in one command
    Demo(commands::demo::DemoArgs),
    /// Cut, encrypt and sign a title, and put it into a store
    Pack(commands::pack::PackArgs),
    /// Sell titles: accounts, orders, tickets, certificates and tokens
    Center(Box<commands::center::CenterArgs>),
    /// Serve a store
    Edge(commands::edge::EdgeArgs),
    /// Let a client fetch titles: make a token, and the grant file that carries it
    Token(commands::token::TokenArgs),
    /// Fetch a title into a file
    Get(commands::get::GetArgs),
    /// List what is in a store, look for damage, and remove sets, also while an edge serves it
    Store(commands::store::StoreArgs),
    /// Load an edge with many sessions, and say what became of every segment
    Load(Box<commands::load::LoadArgs>),
    /// Make a client's own key pair, so that its secret never leaves it; or an edge's
    Key(commands::key::KeyArgs),
}

fn main() -> std::process::ExitCode {
    // A file beyond the limit (RLIMIT_FSIZE) is then an error of write(2) and not the end of the process.
    if let Err(error) = signal_hook::flag::register(SIGXFSZ, Arc::default()) {
        output::note(format_args!(
            "the limit on file sizes will end this process without a word: {error}"
        ));
    }
    let result = match Cli::parse().command {
        Command::Demo(args) => commands::demo::run(&args),
        Command::Pack(args) => commands::pack::run(&args),
        Command::Center(args) => commands::center::run(&args),
        Command::Edge(args) => commands::edge::run(&args),
        Command::Token(args) => commands::token::run(&args),
        Command::Get(args) => commands::get::run(&args),
        Command::Store(args) => commands::store::run(&args),
        Command::Load(args) => commands::load::run(&args),
        Command::Key(args) => commands::key::run(&args),
    };
    result.unwrap_or_else(|error| failure::report(&error)).into()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    /// `…` stands for what a document has said before, `$SET` and `$PID` for values of the reader's.
    #[test]
    fn every_command_of_the_documents_parses() {
        let commands = segcast_kit::documents::arguments_of("segcast");
        assert!(commands.len() > 15, "only {} commands were found", commands.len());
        for shown in commands {
            let is_part = shown.words.iter().any(|word| word == "…");
            let words = shown.words.iter().filter(|word| *word != "…").map(|word| match &**word {
                "$SET" => "34e1c2ebaf613d545a4ff78700000001",
                "$PID" => "1",
                word => word,
            });
            match Cli::command().try_get_matches_from(std::iter::once("segcast").chain(words)) {
                Err(error) if is_part && error.kind() == ErrorKind::MissingRequiredArgument => {}
                Err(error) if error.use_stderr() => panic!("{}: {error}", shown.place),
                _ => {}
            }
        }
    }
}
