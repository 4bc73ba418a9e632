//! Which core the server has, and which the generator: each its own, so that neither slows the other.

use anyhow::Context as _;
use segcast_sysio::cpu;

/// Which cores to use.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct CoresArgs {
    /// Core of the server, or of what stands for it [default: the last one allowed]
    #[arg(long, value_name = "CORE")]
    pub server_core: Option<usize>,
    /// Core of the generator [default: the first one allowed]
    #[arg(long, value_name = "CORE")]
    pub generator_core: Option<usize>,
}

/// Two cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Cores {
    /// The server's.
    pub server: usize,
    /// The generator's.
    pub generator: usize,
}

impl CoresArgs {
    /// The cores asked for, or the last and the first of those allowed.
    ///
    /// # Errors
    /// When only one core may be used, or both would be the same.
    pub fn choose(self) -> anyhow::Result<Cores> {
        let allowed = cpu::allowed_cores()?;
        let (first, last) = (allowed.first().copied(), allowed.last().copied());
        let server = self.server_core.or(last).context("no core is allowed")?;
        let generator = self.generator_core.or(first).context("no core is allowed")?;
        anyhow::ensure!(
            server != generator,
            "server and generator both on core {server}: two cores are needed; allowed here: {allowed:?}"
        );
        Ok(Cores { server, generator })
    }
}

/// Runs `work` on a thread of its own that is pinned to `core`. A panic of `work` goes on here. Processes that it
/// starts inherit the core.
///
/// # Errors
/// When the core does not exist or is not allowed, and those of `work`.
pub fn on_core<T: Send>(
    core: usize,
    work: impl FnOnce() -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    std::thread::scope(|scope| {
        let pinned = scope.spawn(|| {
            cpu::pin_current_thread(core)?;
            work()
        });
        pinned.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_runs_on_its_core_and_errors_come_back() {
        let core = cpu::allowed_cores().unwrap()[0];
        let seen = on_core(core, || Ok(cpu::allowed_cores()?)).unwrap();
        assert_eq!(seen, [core]);
        assert!(on_core(usize::MAX, || Ok(())).is_err());
    }

    #[test]
    fn one_core_for_two_is_refused() {
        let both = CoresArgs { server_core: Some(3), generator_core: Some(3) };
        let error = both.choose().unwrap_err().to_string();
        assert!(error.contains("both on core 3"), "{error}");
    }
}
