//! The layout as CONTRIBUTING shows it: `tree -d -L 2`, and so the rooms that a newcomer finds there.

use std::path::Path;

use walkdir::WalkDir;

/// What `tree -d -L 2` prints of a checkout, without its first and last line and what git ignores.
pub(crate) fn tree(root: &Path) -> String {
    let ignored = crate::read(&root.join(".gitignore"));
    let mut lines = String::new();
    let tops = folders(root, &ignored);
    for (at, top) in tops.iter().enumerate() {
        let (branch, before) =
            if at + 1 == tops.len() { ("└── ", "    ") } else { ("├── ", "│   ") };
        lines += &format!("{branch}{top}\n");
        let inner = folders(&root.join(top), &ignored);
        for (at, name) in inner.iter().enumerate() {
            let branch = if at + 1 == inner.len() { "└── " } else { "├── " };
            lines += &format!("{before}{branch}{name}\n");
        }
    }
    lines
}

/// Names of the folders in one, in order; hidden ones and those that git ignores are left out.
fn folders(folder: &Path, ignored: &str) -> Vec<String> {
    let entries = WalkDir::new(folder).min_depth(1).max_depth(1).sort_by_file_name();
    entries
        .into_iter()
        .map(|entry| entry.expect("the folder can be read"))
        .filter(|entry| entry.file_type().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .filter(|name| !ignored.lines().any(|line| line.rsplit('/').next() == Some(name)))
        .collect()
}
