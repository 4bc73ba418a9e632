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
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) path: String,
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

/// All modules of a crate, by their paths: `crate`, `crate::a`.
#[derive(Debug, Default)]
pub(crate) struct Crate(pub(crate) BTreeMap<String, Module>);

impl Crate {
    /// Reads the crate whose root is this file, tests left out.
    pub(crate) fn read(root: &Path) -> Self {
        let mut whole = Self::default();
        whole.add_file(root, root.parent().expect("a file has a folder"), "crate".into());
        whole
    }

    fn add_file(&mut self, file: &Path, folder: &Path, place: String) {
        let text = crate::read(file);
        let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        self.add(file, folder, place, &parsed.items);
    }

    fn add(&mut self, file: &Path, folder: &Path, place: String, items: &[Item]) {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        for item in items.iter().filter(|item| !is_test(item)) {
            module.defines.extend(name_of(item));
            let Item::Mod(inner) = item else {
                Names(&mut module.named).visit_item(item);
                continue;
            };
            let name = inner.ident.to_string();
            let place = format!("{place}::{name}");
            if let Some((_, items)) = &inner.content {
                self.add(file, &folder.join(name), place, items);
            } else if let Some(child) = file_of(folder, &name) {
                self.add_file(&child, &folder.join(name), place);
            }
        }
        self.0.insert(place, module);
    }

    /// The file that defines what `path` names in `place`; none for other crates and for modules as such.
    pub(crate) fn definition(&self, place: &str, path: &str) -> Option<&Path> {
        self.find(place, path, false, 8)
    }

    /// From outside, a module gives no more than what it defines or hands on.
    fn find(&self, place: &str, path: &str, is_outside: bool, depth: usize) -> Option<&Path> {
        let (first, rest) = path.split_once("::").unwrap_or((path, ""));
        let child = format!("{place}::{first}");
        match first {
            "crate" => return self.find("crate", rest, true, depth),
            "self" => return self.find(place, rest, false, depth),
            "super" => return self.find(place.rsplit_once("::")?.0, rest, false, depth),
            _ if self.0.contains_key(&child) => return self.find(&child, rest, true, depth),
            _ => {}
        }
        let module = self.0.get(place)?;
        if module.defines.contains(first) {
            return Some(&module.file);
        }
        let seen = module.named.iter().filter(|named| named.handed_on || !is_outside);
        let mut brought = seen.filter(|named| named.alias.as_deref() == Some(first));
        brought.find_map(|named| {
            self.find(place, &format!("{}::{rest}", named.path), false, depth.checked_sub(1)?)
        })
    }
}

/// A crate of one file, for tests of the rules.
#[cfg(test)]
pub(crate) fn of_text(text: &str) -> Crate {
    let mut whole = Crate::default();
    let parsed = syn::parse_file(text).expect("it parses");
    whole.add(Path::new("lib.rs"), Path::new(""), "crate".into(), &parsed.items);
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
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
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
        unfold(&item.tree, "", &mut |path, alias| {
            self.0.push(Named { line, path, alias: Some(alias), handed_on });
        });
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let line = path.span().start().line;
        let names: Vec<_> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.0.push(Named { line, path: names.join("::"), alias: None, handed_on: false });
        visit::visit_path(self, path);
    }
}

/// Gives each path of a `use` tree, all of which begin with `before`, and the name that it brings in.
fn unfold(tree: &UseTree, before: &str, give: &mut impl FnMut(String, String)) {
    let module = before.trim_end_matches("::");
    match tree {
        UseTree::Path(tree) => unfold(&tree.tree, &format!("{before}{}::", tree.ident), give),
        UseTree::Group(group) => group.items.iter().for_each(|tree| unfold(tree, before, give)),
        UseTree::Glob(_) => give(format!("{before}*"), "*".into()),
        UseTree::Name(tree) if tree.ident == "self" => {
            give(module.into(), module.rsplit("::").next().unwrap_or_default().into());
        }
        UseTree::Name(tree) => give(format!("{before}{}", tree.ident), tree.ident.to_string()),
        UseTree::Rename(tree) if tree.ident == "self" => {
            give(module.into(), tree.rename.to_string());
        }
        UseTree::Rename(tree) => give(format!("{before}{}", tree.ident), tree.rename.to_string()),
    }
}
