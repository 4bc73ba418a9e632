//! No two files need each other: whoever reads one from its top never has to have read the other first.
//!
//! A room's own `mod.rs` stands apart: its files may use what lies there for all of them, and it hands their names on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::modules::Crate;

type Arrows<'a> = BTreeMap<&'a Path, BTreeMap<&'a Path, &'a str>>;

/// Pairs of files of a crate that reach each other through what they name, one row for each pair
/// that names the other straight; and the same for its rooms, the folders and files right under its root.
pub(crate) fn violations(whole: &Crate) -> Vec<String> {
    let root = whole.0["crate"].file.parent().expect("a file has a folder");
    let files = arrows(whole);
    let mut rooms = Arrows::new();
    for (from, targets) in &files {
        for (to, name) in targets {
            let (from, to) = (room(root, from), room(root, to));
            if from != to && ![from, to].contains(&root) {
                rooms.entry(from).or_default().insert(to, name);
            }
        }
    }
    [rows(&files), rows(&rooms)].concat()
}

/// `root/name` of `root/name/…` and of `root/name.rs`; the root itself for its own file.
fn room<'a>(root: &Path, file: &'a Path) -> &'a Path {
    file.ancestors().find(|place| place.parent() == Some(root)).unwrap_or(file)
}

fn rows(arrows: &Arrows<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for (&from, targets) in arrows {
        for (&to, name) in targets {
            if reached(arrows, to).contains(from) {
                found.push(format!("{} -> {}: {name}", from.display(), to.display()));
            }
        }
    }
    found
}

fn arrows(whole: &Crate) -> Arrows<'_> {
    let mut arrows = Arrows::new();
    for (place, module) in &whole.0 {
        for named in module.named.iter().filter(|named| !named.handed_on) {
            if let Some(target) = whole.definition(place, &named.path)
                && target != module.file
                && !is_room_of(target, &module.file)
            {
                let name = named.path.rsplit("::").next().unwrap_or_default();
                arrows.entry(&module.file).or_default().insert(target, name);
            }
        }
    }
    arrows
}

/// Whether `file` lies in the room whose face is `face`: `mod.rs` of a folder above, or `name.rs` beside one.
fn is_room_of(face: &Path, file: &Path) -> bool {
    let folder = face.parent().expect("a file has a folder");
    let is_mod =
        face.file_stem().is_some_and(|stem| ["mod", "lib", "main"].iter().any(|m| stem == *m));
    file.starts_with(if is_mod { folder.to_owned() } else { face.with_extension("") })
}

fn reached<'a>(arrows: &Arrows<'a>, from: &'a Path) -> BTreeSet<&'a Path> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(file) = next.pop() {
        if reached.insert(file) {
            next.extend(arrows.get(file).into_iter().flat_map(BTreeMap::keys));
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a crate of these files breaks.
    fn caught(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        violations(&Crate::read(&folder.path().join("lib.rs")))
    }

    #[test]
    fn two_files_that_need_each_other_are_caught_through_all_that_hands_names_on() {
        let b = ("b/mod.rs", "mod deep; pub use deep::B; pub struct Face;");
        let deep = ("b/deep.rs", "use super::Face; pub struct B(crate::A);");
        let root = ("lib.rs", "mod a; mod b; pub use a::A;");
        let found =
            caught(&[root, ("a.rs", "use crate::b; pub struct A; fn f(b: b::B) {}"), b, deep]);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].ends_with("b/deep.rs: B") && found[2].ends_with("/b: B"), "{found:?}");
        let found = caught(&[
            root,
            ("a.rs", "pub struct A; #[cfg(test)] mod t { use crate::b::B; }"),
            b,
            deep,
        ]);
        assert_eq!(found, Vec::<String>::new());
    }
}
