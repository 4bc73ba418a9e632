//! `proto` is pure: no clock, socket, file, thread, process, output or randomness of its own.
//!
//! Checked on its sources (`use` trees are unfolded, tests left out) and on its dependencies.

use std::path::{Path, PathBuf};

use crate::lexer::{code_only, tokens};

/// Paths under `std` that do something to the world or ask it; all below them are meant too.
const IMPURE_PATHS: [&str; 16] = [
    "std::time::Instant",
    "std::time::SystemTime",
    "std::time::UNIX_EPOCH",
    "std::net::UdpSocket",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::ToSocketAddrs",
    "std::fs",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::env",
    "std::os",
    "std::thread",
    "std::process",
    "aws_lc_rs::rand",
];

/// Names that mean the same wherever they come from.
const IMPURE_WORDS: [&str; 16] = [
    "getrandom",
    "OsRng",
    "SystemRandom",
    "SysRng",
    "ThreadRng",
    "thread_rng",
    "from_os_rng",
    "from_entropy",
    "println",
    "eprintln",
    "print",
    "eprint",
    "RandomState",
    "HashMap",
    "HashSet",
    "SystemTime",
];

/// What a source file of `proto` uses that it must not; tests in it may.
pub(crate) fn violations(source: &str) -> Vec<String> {
    let code = without_tests(&code_only(source));
    let tokens = tokens(&code);
    let mut found = Vec::new();
    for (at, &(line, token)) in tokens.iter().enumerate() {
        if IMPURE_WORDS.contains(&token) {
            found.push(format!("{line}: `{token}`: {}", instead(token)));
        }
        let is_start = at == 0 || tokens[at - 1].1 != ":";
        if is_start && ["std", "aws_lc_rs"].contains(&token) {
            let mut paths = Vec::new();
            unfold(&tokens[at..], String::new(), &mut paths);
            for path in paths.iter().filter(|path| is_impure(path)) {
                found.push(format!("{line}: `{path}`: proto is pure, the caller does this"));
            }
        }
    }
    found
}

fn instead(word: &str) -> &'static str {
    match word {
        "HashMap" | "HashSet" => {
            "its hasher takes keys from the system, use a BTreeMap or BTreeSet"
        }
        _ => "the caller gives time, randomness and output",
    }
}

fn is_impure(path: &str) -> bool {
    // A glob or the whole module brings its impure parts along.
    let opens = |impure: &str| {
        path.strip_suffix("::*").is_some_and(|module| impure.starts_with(&format!("{module}::")))
    };
    IMPURE_PATHS
        .iter()
        .any(|impure| path == *impure || path.starts_with(&format!("{impure}::")) || opens(impure))
}

/// Unfolds the path or `use` tree at the first token into full paths; returns the tokens used.
fn unfold(tokens: &[(usize, &str)], prefix: String, paths: &mut Vec<String>) -> usize {
    let word = |at: usize| tokens.get(at).map_or("", |&(_, token)| token);
    if word(0) == "{" {
        let mut at = 1;
        while at < tokens.len() && word(at) != "}" {
            at += match word(at) {
                "," => 1,
                _ => unfold(&tokens[at..], prefix.clone(), paths).max(1),
            };
        }
        return at + 1;
    }
    let path =
        if prefix.is_empty() { word(0).to_owned() } else { format!("{prefix}::{}", word(0)) };
    if word(1) == ":" && word(2) == ":" {
        return 3 + unfold(&tokens[3.min(tokens.len())..], path, paths);
    }
    // `self` in a tree is the module before it.
    paths.push(path.strip_suffix("::self").map_or(path.clone(), str::to_owned));
    if word(1) == "as" { 3 } else { 1 }
}

/// `code` with the bodies of `#[cfg(test)]` modules blanked.
fn without_tests(code: &str) -> String {
    let mut left = code.to_owned();
    let mut from = 0;
    while let Some(start) = left[from..].find("#[cfg(test)]").map(|at| from + at) {
        let rest = &left[start..];
        let end = match rest.find(['{', ';']) {
            Some(open) if rest.as_bytes()[open] == b'{' => start + closing_brace(rest, open),
            Some(semicolon) => start + semicolon + 1,
            None => left.len(),
        };
        let blank: String =
            left[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        left.replace_range(start..end, &blank);
        from = start + blank.len();
    }
    left
}

fn closing_brace(text: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return at + 1,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// Files that `#[cfg(test)] mod name;` in `file` declares: `name.rs` and the folder `name`.
pub(crate) fn test_modules(file: &Path, source: &str) -> Vec<PathBuf> {
    let code = code_only(source);
    let folder = file.parent().expect("a file has a folder");
    let stem = file.file_stem().expect("a file has a name");
    let is_root = ["lib", "main", "mod"].iter().any(|root| stem == *root);
    let folder = if is_root { folder.to_owned() } else { folder.join(stem) };
    let mut found = Vec::new();
    for (at, _) in code.match_indices("#[cfg(test)]") {
        let rest = tokens(&code[at..]);
        let words: Vec<&str> = rest.iter().map(|&(_, token)| token).collect();
        // `# [ cfg ( test ) ] mod name ;`
        if let [_, _, _, _, _, _, _, "mod", name, ";", ..] = words.as_slice() {
            found.push(folder.join(format!("{name}.rs")));
            found.push(folder.join(name));
        }
    }
    found
}

/// Whether a dependency of `proto` with these features asks the operating system for randomness
/// or for anything else.
pub(crate) fn dependency_violation(name: &str, features: &[String]) -> Option<String> {
    const BANNED: [&str; 12] = [
        "getrandom",
        "rand",
        "tokio",
        "mio",
        "socket2",
        "rustix",
        "libc",
        "nix",
        "io-uring",
        "memmap2",
        "tracing",
        "log",
    ];
    if BANNED.contains(&name) {
        return Some(format!("proto depends on {name}: the caller gives what it would fetch"));
    }
    let is_random = name.starts_with("rand_");
    features
        .iter()
        .find(|feature| {
            feature.contains("getrandom")
                || feature.contains("os_rng")
                || (is_random && (*feature == "std" || *feature == "default"))
        })
        .map(|feature| format!("proto: feature `{feature}` of {name} brings OS randomness"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caught(source: &str, part: &str) {
        let found = violations(source);
        assert!(found.iter().any(|entry| entry.contains(part)), "{source:?}: {found:?}");
    }

    #[test]
    fn every_impure_path_is_caught_however_it_is_imported() {
        for path in IMPURE_PATHS {
            caught(&format!("use {path};"), path);
            let (module, name) = path.rsplit_once("::").expect("paths have modules");
            caught(&format!("use {module}::{{A, {name} as B}};"), path);
            caught(&format!("fn f() {{ {path}::g() }}"), path);
        }
        caught("use std::{cmp, net::{IpAddr, UdpSocket}};", "std::net::UdpSocket");
        caught("use std::{fs::{self, File}};", "std::fs");
        caught("use std::time::*;", "std::time::*");
    }

    #[test]
    fn every_impure_word_is_caught() {
        for word in IMPURE_WORDS {
            caught(&format!("fn f() {{ {word}!(); }}"), word);
        }
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
            assert_eq!(violations(source), Vec::<String>::new(), "{source}");
        }
        caught("#[cfg(test)] mod tests { fn f() {} } use std::fs;", "std::fs");
    }

    #[test]
    fn declared_test_files_are_found() {
        let source = "#[cfg(test)]\nmod tests;\nmod other;";
        let found = test_modules(Path::new("a/session/mod.rs"), source);
        assert_eq!(found, [Path::new("a/session/tests.rs"), Path::new("a/session/tests")]);
        let found = test_modules(Path::new("a/window.rs"), source);
        assert_eq!(found, [Path::new("a/window/tests.rs"), Path::new("a/window/tests")]);
    }

    #[test]
    fn dependencies_that_ask_the_system_are_caught() {
        let features = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
        assert!(dependency_violation("getrandom", &[]).is_some());
        assert!(dependency_violation("rand_core", &features(&["std"])).is_some());
        assert!(dependency_violation("rand_core", &features(&["os_rng"])).is_some());
        assert!(dependency_violation("snow", &features(&["use-getrandom"])).is_some());
        assert!(dependency_violation("snow", &features(&["use-sha2", "std"])).is_none());
        assert!(dependency_violation("rand_chacha", &[]).is_none());
    }
}
