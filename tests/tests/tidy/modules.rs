//! One crate as a reader meets it: its modules, what each defines, and the paths that each names.
//!
//! Only what the circles between files and the purity of `proto` ask for is known: names of items, `use` trees
//! unfolded, paths in code. Tests (`#[cfg(test)]`) are left out, and so is what macros make.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Item, UseTree};

/// A path as it is written, unfolded to its last name.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) path: Vec<String>,
    /// The name under which a `use` brings it in.
    alias: Option<String>,
    /// A `pub use`, which hands it on.
    pub(crate) handed_on: bool,
}

/// A module: a file, or a part of one in braces.
#[derive(Debug, Default)]
pub(crate) struct Module {
    pub(crate) file: PathBuf,
    defines: BTreeSet<String>,
    pub(crate) named: Vec<Named>,
}

/// All modules of a crate, by their path from its root.
#[derive(Debug, Default)]
pub(crate) struct Crate(pub(crate) BTreeMap<Vec<String>, Module>);

impl Crate {
    /// Reads the crate whose root is this file, tests left out.
    pub(crate) fn read(root: &Path) -> Self {
        let mut whole = Self::default();
        whole.add_file(root, root.parent().expect("a file has a folder"), Vec::new());
        whole
    }

    fn add_file(&mut self, file: &Path, folder: &Path, place: Vec<String>) {
        let text = crate::read(file);
        let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        self.add(file, folder, place, &parsed.items);
    }

    fn add(&mut self, file: &Path, folder: &Path, place: Vec<String>, items: &[Item]) {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        for item in items.iter().filter(|item| !is_test(item)) {
            module.defines.extend(name_of(item));
            let Item::Mod(inner) = item else {
                Names(&mut module.named).visit_item(item);
                continue;
            };
            let name = inner.ident.to_string();
            let place = [&place[..], &[name.clone()]].concat();
            if let Some((_, items)) = &inner.content {
                self.add(file, &folder.join(name), place, items);
            } else if let Some(child) = file_of(folder, &name) {
                self.add_file(&child, &folder.join(name), place);
            }
        }
        self.0.insert(place, module);
    }

    /// The file that defines what `path` names in `place`; none for other crates and for modules as such.
    pub(crate) fn definition(&self, place: &[String], path: &[String]) -> Option<&Path> {
        self.resolve(place, path, 8)
    }

    fn resolve(&self, place: &[String], path: &[String], depth: usize) -> Option<&Path> {
        let (first, rest) = path.split_first()?;
        let child = [place, &[first.clone()]].concat();
        let start = match first.as_str() {
            "crate" => return self.walk(Vec::new(), rest, depth),
            "self" => return self.resolve(place, rest, depth),
            "super" => return self.resolve(place.split_last()?.1, rest, depth),
            _ if self.0.contains_key(&child) => return self.walk(child, rest, depth),
            name => name,
        };
        let module = self.0.get(place)?;
        if module.defines.contains(start) {
            return Some(&module.file);
        }
        let brings = |named: &&Named| named.alias.as_deref() == Some(start);
        let named = module.named.iter().find(brings)?;
        self.follow(place, named, rest, depth)
    }

    /// Goes down from a module that is named: no further than what it defines or hands on.
    fn walk(&self, place: Vec<String>, path: &[String], depth: usize) -> Option<&Path> {
        let (first, rest) = path.split_first()?;
        let child = [&place[..], &[first.clone()]].concat();
        if self.0.contains_key(&child) {
            return self.walk(child, rest, depth);
        }
        let module = self.0.get(&place)?;
        if module.defines.contains(first) {
            return Some(&module.file);
        }
        let handed_on = module.named.iter().filter(|named| named.handed_on);
        handed_on
            .filter(|n| n.alias.as_deref() == Some(first.as_str()))
            .find_map(|named| self.follow(&place, named, rest, depth))
    }

    fn follow(
        &self,
        place: &[String],
        named: &Named,
        rest: &[String],
        depth: usize,
    ) -> Option<&Path> {
        let path = [&named.path[..], rest].concat();
        self.resolve(place, &path, depth.checked_sub(1)?)
    }
}

/// A crate of one file, for tests of the rules.
#[cfg(test)]
pub(crate) fn of_text(text: &str) -> Crate {
    let mut whole = Crate::default();
    let parsed = syn::parse_file(text).expect("it parses");
    whole.add(Path::new("lib.rs"), Path::new(""), Vec::new(), &parsed.items);
    whole
}

/// `mod name;` in a file whose modules lie in `folder`.
fn file_of(folder: &Path, name: &str) -> Option<PathBuf> {
    [format!("{name}.rs"), format!("{name}/mod.rs")]
        .into_iter()
        .map(|file| folder.join(file))
        .find(|file| file.is_file())
}

/// Whether an item is built for tests only.
pub(crate) fn is_test(item: &Item) -> bool {
    let attributes = match item {
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

fn name_of(item: &Item) -> Option<String> {
    Some(match item {
        Item::Struct(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Union(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        Item::Const(item) => item.ident.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Macro(item) => item.ident.as_ref()?.to_string(),
        _ => return None,
    })
}

/// Collects `use` trees and paths of more than one name.
struct Names<'a>(&'a mut Vec<Named>);

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test(item) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let handed_on = !matches!(item.vis, syn::Visibility::Inherited);
        let line = item.span().start().line;
        unfold(&item.tree, &mut Vec::new(), &mut |path, alias| {
            self.0.push(Named { line, path, alias: Some(alias), handed_on });
        });
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let line = path.span().start().line;
        let path_names: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.0.push(Named { line, path: path_names, alias: None, handed_on: false });
        visit::visit_path(self, path);
    }
}

fn unfold(tree: &UseTree, before: &mut Vec<String>, give: &mut impl FnMut(Vec<String>, String)) {
    match tree {
        UseTree::Path(tree) => {
            before.push(tree.ident.to_string());
            unfold(&tree.tree, before, give);
            before.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| unfold(tree, before, give)),
        UseTree::Glob(_) => give([&before[..], &["*".into()]].concat(), "*".into()),
        UseTree::Name(name) if name.ident == "self" => {
            give(before.clone(), before.last().cloned().unwrap_or_default());
        }
        UseTree::Name(name) => {
            let name = name.ident.to_string();
            give([&before[..], &[name.clone()]].concat(), name);
        }
        UseTree::Rename(tree) => {
            let name = tree.ident.to_string();
            let path =
                if name == "self" { before.clone() } else { [&before[..], &[name]].concat() };
            give(path, tree.rename.to_string());
        }
    }
}
