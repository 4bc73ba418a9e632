//! The layout as CONTRIBUTING shows it: `tree -d -L 2`, and so the rooms that a newcomer finds there.

use std::path::Path;

/// What `tree -d` prints of this many levels of a checkout, without its first and last line and what git ignores.
pub(crate) fn tree(folder: &Path, levels: usize, before: &str) -> String {
    let mut lines = String::new();
    let inside = crate::walk(folder, 1).skip(1);
    let inner: Vec<_> = inside.filter(|entry| entry.file_type().is_dir()).collect();
    for (at, entry) in inner.iter().enumerate() {
        let is_last = at + 1 == inner.len();
        let (branch, below) =
            if is_last { ("└── ", "    ") } else { ("├── ", "│   ") };
        lines += &format!("{before}{branch}{}\n", entry.file_name().display());
        if levels > 1 {
            lines += &tree(entry.path(), levels - 1, &format!("{before}{below}"));
        }
    }
    lines
}
