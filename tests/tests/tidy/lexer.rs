//! A light tokenizer: what of a Rust source is code, what is comment or literal.
//!
//! The rules look for words and braces; this makes sure that they never see those of a string or
//! a comment. Literals and comments become spaces, so that line and column numbers stay true.

/// `source` with every comment and the inside of every string and character literal blanked.
pub(crate) fn code_only(source: &str) -> String {
    let mut masker = Masker { input: source.as_bytes(), at: 0, output: Vec::new() };
    while masker.at < masker.input.len() {
        masker.step();
    }
    String::from_utf8(masker.output).expect("whole characters are kept or blanked")
}

struct Masker<'a> {
    input: &'a [u8],
    at: usize,
    output: Vec<u8>,
}

impl Masker<'_> {
    fn rest(&self) -> &[u8] {
        &self.input[self.at..]
    }

    fn keep(&mut self, count: usize) {
        let end = (self.at + count).min(self.input.len());
        self.output.extend_from_slice(&self.input[self.at..end]);
        self.at = end;
    }

    fn blank(&mut self, count: usize) {
        let end = (self.at + count).min(self.input.len());
        let kept = self.input[self.at..end].iter().map(|&b| if b == b'\n' { b } else { b' ' });
        self.output.extend(kept);
        self.at = end;
    }

    fn step(&mut self) {
        let rest = self.rest();
        if rest.starts_with(b"//") {
            let length = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
            self.blank(length);
        } else if rest.starts_with(b"/*") {
            self.blank(block_comment_length(rest));
        } else if is_word(rest[0]) {
            self.word();
        } else if rest[0] == b'"' {
            self.string();
        } else if rest[0] == b'\'' {
            self.blank_or_keep_quote();
        } else {
            self.keep(1);
        }
    }

    /// A word is taken whole, so that the `r` of `for"` is not a raw string's. A word that is a
    /// literal's prefix decides how the literal ends.
    fn word(&mut self) {
        let rest = self.rest();
        let length = rest.iter().position(|&b| !is_word(b)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        let hashes = after.iter().take_while(|&&b| b == b'#').count();
        let raw = matches!(word, b"r" | b"br" | b"cr") && after.get(hashes) == Some(&b'"');
        let body = if raw { Some(raw_string_length(&after[hashes..], hashes)) } else { None };
        self.keep(length);
        if let Some(body) = body {
            self.blank(hashes + body);
        }
    }

    fn string(&mut self) {
        let rest = self.rest();
        let mut length = 1;
        while length < rest.len() && rest[length] != b'"' {
            length += if rest[length] == b'\\' { 2 } else { 1 };
        }
        self.blank(length + 1);
    }

    /// A quote begins a character literal when the next character is an escape, or when a quote
    /// follows right after it; else it is a lifetime or a label.
    fn blank_or_keep_quote(&mut self) {
        let rest = self.rest();
        if rest.get(1) == Some(&b'\\') {
            let close = rest.iter().skip(3).position(|&b| b == b'\'').unwrap_or(rest.len());
            self.blank(close + 4);
            return;
        }
        let width = rest.get(1).map_or(1, |&b| utf8_width(b));
        if rest.get(1 + width) == Some(&b'\'') {
            self.blank(width + 2);
        } else {
            self.keep(1);
        }
    }
}

pub(crate) fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80
}

fn utf8_width(first: u8) -> usize {
    match first {
        0xF0.. => 4,
        0xE0.. => 3,
        0xC0.. => 2,
        _ => 1,
    }
}

fn block_comment_length(rest: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => depth += 1,
            [b'*', b'/', ..] => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// Length of a raw string from its opening quote to the last of its closing hashes.
fn raw_string_length(from_quote: &[u8], hashes: usize) -> usize {
    let closes = |at: usize| {
        let after = &from_quote[at + 1..];
        from_quote[at] == b'"'
            && after.len() >= hashes
            && after[..hashes].iter().all(|&b| b == b'#')
    };
    (1..from_quote.len()).find(|&at| closes(at)).map_or(from_quote.len(), |at| at + 1 + hashes)
}

/// Words and single punctuation bytes of blanked code, each with its line number from 1.
pub(crate) fn tokens(code: &str) -> Vec<(usize, &str)> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let length = bytes[at..].iter().position(|&b| !is_word(b)).unwrap_or(bytes.len() - at);
        let length = length.max(1);
        if bytes[at] == b'\n' {
            line += 1;
        } else if !bytes[at].is_ascii_whitespace() {
            found.push((line, &code[at..at + length]));
        }
        at += length;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<String> {
        tokens(&code_only(source)).into_iter().map(|(_, token)| token.to_owned()).collect()
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        assert_eq!(words("a // unsafe\nb /* x /* y */ z */ c"), ["a", "b", "c"]);
        assert_eq!(words(r#"f("unsafe \" { ", b"{") g"#), ["f", "(", ",", "b", ")", "g"]);
    }

    #[test]
    fn raw_strings_end_at_their_own_hashes() {
        assert_eq!(words("r##\"a\"# { \"## x"), ["r", "x"]);
        assert_eq!(words("br\"{\\\" y"), ["br", "y"]);
        assert_eq!(words("r#fn x"), ["r", "#", "fn", "x"]);
    }

    #[test]
    fn characters_are_told_from_lifetimes() {
        assert_eq!(words("'{' '\\'' '\\u{7b}' 'é' x"), ["x"]);
        assert_eq!(words("&'a str, b'\"', y"), ["&", "'", "a", "str", ",", "b", ",", "y"]);
    }

    #[test]
    fn lines_are_counted_through_blanked_text() {
        assert_eq!(tokens(&code_only("\"a\nb\"\n/*\n*/x")), [(4, "x")]);
    }

    #[test]
    fn an_unfinished_literal_ends_with_the_file() {
        for source in ["\"abc", "'\\", "r#\"", "/* a", "\"\\"] {
            assert!(code_only(source).len() >= source.len().min(1), "{source:?}");
        }
    }
}
