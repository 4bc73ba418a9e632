//! The documents of the repository as tests read them: their links, their headings, and the commands in their
//! `console` blocks. A test of a program takes [`arguments_of`], one of the tree [`Document::all`].

use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// One Markdown file.
#[derive(Debug)]
pub struct Document {
    /// From the root of the repository.
    pub path: PathBuf,
    /// All of it.
    pub text: String,
}

/// A command that a document shows after a `$`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// `path:line`, for messages.
    pub place: String,
    /// As a shell would split it; comments are gone, and `&&` begins another command.
    pub words: Vec<String>,
}

/// The root of the repository.
#[must_use]
pub fn root() -> &'static Path {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR"));
    kit.ancestors().nth(2).expect("the package lies two folders below the root")
}

impl Document {
    /// Every document of the repository, build output and hidden folders left out.
    ///
    /// # Panics
    /// If a folder or a document cannot be read.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let mut found = Vec::new();
        let mut folders = vec![root().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a folder can be read") {
                let path = entry.expect("a folder can be read").path();
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if path.is_dir() && !name.starts_with('.') && !name.starts_with("target") {
                    folders.push(path);
                } else if path.extension().is_some_and(|ending| ending == "md") {
                    let text = std::fs::read_to_string(&path).expect("a document is text");
                    let path = path.strip_prefix(root()).expect("below the root").to_owned();
                    found.push(Self { path, text });
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found
    }

    /// `path:line` of a byte of the text.
    #[must_use]
    pub fn place(&self, at: usize) -> String {
        format!("{}:{}", self.path.display(), self.line(at))
    }

    /// Targets of links and pictures, with the places where they begin.
    #[must_use]
    pub fn links(&self) -> Vec<(String, String)> {
        let parser = Parser::new_ext(&self.text, Options::ENABLE_TABLES).into_offset_iter();
        parser
            .filter_map(|(event, range)| match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    Some((self.place(range.start), dest_url.into_string()))
                }
                _ => None,
            })
            .collect()
    }

    /// What `#…` of a link may name: the headings, in lower case, with dashes for spaces and without other marks.
    #[must_use]
    pub fn anchors(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut heading: Option<String> = None;
        for event in Parser::new_ext(&self.text, Options::ENABLE_TABLES) {
            match (event, &mut heading) {
                (Event::Start(Tag::Heading { .. }), _) => heading = Some(String::new()),
                (Event::Text(text) | Event::Code(text), Some(so_far)) => so_far.push_str(&text),
                (Event::End(TagEnd::Heading(_)), _) => {
                    found.extend(heading.take().map(|h| slug(&h)))
                }
                _ => {}
            }
        }
        found
    }

    /// The commands of the `console` blocks.
    ///
    /// # Panics
    /// If quotes of a command are not closed.
    #[must_use]
    pub fn commands(&self) -> Vec<Shown> {
        let mut found = Vec::new();
        let mut in_console = false;
        for (event, range) in Parser::new(&self.text).into_offset_iter() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                    in_console = &*language == "console";
                }
                Event::End(TagEnd::CodeBlock) => in_console = false,
                Event::Text(text) if in_console => found.extend(shown(&text, |line| {
                    format!("{}:{}", self.path.display(), self.line(range.start) + line)
                })),
                _ => {}
            }
        }
        found
    }

    fn line(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }
}

/// Commands in the text of a block; a `\` at the end of a line goes on with the next.
fn shown(block: &str, place: impl Fn(usize) -> String) -> Vec<Shown> {
    let mut found = Vec::new();
    let mut lines = block.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(command) = line.strip_prefix("$ ") else { continue };
        let mut command = command.to_owned();
        while command.ends_with('\\') {
            command.pop();
            command.push_str(lines.next().map_or("", |(_, more)| more));
        }
        let words = shlex::split(&command).unwrap_or_else(|| panic!("{}: quotes", place(number)));
        for words in words.split(|word| word == "&&") {
            found.push(Shown { place: place(number), words: words.to_vec() });
        }
    }
    found
}

/// The words after the name of `program` wherever a document calls it: by its name, or by `cargo run` of its package, which
/// is `segcast` unless `-p` names another.
#[must_use]
pub fn arguments_of(program: &str) -> Vec<Shown> {
    let all = Document::all();
    let commands = all.iter().flat_map(Document::commands);
    commands
        .filter_map(|Shown { place, words }| {
            let (first, rest) = words.split_first()?;
            let arguments = match (Path::new(first).file_name()?.to_str()?, rest.first()) {
                (name, _) if name == program => rest,
                ("cargo", Some(run)) if run == "run" => {
                    let package = rest.iter().skip_while(|word| *word != "-p").nth(1);
                    let end = rest.iter().position(|word| word == "--")?;
                    let is_it = package.map_or("segcast", String::as_str) == program;
                    is_it.then_some(&rest[end + 1..])?
                }
                _ => return None,
            };
            Some(Shown { place, words: arguments.to_vec() })
        })
        .collect()
}

/// A heading as GitHub makes it a target of links.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | ' '));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# One `two`: three 4 %\n\n[a](b.md#c), ![d](e.png)\n\n```console\n\
                        $ segcast load … \\\n      --slo 'a<=1' # why\nits output\n$ cmp a b && echo same\n\
                        ```\n\n```\n$ no console [x](y)\n```\n";

    fn document() -> Document {
        Document { path: "x.md".into(), text: TEXT.into() }
    }

    #[test]
    fn links_and_headings_are_found_and_code_is_neither() {
        let links = document().links();
        let wanted = [("x.md:3", "b.md#c"), ("x.md:3", "e.png")];
        assert_eq!(links, wanted.map(|(place, to)| (place.to_owned(), to.to_owned())));
        assert_eq!(document().anchors(), ["one-two-three-4-"]);
    }

    #[test]
    fn commands_are_split_as_by_a_shell() {
        let found = document().commands();
        let words: Vec<_> = found.iter().map(|shown| shown.words.join("|")).collect();
        assert_eq!(words, ["segcast|load|…|--slo|a<=1", "cmp|a|b", "echo|same"]);
        assert_eq!((&*found[0].place, &*found[1].place), ("x.md:6", "x.md:9"));
    }

    #[test]
    fn a_program_is_found_by_its_name_and_by_its_package() {
        let edges = arguments_of("segcast");
        assert!(edges.iter().any(|shown| shown.words.first().is_some_and(|word| word == "demo")));
        assert!(edges.iter().any(|shown| shown.words.first().is_some_and(|word| word == "pack")));
        let bench = arguments_of("segcast-bench");
        assert!(bench.iter().any(|shown| shown.words.first().is_some_and(|word| word == "sink")));
    }
}
