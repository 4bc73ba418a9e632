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
mod rights;
mod secret;
mod terminal;
mod words;

use std::sync::Arc;

use clap::{Parser, Subcommand};
use commands::account;
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
    /// Log in at a center: from then on this machine's commands ask it
    Login(commands::account::login::LoginArgs),
    /// End the login
    Logout,
    /// List what a center offers
    Catalog(commands::account::show::CatalogArgs),
    /// Order a title: a ticket is what comes
    Order(commands::account::order::OrderArgs),
    /// List what can be started, and what can be watched
    Tickets,
    /// List until when edges let the titles begin that can be watched
    Tokens,
    /// Get new tokens, for some time without the center
    Renew(commands::account::title::RenewArgs),
    /// Show what is in the purse
    Balance,
    /// List the account's devices, or revoke one
    Devices(commands::account::show::DevicesArgs),
    /// Run a center's affairs: titles, offers, accounts, payments
    Admin(commands::account::admin::AdminArgs),
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
        Command::Login(args) => account::login::run(&args),
        Command::Logout => account::login::logout(),
        Command::Catalog(args) => account::show::catalog(&args),
        Command::Order(args) => account::order::run(&args),
        Command::Tickets => account::show::tickets(),
        Command::Tokens => account::show::tokens(),
        Command::Renew(args) => account::title::renew(&args),
        Command::Balance => account::show::balance(),
        Command::Devices(args) => account::show::devices(&args),
        Command::Admin(args) => account::admin::run(&args),
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
