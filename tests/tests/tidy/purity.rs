//! `proto` is pure: no clock, socket, file, thread, process, output or randomness of its own.
//!
//! Whole modules are refused here, by the paths that its sources name (tests left out), and so are
//! dependencies; single types, functions and macros by clippy, which resolves them and sees into
//! macros (crates/proto/clippy.toml).

use crate::modules::Crate;

/// What does something to the world or asks it; all below is meant too.
const IMPURE: [&str; 7] = [
    "aws_lc_rs::rand",
    "getrandom",
    "std::env",
    "std::fs",
    "std::io",
    "std::process",
    "std::thread",
];

/// Dependencies that reach the operating system, or are made to watch a running program.
const IMPURE_CRATES: [&str; 11] = [
    "io-uring", "libc", "log", "memmap2", "mio", "nix", "rand", "rustix", "socket2", "tokio",
    "tracing",
];

/// What a crate names that a pure one must not.
pub(crate) fn violations(whole: &Crate) -> Vec<String> {
    let mut found = Vec::new();
    for module in whole.0.values() {
        for named in module.named.iter().filter(|named| is_impure(&named.path)) {
            let (file, line, path) = (module.file.display(), named.line, &named.path);
            found.push(format!("{file}:{line}: `{path}`: the caller does this"));
        }
    }
    found
}

fn is_impure(path: &str) -> bool {
    // A glob brings the impure parts of its module along.
    let module = path.strip_suffix('*');
    IMPURE.iter().any(|impure| {
        path == *impure
            || path.starts_with(&format!("{impure}::"))
            || module.is_some_and(|module| impure.starts_with(module))
    })
}

/// Why proto must not have a dependency with these features.
pub(crate) fn dependency_violation<'a>(
    name: &'a str,
    features: impl Iterator<Item = &'a str>,
) -> Option<String> {
    if IMPURE_CRATES.contains(&name) {
        return Some(format!("proto depends on {name}: the caller gives what it would fetch"));
    }
    let is_rand = name.starts_with("rand_");
    let asks = |word: &&str| {
        word.contains("getrandom")
            || word.contains("os_rng")
            || is_rand && ["std", "default"].contains(word)
    };
    let word = features.chain([name]).find(asks)?;
    Some(format!("proto: `{word}` of {name} brings the system's randomness"))
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
        for path in IMPURE {
            caught(&format!("use {path};"), path);
            caught(&format!("use {path}::{{self as a, B as C}};"), path);
            caught(&format!("use {path}::*;"), path);
            caught(&format!("fn f() {{ {path}::g() }}"), path);
        }
        caught("use std::*;", "std::*");
        caught("use std::{fs::{self, File}};", "std::fs");
        caught("#[cfg(test)] mod tests { fn f() {} } use std::fs;", "std::fs");
    }

    #[test]
    fn other_paths_texts_and_tests_are_allowed() {
        for source in [
            "use std::net::{IpAddr, SocketAddr}; use std::fmt::*; use std::environment;",
            "// std::fs\nconst S: &str = \"std::fs\";",
            "#[cfg(test)]\nmod tests { use std::fs; fn f() { std::env::args() } }",
            "#[cfg(test)] use std::fs; fn f() {}",
        ] {
            assert_eq!(violations(&of_text(source)), Vec::<String>::new(), "{source}");
        }
    }

    #[test]
    fn dependencies_that_ask_the_system_are_caught() {
        let asks = |name: &'static str, features: &[&'static str]| {
            dependency_violation(name, features.iter().copied()).is_some()
        };
        assert!(asks("getrandom", &[]) && asks("snow", &["use-getrandom"]));
        assert!(asks("rand_core", &["std"]) && asks("rand_core", &["os_rng"]));
        assert!(!asks("snow", &["use-sha2", "std"]) && !asks("rand_chacha", &[]));
    }
}
