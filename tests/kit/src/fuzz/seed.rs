//! A seed of a corpus: what a fuzzer begins with.

use super::script::Steps;

/// One input and its name in the corpus.
#[derive(Clone, Debug)]
pub struct Seed {
    /// Its file is `seed-NAME`.
    pub name: String,
    /// What the target is given.
    pub bytes: Vec<u8>,
}

impl Seed {
    /// The input that `steps` make.
    #[must_use]
    pub fn new(name: &str, steps: Steps) -> Self {
        Self { name: name.to_owned(), bytes: steps.done() }
    }
}
