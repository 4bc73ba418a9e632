//! The box that a run was made on, as far as it can be read without privileges.

use std::fs;
use std::path::Path;

use procfs::{CpuInfo, Current, Meminfo};
use serde::{Deserialize, Serialize};

use super::About;
use crate::others::is_here;

/// The generator's box.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Kernel and machine, as uname(2) tells them.
    pub kernel: String,
    /// The CPU's name; null where /proc/cpuinfo has none.
    pub cpu: Option<String>,
    /// Logical CPUs that this process may use.
    pub cpus: usize,
    /// Memory, bytes; null where /proc/meminfo has none.
    pub memory_bytes: Option<u64>,
    /// Frequency governor of the first CPU; null where there is none, as in most virtual machines.
    pub governor: Option<String>,
    /// Whether the CPU says that it is virtual.
    pub virtual_machine: bool,
    /// Clock source.
    pub clock_source: Option<String>,
    /// Offloads that the generator's sockets used.
    pub offloads: String,
    /// The servers' addresses.
    pub servers: Vec<String>,
    /// Client and server were on one box: they shared its CPUs, and no network card was between them.
    pub one_box: bool,
    /// `debug` or `release`: the generator's own build.
    pub build: String,
}

impl Fingerprint {
    /// Reads this box.
    #[must_use]
    pub fn take(about: &About) -> Self {
        let uname = rustix::system::uname();
        let word = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        let kernel = [uname.sysname(), uname.release(), uname.machine()].map(word).join(" ");
        let cpu = CpuInfo::current().ok();
        let flags = cpu.as_ref().and_then(|cpu| cpu.flags(0)).unwrap_or_default();
        let clock = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
        Self {
            kernel,
            cpu: cpu.as_ref().and_then(|cpu| cpu.model_name(0)).map(str::to_owned),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: Meminfo::current().ok().map(|memory| memory.mem_total),
            governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            virtual_machine: flags.contains(&"hypervisor"),
            clock_source: read(clock),
            offloads: about.offloads.clone(),
            servers: about.servers.iter().map(ToString::to_string).collect(),
            one_box: about.servers.iter().any(is_here),
            build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
        }
    }
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}
