//! Documents: those that must exist do, and relative links in them lead somewhere.

use std::path::Path;

/// Documents that the repository must have, from its root.
pub(crate) const REQUIRED: [&str; 5] =
    ["CHANGELOG.md", "README.md", "SECURITY.md", "docs/internals/map.md", "docs/protocol/index.md"];

/// Relative links in `text` (of a document in `folder`) whose file or folder does not exist.
pub(crate) fn broken_links(text: &str, folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in links(line) {
            let path = target.split('#').next().unwrap_or_default();
            if !path.is_empty() && !folder.join(path).exists() {
                found.push(format!("{}: link to `{target}` leads nowhere", number + 1));
            }
        }
    }
    found
}

/// Targets of `[text](target)` and `[text]: target` that are neither addresses nor mail.
fn links(line: &str) -> Vec<&str> {
    let inline = line
        .match_indices("](")
        .filter_map(|(at, open)| line[at + open.len()..].split([')', ' ']).next());
    let named = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("]: "))
        .and_then(|(_, target)| target.split_whitespace().next());
    inline.chain(named).filter(|t| !t.contains("://") && !t.starts_with("mailto:")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_nowhere_are_caught() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("there.md"), "x").expect("a file");
        let good = "[a](there.md) and ![b](there.md#part \"t\") [c](#here)\n\
                    [d](https://example.org/x)\n```\n[e](gone.md)\n```\n[f]: there.md\n";
        assert_eq!(broken_links(good, folder.path()), Vec::<String>::new());
        let bad = "x\n[a](there.md) [b](gone.md#part)\n[f]: gone/\n";
        let found = broken_links(bad, folder.path());
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("2: ") && found[0].contains("gone.md#part"));
        assert!(found[1].starts_with("3: ") && found[1].contains("gone/"));
    }
}
