//! Rules on single source files: header, lengths, words that must not stand in the tree, `unsafe`.

use crate::lexer::{code_only, is_word, tokens};

/// Longest source file, in lines.
const FILE_LINES: usize = 500;
/// Longest function, in lines from `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;

/// Words that say "unfinished", in comments too. Put together here so that this file has none.
const UNFINISHED: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("to", "do!"),
    concat!("unimpl", "emented!"),
];

/// What one file breaks; each entry is `line: what and what would be right`.
pub(crate) fn violations(source: &str, may_be_unsafe: bool) -> Vec<String> {
    let code = code_only(source);
    let mut found = Vec::new();
    if !source.starts_with("//! ") {
        found.push("1: must begin with `//!` and a few lines on what the file is and why".into());
    }
    let lines = source.lines().count();
    if lines > FILE_LINES {
        found.push(format!("{lines}: {lines} lines, at most {FILE_LINES}: one idea for each file"));
    }
    for (name, line, length) in functions(&code) {
        if length > FUNCTION_LINES {
            found.push(format!("{line}: fn {name} has {length} lines, at most {FUNCTION_LINES}"));
        }
    }
    for (number, text) in source.lines().enumerate() {
        for word in UNFINISHED.iter().filter(|word| has_word(text, word)) {
            found.push(format!("{}: `{word}`: finish it or open an issue", number + 1));
        }
    }
    for (line, token) in tokens(&code) {
        if token == "unsafe" && !may_be_unsafe {
            found.push(format!("{line}: `unsafe` belongs in sysio, or in bench/lab"));
        }
    }
    found
}

fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].bytes().next_back();
        let after = text[at + word.len()..].bytes().next();
        !before.is_some_and(is_word) && (word.ends_with('!') || !after.is_some_and(is_word))
    })
}

/// Every function with a body: its name, its first line, and its length in lines.
fn functions(code: &str) -> Vec<(&str, usize, usize)> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        let [(line, keyword), (_, name)] = [pair[0], pair[1]];
        // `fn(` is a type, not a function.
        if keyword != "fn" || name == "(" {
            continue;
        }
        if let Some(end) = body_end(&tokens[at..]) {
            found.push((name, line, end - line + 1));
        }
    }
    found
}

/// Line of the brace that closes the function that begins at the first token; none for a
/// declaration, which ends in `;`.
fn body_end(tokens: &[(usize, &str)]) -> Option<usize> {
    let mut nested = 0_i32;
    let mut braces = 0_i32;
    for &(line, token) in tokens {
        match token {
            "(" | "[" => nested += 1,
            ")" | "]" => nested -= 1,
            ";" if nested == 0 && braces == 0 => return None,
            "{" => braces += 1,
            "}" => {
                braces -= 1;
                // A brace inside the brackets of the signature is a constant's.
                if braces == 0 && nested == 0 {
                    return Some(line);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caught(source: &str, may_be_unsafe: bool, part: &str) {
        let found = violations(source, may_be_unsafe);
        assert!(found.len() == 1 && found[0].contains(part), "{source:?}: {found:?}");
    }

    #[test]
    fn a_good_file_has_no_violation() {
        let source = "//! What.\n\nconst S: &str = \"unsafe {\";\nfn f() -> [u8; 2] { [0; 2] }\n";
        assert_eq!(violations(source, false), Vec::<String>::new());
    }

    #[test]
    fn a_missing_header_is_caught() {
        caught("// What.\n", false, "1: must begin");
        caught("", false, "1: must begin");
    }

    #[test]
    fn a_long_file_is_caught() {
        let longest = format!("//! What.\n{}", "\n".repeat(FILE_LINES - 1));
        assert_eq!(violations(&longest, false), Vec::<String>::new());
        caught(&format!("{longest}\n"), false, "501 lines");
    }

    #[test]
    fn a_long_function_is_caught_and_braces_in_strings_do_not_hide_it() {
        let body = "    f(\"}\"); // }\n".repeat(FUNCTION_LINES - 2);
        let longest = format!("//! What.\nfn g(a: [u8; {{ 2 + 2 }}]) {{\n{body}}}\n");
        assert_eq!(violations(&longest, false), Vec::<String>::new());
        let source = longest.replacen("{\n", "{\n\n", 1);
        caught(&source, false, "2: fn g has 71 lines");
    }

    #[test]
    fn declarations_and_function_types_have_no_length() {
        let code = "trait T { fn f(x: [u8; 3]); } type F = fn(u8);";
        assert_eq!(functions(code), Vec::new());
        assert_eq!(functions("fn f() {\n{} }\nfn g() {}"), [("f", 1, 2), ("g", 3, 1)]);
    }

    #[test]
    fn unfinished_work_is_caught_even_in_comments() {
        for word in UNFINISHED {
            caught(&format!("//! What.\n// {word} later\n"), false, word);
        }
        let longer = format!("//! What.\n// {}S\n", UNFINISHED[0]);
        assert_eq!(violations(&longer, false), Vec::<String>::new());
    }

    #[test]
    fn unsafe_is_caught_outside_sysio() {
        let source = "//! What.\nfn f() { unsafe { g() } }\n";
        caught(source, false, "2: `unsafe`");
        assert_eq!(violations(source, true), Vec::<String>::new());
    }
}
