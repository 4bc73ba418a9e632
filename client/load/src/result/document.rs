//! The stored result: one JSON document, from which every report is made.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::measured::Measured;
use super::{
    Extent, Figures, Fingerprint, Generator, Identity, Objective, Others, Server, not_measured,
};

/// The form of the document. It changes when a reader of the old form would misread the new one.
pub const SCHEMA: &str = "segcast-load/1";

/// Bytes of a stored result, at most: a day of seconds has some 30 MB.
const FILE_MAX: u64 = 256 << 20;

/// What a run says in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every objective was met.
    Passed,
    /// The server missed an objective.
    Failed,
    /// The generator was what was measured, or an objective cannot be judged: it had too few samples, or was missed beside
    /// other programs.
    Inconclusive,
    /// There were no objectives.
    Measured,
}

/// Figures, under a name that says whether they are the server's. A reader that looks for `valid` finds nothing in a
/// run in which the generator was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Judged {
    /// The generator was not the bottleneck, and other programs made nothing miss: these are the server's.
    Valid(Box<Figures>),
    /// They are not.
    Void(Box<Figures>),
}

impl Judged {
    /// The figures, whatever they are worth.
    #[must_use]
    pub fn whatever_they_are_worth(&self) -> &Figures {
        match self {
            Self::Valid(figures) | Self::Void(figures) => figures,
        }
    }
}

/// A load run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LoadResult {
    /// `segcast-load/1`.
    pub schema: String,
    /// The verdict in one line, for people. It says so when the figures are void, partial, or from one box.
    pub headline: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Why the generator was what was measured; empty when it was not.
    pub bottleneck: Vec<String>,
    /// Whether all of the plan was carried out.
    pub extent: Extent,
    /// Which run this was.
    pub identity: Identity,
    /// Objectives and whether they were met.
    pub objectives: Vec<Objective>,
    /// What was measured.
    pub figures: Judged,
    /// How the generator fared.
    pub generator: Generator,
    /// What the server used; null when it was not asked for.
    pub server: Option<Server>,
    /// What other programs took of the generator's box; null when it could not be told.
    pub others: Option<Others>,
    /// The generator's box.
    pub fingerprint: Fingerprint,
    /// What this run says nothing about.
    pub not_measured: Vec<String>,
}

/// Why a stored result cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// The file cannot be read.
    #[error("could not read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not one of ours.
    #[error("{}: not a result of `segcast load` ({SCHEMA})", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// It is of another version.
    #[error("{}: its form is {found:?}; this version reads {SCHEMA:?}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
}

impl LoadResult {
    pub(crate) fn new(measured: Measured<'_>) -> Self {
        let not_measured = not_measured::list(&measured);
        let Measured {
            about,
            end,
            figures,
            generator,
            mut objectives,
            server,
            others,
            fingerprint,
        } = measured;
        let bottleneck = generator.failures();
        let disturbed = others.as_ref().is_some_and(Others::are_too_many);
        let blameless = |objective: &&mut Objective| {
            disturbed && objective.met == Some(false) && objective.n > 0
        };
        let mut void = !bottleneck.is_empty();
        for objective in objectives.iter_mut().filter(blameless) {
            objective.met = None;
            objective.found += ", beside other programs";
            void = true;
        }
        let any = |met| objectives.iter().any(|objective| objective.met == met);
        let verdict = match () {
            () if !bottleneck.is_empty() => Verdict::Inconclusive,
            () if objectives.is_empty() => Verdict::Measured,
            () if any(Some(false)) => Verdict::Failed,
            () if any(None) => Verdict::Inconclusive,
            () => Verdict::Passed,
        };
        let figures = Box::new(figures);
        let mut this = Self {
            schema: SCHEMA.to_owned(),
            headline: String::new(),
            verdict,
            figures: if void { Judged::Void(figures) } else { Judged::Valid(figures) },
            bottleneck,
            extent: end.extent.clone(),
            identity: Identity::from(about),
            objectives,
            generator,
            server,
            others,
            fingerprint,
            not_measured,
        };
        this.headline = this.say();
        this
    }

    fn say(&self) -> String {
        let met = self.with(Some(true)).count();
        let all = self.objectives.len();
        let mut line = match self.verdict {
            Verdict::Inconclusive if self.bottleneck.is_empty() => {
                let unknown = self.with(None).map(|o| format!("{}: {}", o.text, o.found));
                let unknown: Vec<_> = unknown.collect();
                format!(
                    "INCONCLUSIVE: {met} of {all} objectives met; not judged: {}",
                    unknown.join("; ")
                )
            }
            Verdict::Inconclusive => format!(
                "INCONCLUSIVE: the generator was the bottleneck, figures of the server are void: {}",
                self.bottleneck.join("; ")
            ),
            Verdict::Measured => "MEASURED: no objectives were set".to_owned(),
            Verdict::Passed => format!("PASSED: {met} of {all} objectives met"),
            Verdict::Failed => {
                let missed: Vec<_> = self.with(Some(false)).map(|o| o.text.as_str()).collect();
                format!("FAILED: {met} of {all} objectives met; not met: {}", missed.join(", "))
            }
        };
        if let Extent::Partial { why } = &self.extent {
            line += &format!(" · PARTIAL: {why}");
        }
        if let Some(others) = self.others.as_ref().filter(|others| others.are_too_many()) {
            line += &format!(" · BUSY BOX: {others}");
        }
        if self.fingerprint.one_box {
            line += " · LAB: client and server on one box";
        }
        line
    }

    /// The objectives that were met, missed, or not judged.
    pub fn with(&self, met: Option<bool>) -> impl Iterator<Item = &Objective> {
        self.objectives.iter().filter(move |objective| objective.met == met)
    }

    /// Whether the figures are the server's.
    #[must_use]
    pub fn is_void(&self) -> bool {
        matches!(self.figures, Judged::Void(_))
    }

    /// Reads a stored result.
    ///
    /// # Errors
    /// When there is none, or one of another version.
    pub fn read(path: &Path) -> Result<Self, ResultError> {
        let read = |source| ResultError::Read { path: path.to_owned(), source };
        if fs::metadata(path).map_err(read)?.len() > FILE_MAX {
            return Err(read(io::Error::from(io::ErrorKind::FileTooLarge)));
        }
        Self::parse(path, &fs::read_to_string(path).map_err(read)?)
    }

    /// Reads what was stored in `path`.
    ///
    /// # Errors
    /// When it is no result, or one of another version.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ResultError> {
        let form = |source| ResultError::Form { path: path.to_owned(), source };
        let any: serde_json::Value = serde_json::from_str(text).map_err(form)?;
        match any.get("schema").and_then(|schema| schema.as_str()) {
            Some(found) if found != SCHEMA => {
                Err(ResultError::Version { path: path.to_owned(), found: found.to_owned() })
            }
            _ => serde_json::from_value(any).map_err(form),
        }
    }
}
