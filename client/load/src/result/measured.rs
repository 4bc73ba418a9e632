//! What a run ended with, before a result is made of it.

use super::{About, End, Figures, Fingerprint, Generator, Objective, Others, Server};

/// What a result is made of.
pub(crate) struct Measured<'a> {
    pub(crate) about: &'a About,
    pub(crate) end: &'a End,
    pub(crate) figures: Figures,
    pub(crate) generator: Generator,
    pub(crate) objectives: Vec<Objective>,
    pub(crate) server: Option<Server>,
    pub(crate) others: Option<Others>,
    pub(crate) fingerprint: Fingerprint,
}
