//! Rules on single source files. What clippy holds (length of functions, unfinished macros) is not said again.

use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::{Item, UseTree, Visibility};

/// Longest source file, in lines.
const FILE_LINES: usize = 500;

/// Words that say "unfinished", put together here so that this file has none.
const UNFINISHED: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

/// What one file breaks; each entry is `line: what, and what would be right`.
pub(crate) fn violations(source: &str, may_be_unsafe: bool) -> Vec<String> {
    let mut found = Vec::new();
    if !source.starts_with("//! ") {
        found.push("1: must begin with `//!` and a few lines on what the file is and why".into());
    }
    let lines = source.lines().count();
    if lines > FILE_LINES {
        found.push(format!("{lines}: {lines} lines, at most {FILE_LINES}: one idea for each file"));
    }
    for (number, text) in source.lines().enumerate() {
        for word in UNFINISHED.iter().filter(|word| text.contains(**word)) {
            found.push(format!("{}: `{word}`: finish it or open an issue", number + 1));
        }
    }
    match syn::parse_file(source) {
        Ok(file) => found.extend(unordered_imports(&file.items)),
        Err(error) => found.push(format!("1: cannot be parsed: {error}")),
    }
    let line = source.parse().ok().and_then(unsafe_line).filter(|_| !may_be_unsafe);
    found.extend(line.map(|at| format!("{at}: `unsafe` belongs in crates/sysio and bench/lab")));
    found
}

/// What is missing in a crate root that may have no `unsafe`: with it, the compiler refuses any.
pub(crate) fn root_violation(source: &str) -> Option<String> {
    let forbids = source.lines().any(|line| line == "#![forbid(unsafe_code)]");
    (!forbids).then(|| "1: a crate root must say `#![forbid(unsafe_code)]`".into())
}

/// The first line of code that says `unsafe`, within macros too.
fn unsafe_line(tokens: TokenStream) -> Option<usize> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Group(group) => unsafe_line(group.stream()),
        TokenTree::Ident(name) if name == "unsafe" => Some(name.span().start().line),
        _ => None,
    })
}

/// Imports stand in three groups: the standard library, other crates, this crate.
fn unordered_imports(items: &[Item]) -> Vec<String> {
    // What is handed on stands apart, and so does what only some builds have.
    let imports = items.iter().filter_map(|item| match item {
        Item::Use(it) if matches!(it.vis, Visibility::Inherited) && it.attrs.is_empty() => Some(it),
        _ => None,
    });
    let groups: Vec<_> = imports.map(|it| (group(&it.tree), it.span().start().line)).collect();
    let steps_back = groups.windows(2).filter(|pair| pair[1].0 < pair[0].0);
    steps_back
        .map(|pair| format!("{}: imports: first std, then other crates, then ours", pair[1].1))
        .collect()
}

fn group(tree: &UseTree) -> u8 {
    let UseTree::Path(path) = tree else { return 1 };
    match path.ident.to_string().as_str() {
        "std" | "core" | "alloc" => 0,
        "crate" | "self" | "super" => 2,
        // Another crate, or a module of this file: rustfmt cannot tell them apart either.
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caught(source: &str, part: &str) {
        let found = violations(source, false);
        assert!(found.len() == 1 && found[0].contains(part), "{source:?}: {found:?}");
    }

    fn passes(source: &str, may_be_unsafe: bool) {
        assert_eq!(violations(source, may_be_unsafe), Vec::<String>::new(), "{source:?}");
    }

    #[test]
    fn good_files_pass() {
        passes("//! What.\nmod a;\nuse std::fmt;\n\nuse serde::de;\n\nuse crate::b;\n", false);
        passes("//! What.\n// unsafe\nconst S: &str = \"unsafe\";\n", false);
        passes("//! What.\nfn f() { unsafe { g() } }\n", true);
        passes(&format!("//! What.\n{}", "\n".repeat(FILE_LINES - 1)), false);
    }

    #[test]
    fn bad_files_are_caught() {
        caught("// What.\n", "1: must begin");
        caught("", "1: must begin");
        caught("//! What.\nfn\n", "1: cannot be parsed");
        caught("//! What.\nuse crate::a;\nuse std::fmt;\n", "3: imports");
        caught("//! What.\nuse super::a;\nuse serde::de;\n", "3: imports");
        caught("//! What.\nm!(unsafe { g() });\n", "2: `unsafe`");
        caught(&format!("//! What.\n{}", "\n".repeat(FILE_LINES)), "501 lines");
        UNFINISHED.iter().for_each(|word| caught(&format!("//! What.\n// {word} later\n"), word));
    }

    #[test]
    fn roots_that_do_not_forbid_unsafe_are_caught() {
        assert_eq!(root_violation("//! What.\n#![forbid(unsafe_code)]\n"), None);
        assert!(root_violation("#![deny(unsafe_code)]\n// #![forbid(unsafe_code)]\n").is_some());
    }
}
