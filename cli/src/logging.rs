//! Log lines: to standard error, as text or JSON, at a level given by `--log` or `SEGCAST_LOG`; those of services as their
//! configuration says.

use clap::{Args, ValueEnum};
use segcast_config::LogLevel;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::terminal;

/// What is logged, and how.
#[derive(Args, Clone, Debug)]
pub(crate) struct LogArgs {
    /// What to log: error, warn, info, debug, trace, or per module, as in `info,segcast_edge=debug`
    #[arg(long, global = true, env = "SEGCAST_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// How log lines look
    #[arg(long, global = true, env = "SEGCAST_LOG_FORMAT", value_enum, default_value = "text")]
    pub(crate) log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// Starts logging. `default`: the level when none is asked for.
///
/// # Errors
/// When the filter cannot be read.
pub(crate) fn start(args: &LogArgs, default: &str) -> anyhow::Result<()> {
    let filter = args.log.as_deref().unwrap_or(default);
    let filter = EnvFilter::try_new(filter)
        .map_err(|e| anyhow::anyhow!("--log {filter}: {e}; write for example info"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(terminal::has_colours())
        // What it would say of a line that cannot be written would go to the same place, by a macro that panics there.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Text => builder.with_target(false).compact().init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}

/// Changes the level of a service that runs.
pub(crate) type Level = reload::Handle<LevelFilter, Registry>;

/// Starts the log of a service.
pub(crate) fn serve(level: LogLevel, format: segcast_config::LogFormat) -> Level {
    let (filter, handle) = reload::Layer::new(filter(level));
    let registry = tracing_subscriber::registry().with(filter);
    let layer = fmt::layer().with_ansi(terminal::has_colours()).with_writer(std::io::stderr);
    // As in `start`: nothing is said of a line that cannot be written.
    let layer = layer.log_internal_errors(false);
    match format {
        segcast_config::LogFormat::Text => registry.with(layer.with_target(false).compact()).init(),
        segcast_config::LogFormat::Json => registry.with(layer.json()).init(),
    }
    handle
}

/// The filter of a level.
pub(crate) fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
