//! `proto` is pure: no clock, socket, file, thread, process, output or randomness of its own.
//!
//! Checked on the paths that its sources name (tests left out) and on its dependencies; clippy's
//! lists (crates/proto/clippy.toml) see what hides inside macros.

use crate::modules::Crate;

/// Paths that do something to the world or ask it; all below them are meant too.
const IMPURE_PATHS: [&str; 15] = [
    "std::time::Instant",
    "std::time::SystemTime",
    "std::time::UNIX_EPOCH",
    "std::net::UdpSocket",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::ToSocketAddrs",
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::fs",
    "std::io",
    "std::env",
    "std::thread",
    "std::process",
    "aws_lc_rs::rand",
];

/// Names that mean the same wherever they come from.
const IMPURE_NAMES: [&str; 13] = [
    "getrandom",
    "OsRng",
    "SystemRandom",
    "ThreadRng",
    "thread_rng",
    "from_os_rng",
    "from_entropy",
    "println",
    "eprintln",
    "print",
    "eprint",
    "RandomState",
    "SystemTime",
];

/// Dependencies that reach the operating system, or are made to watch a running program.
const IMPURE_CRATES: [&str; 12] = [
    "getrandom",
    "io-uring",
    "libc",
    "log",
    "memmap2",
    "mio",
    "nix",
    "rand",
    "rustix",
    "socket2",
    "tokio",
    "tracing",
];

/// What a crate names that a pure one must not.
pub(crate) fn violations(whole: &Crate) -> Vec<String> {
    let mut found = Vec::new();
    for module in whole.0.values() {
        for named in &module.named {
            let path = named.path.join("::");
            if named.path.iter().any(|name| IMPURE_NAMES.contains(&name.as_str()))
                || is_impure(&path)
            {
                let file = module.file.display();
                found.push(format!("{file}:{}: `{path}`: the caller does this", named.line));
            }
        }
    }
    found
}

fn is_impure(path: &str) -> bool {
    // A glob brings the impure parts of its module along.
    let module = path.strip_suffix('*');
    IMPURE_PATHS.iter().any(|impure| {
        path == *impure
            || path.starts_with(&format!("{impure}::"))
            || module.is_some_and(|module| impure.starts_with(module))
    })
}

/// Whether a dependency with these features asks the operating system for randomness or anything else.
pub(crate) fn dependency_violation(name: &str, features: &[String]) -> Option<String> {
    if IMPURE_CRATES.contains(&name) {
        return Some(format!("proto depends on {name}: the caller gives what it would fetch"));
    }
    let asks = |feature: &&String| {
        let is_all = *feature == "std" || *feature == "default";
        feature.contains("getrandom")
            || feature.contains("os_rng")
            || (name.starts_with("rand_") && is_all)
    };
    let feature = features.iter().find(asks)?;
    Some(format!("proto: feature `{feature}` of {name} brings the system's randomness"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::of_text;

    fn caught(source: &str, part: &str) {
        let found = violations(&of_text(source));
        assert!(found.iter().any(|entry| entry.contains(part)), "{source:?}: {found:?}");
    }

    #[test]
    fn every_impure_path_is_caught_however_it_is_imported() {
        for path in IMPURE_PATHS {
            let (module, name) = path.rsplit_once("::").expect("paths have modules");
            caught(&format!("use {path};"), path);
            caught(&format!("use {module}::{{A, {name} as B}};"), path);
            caught(&format!("use {module}::*;"), "*");
            caught(&format!("fn f() {{ {path}::g() }}"), path);
        }
        caught("use std::{fs::{self, File}};", "std::fs");
        IMPURE_NAMES.iter().for_each(|name| caught(&format!("fn f() {{ {name}!(); }}"), name));
    }

    #[test]
    fn addresses_durations_and_tests_are_allowed() {
        for source in [
            "use std::net::{IpAddr, SocketAddr, Ipv6Addr};",
            "use core::time::Duration; use std::time::Duration as D; use crate::time::Instant;",
            "// println!\nconst S: &str = \"std::fs\";",
            "#[cfg(test)]\nmod tests { use std::fs; fn f() { println!() } }",
            "#[cfg(test)] use std::fs; fn f() {}",
        ] {
            assert_eq!(violations(&of_text(source)), Vec::<String>::new(), "{source}");
        }
        caught("#[cfg(test)] mod tests { fn f() {} } use std::fs;", "std::fs");
    }

    #[test]
    fn dependencies_that_ask_the_system_are_caught() {
        let asks = |name, features: &[&str]| {
            let features: Vec<String> = features.iter().map(|&feature| feature.into()).collect();
            dependency_violation(name, &features).is_some()
        };
        assert!(
            asks("getrandom", &[]) && asks("rand_core", &["std"]) && asks("rand_core", &["os_rng"])
        );
        assert!(asks("snow", &["use-getrandom"]));
        assert!(!asks("snow", &["use-sha2", "std"]) && !asks("rand_chacha", &[]));
    }
}
