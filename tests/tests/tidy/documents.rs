//! Documents: those that must exist do, links in them lead somewhere, lines are short, and what they give to cargo exists.
//!
//! Their `segcast` and `segcast-bench` commands are parsed by the tests of those programs.

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use cargo_metadata::Package;
use segcast_kit::documents::{Document, Shown, root};

/// Documents that the repository must have, from its root.
const REQUIRED: [&str; 7] = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "docs/index.md",
    "docs/internals/map.md",
    "docs/protocol/index.md",
];

/// Columns of a line of text; tables, code and a link alone may be longer.
const COLUMNS: usize = 100;

#[test]
fn documents_exist_and_their_links_lead_somewhere() {
    let all = Document::all();
    let mut found = Vec::new();
    for name in REQUIRED {
        if !all.iter().any(|document| document.path == Path::new(name)) {
            found.push(format!("{name}: missing"));
        }
    }
    let anchors = all.iter().map(|document| (document.path.clone(), document.anchors())).collect();
    for document in &all {
        found.extend(dead_links(document, &anchors, |path| root().join(path).exists()));
    }
    crate::assert_none(&found);
}

#[test]
fn lines_of_documents_are_short() {
    let found: Vec<_> = Document::all().iter().flat_map(long_lines).collect();
    crate::assert_none(&found);
}

#[test]
fn what_documents_give_to_cargo_exists() {
    let known = crate::packages().iter().flat_map(names).collect();
    let all = Document::all();
    let commands = all.iter().flat_map(Document::commands);
    let found: Vec<_> = commands.filter_map(|command| unknown(&command, &known)).collect();
    crate::assert_none(&found);
}

/// Relative links whose file or folder does not exist, or whose `#…` names no heading.
fn dead_links(
    document: &Document,
    anchors: &HashMap<PathBuf, Vec<String>>,
    exists: impl Fn(&Path) -> bool,
) -> Vec<String> {
    let mut found = Vec::new();
    for (place, target) in document.links() {
        if target.contains("://") || target.starts_with("mailto:") {
            continue;
        }
        let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
        let path = match path {
            "" => document.path.clone(),
            path => normal(&document.path.with_file_name("").join(path)),
        };
        let has = |headings: &Vec<String>| headings.iter().any(|heading| heading == anchor);
        if !exists(&path) {
            found.push(format!("{place}: link to `{target}` leads nowhere"));
        } else if !anchor.is_empty() && anchors.get(&path).is_some_and(|headings| !has(headings)) {
            found.push(format!("{place}: no heading for `{target}`"));
        }
    }
    found
}

/// The path without `..`.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut so_far, part| {
        match part {
            Component::ParentDir => drop(so_far.pop()),
            part => so_far.push(part),
        }
        so_far
    })
}

fn long_lines(document: &Document) -> Vec<String> {
    let mut in_code = false;
    let mut found = Vec::new();
    for (number, line) in document.text.lines().enumerate() {
        in_code ^= line.trim_start().starts_with("```");
        let columns = line.chars().count();
        if !in_code && !line.starts_with('|') && line.contains(' ') && columns > COLUMNS {
            found.push(format!("{}:{}: {columns} columns", document.path.display(), number + 1));
        }
    }
    found
}

/// What a `cargo` command may name of a package, each after its option.
fn names(package: &Package) -> Vec<String> {
    let targets = package
        .targets
        .iter()
        .flat_map(|target| target.kind.iter().map(move |kind| format!("--{kind} {}", target.name)));
    let features = package.features.keys().map(|feature| format!("--features {feature}"));
    targets.chain(features).chain([format!("-p {}", package.name)]).collect()
}

/// What a `cargo` command names that is not in the workspace.
fn unknown(command: &Shown, known: &BTreeSet<String>) -> Option<String> {
    let mut words = command.words.iter().skip_while(|word| word.contains('=')).map(String::as_str);
    if words.next() != Some("cargo") {
        return None;
    }
    let words: Vec<_> = words.take_while(|word| *word != "--").collect();
    let options = ["-p", "--test", "--bench", "--example", "--features"];
    let named = words.windows(2).filter(|pair| options.contains(&pair[0]));
    let mut each = named.flat_map(|pair| pair[1].split(',').map(|n| format!("{} {n}", pair[0])));
    let unknown = each.find(|named| !known.contains(named))?;
    Some(format!("{}: no {unknown}", command.place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document { path: "docs/a.md".into(), text: text.into() }
    }

    #[test]
    fn links_that_lead_nowhere_are_caught() {
        let text = "# Part one\n[a](b/c.md) [b](../README.md#here) [c](#part-one)\n\
                    [d](https://example.org/x) [e](b/gone.md)\n\n[f](#part-two) [g](../README.md#gone)\n";
        let document = document(text);
        let anchors = HashMap::from([
            (PathBuf::from("docs/a.md"), document.anchors()),
            (PathBuf::from("README.md"), vec!["here".to_owned()]),
        ]);
        let there = ["docs/a.md", "docs/b/c.md", "README.md"];
        let exists = |path: &Path| there.iter().any(|name| path == Path::new(name));
        let found = dead_links(&document, &anchors, exists);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("a.md:3") && found[0].contains("b/gone.md"));
        assert!(found[1].contains("#part-two") && found[2].contains("#gone"));
    }

    #[test]
    fn long_lines_are_caught_outside_of_tables_and_code() {
        let long = "word ".repeat(21);
        let text = format!("{long}\n| {long}|\n```\n{long}\n```\nhttps://{}\n", "x".repeat(100));
        assert_eq!(long_lines(&document(&text)), ["docs/a.md:1: 105 columns"]);
    }

    #[test]
    fn what_is_not_in_the_workspace_is_caught() {
        let known = BTreeSet::from(["-p p", "--test t", "--features f"].map(str::to_owned));
        let text = "```console\n$ cargo test -p p --test t -- -p x\n$ X=1 cargo test -p q\n\
                    $ cargo bench -p p --bench t\n$ other -p q\n$ cargo run --features f\n\
                    $ cargo run --features f,g\n```\n";
        let commands = document(text).commands();
        let found: Vec<_> = commands.iter().filter_map(|c| unknown(c, &known)).collect();
        assert_eq!(
            found,
            ["docs/a.md:3: no -p q", "docs/a.md:4: no --bench t", "docs/a.md:7: no --features g"]
        );
    }
}
