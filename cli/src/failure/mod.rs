//! What is said when a command fails: the error with its causes, what to do about it, and an exit code.

mod center;

use segcast_center::grant::IssueError;
use segcast_center::ingest::PackError;
use segcast_center::keys::KeyDirError;
use segcast_center::pack::SaleError;
use segcast_center::serve::StartError;
use segcast_client::access::AccessError;
use segcast_client::connection::ConnectionError;
use segcast_client::fetch::title::TitleError;
use segcast_client::fetch::{FetchError, Reason};
use segcast_client::file::FileError;
use segcast_config::{ExitCode, Problem};
use segcast_keys::file::KeyFileError;
use segcast_keys::keytext::KeyTextError;
use segcast_load::calibrate::CalibrateError;
use segcast_load::plan::PlanError;
use segcast_load::result::ResultError;
use segcast_load::run::RunError;
use segcast_load::server::ServerError;
use segcast_load::slo::SloError;
use segcast_load::view::ViewError;
use segcast_store::StoreError;

use crate::output::{self, OutputError};

/// A command was ended by a signal, and has said so itself.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted(pub(crate) ExitCode);

/// An edge's name that leads to no address.
#[derive(Debug, thiserror::Error)]
#[error("edge {name}: {reason}")]
pub(crate) struct Unresolved {
    pub(crate) name: String,
    pub(crate) reason: String,
}

/// What follows from an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Consequence {
    pub(crate) code: ExitCode,
    pub(crate) advice: Option<String>,
}

impl Consequence {
    fn new(code: ExitCode, advice: &str) -> Self {
        Self { code, advice: Some(advice.to_owned()) }
    }

    fn plain(code: ExitCode) -> Self {
        Self { code, advice: None }
    }
}

/// Prints `error`, its causes and the advice; gives the exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if let Some(Interrupted(code)) = error.downcast_ref() {
        return *code;
    }
    let consequence = consequence(error);
    output::note(format_args!("error: {}", text(error)));
    if let Some(advice) = &consequence.advice {
        output::note(format_args!("  what to do: {advice}"));
    }
    consequence.code
}

/// The error and its causes in one line. A cause that its effect has quoted already is not repeated.
fn text(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// What follows from `error`: the first of its causes that is known decides.
pub(crate) fn consequence(error: &anyhow::Error) -> Consequence {
    let known = error.chain().find_map(|cause| {
        None.or_else(|| cause.downcast_ref().map(fetch))
            .or_else(|| cause.downcast_ref().map(access))
            .or_else(|| cause.downcast_ref().map(file))
            .or_else(|| cause.downcast_ref().map(packing))
            .or_else(|| cause.downcast_ref().map(starting))
            .or_else(|| cause.downcast_ref().map(selling))
            .or_else(|| cause.downcast_ref().map(load))
            .or_else(|| cause.downcast_ref().map(center::asking))
            .or_else(|| cause.downcast_ref().map(center::kept))
            .or_else(|| {
                cause.downcast_ref::<PlanError>().map(|_| Consequence::plain(ExitCode::Usage))
            })
            .or_else(|| cause.downcast_ref().map(calibrating))
            .or_else(|| cause.downcast_ref::<ConnectionError>().map(|_| network()))
            .or_else(|| cause.downcast_ref::<Unresolved>().map(|_| network()))
            .or_else(|| cause.downcast_ref::<Problem>().map(|_| usage()))
            .or_else(|| cause.downcast_ref::<OutputError>().map(|_| unwritten()))
            .or_else(|| cause.downcast_ref().map(issuing))
            .or_else(|| cause.downcast_ref::<StoreError>().map(|_| local()))
            .or_else(|| cause.downcast_ref::<KeyFileError>().map(|_| keys()))
            .or_else(|| cause.downcast_ref::<KeyTextError>().map(|_| keys()))
            .or_else(|| cause.downcast_ref::<KeyDirError>().map(|_| keys()))
            .or_else(|| cause.downcast_ref().map(server_look))
            .or_else(|| cause.downcast_ref::<SloError>().map(|_| usage()))
            .or_else(|| cause.downcast_ref().map(view))
            .or_else(|| cause.downcast_ref::<ResultError>().map(|_| local()))
            .or_else(|| cause.downcast_ref::<std::io::Error>().map(|_| local()))
    });
    known.unwrap_or(Consequence::plain(ExitCode::Failure))
}

fn network() -> Consequence {
    Consequence::plain(ExitCode::Network)
}

fn unwritten() -> Consequence {
    Consequence::new(
        ExitCode::LocalFile,
        "what the command does is done; only what it prints is lost",
    )
}

fn keys() -> Consequence {
    Consequence::plain(ExitCode::NotAllowed)
}

fn local() -> Consequence {
    Consequence::plain(ExitCode::LocalFile)
}

fn usage() -> Consequence {
    Consequence::plain(ExitCode::Usage)
}

/// The server that a load is to look at.
fn server_look(error: &ServerError) -> Consequence {
    match error {
        ServerError::Process { .. } => usage(),
        ServerError::Metrics(_) => network(),
    }
}

fn view(error: &ViewError) -> Consequence {
    match error {
        ViewError::NoTerminal => usage(),
        ViewError::System(_) => local(),
    }
}

/// Its causes are not in the chain: the error shows them as itself.
fn issuing(error: &IssueError) -> Consequence {
    match error {
        IssueError::Keys(_) | IssueError::Token(_) => keys(),
        IssueError::Sets(_)
        | IssueError::SetTwice(_)
        | IssueError::Lifetime(_)
        | IssueError::Rate(_)
        | IssueError::Sessions => usage(),
    }
}

/// Its causes are not in the chain: the error shows them as itself.
fn packing(error: &PackError) -> Consequence {
    match error {
        PackError::Source(_) | PackError::Store(_) => local(),
        PackError::Keys(_) => keys(),
        PackError::Name(_) => {
            Consequence::new(ExitCode::Usage, "give the title a shorter name with --name TEXT")
        }
        PackError::Geometry(_) => usage(),
    }
}

/// A center that does not start.
fn starting(error: &StartError) -> Consequence {
    Consequence::plain(error.exit())
}

/// A title for sale. Its causes are not in the chain: the error shows them as itself.
fn selling(error: &SaleError) -> Consequence {
    match error {
        SaleError::Start(error) => starting(error),
        SaleError::Pack(error) => packing(error),
        SaleError::Refused(_) => usage(),
        SaleError::Database(_) => local(),
    }
}

fn calibrating(error: &CalibrateError) -> Consequence {
    match error {
        CalibrateError::Period(_) => Consequence::plain(ExitCode::Usage),
        _ => Consequence::plain(ExitCode::Failure),
    }
}

fn fetch(error: &FetchError) -> Consequence {
    match error {
        FetchError::Access(error) => access(error),
        FetchError::File(error) => file(error),
        FetchError::Connection(_) => network(),
        FetchError::Edges(_) => Consequence::plain(ExitCode::Usage),
        FetchError::Refused(edges) => {
            edges.first().map_or(network(), |(_, reason)| undelivered(*reason))
        }
        FetchError::NoProgress { .. } => Consequence::new(
            ExitCode::Network,
            "check that the edge runs, that its address and --edge-key are right (a wrong key gets no answer), \
             and that UDP passes; what has come is kept, the same command goes on from there",
        ),
        FetchError::Manifest { .. } => Consequence::new(
            ExitCode::WrongBytes,
            "check that the grant comes from the center that packed this set, or use another edge",
        ),
        FetchError::Title(TitleError::Manifest(_)) => Consequence::plain(ExitCode::WrongBytes),
        FetchError::Title(_) => Consequence::new(
            ExitCode::NotAllowed,
            "get a grant from the center that packed this set",
        ),
        FetchError::NoRunningTime => {
            Consequence::new(ExitCode::Usage, "get it without --play, or pack it with --duration")
        }
        FetchError::NoEdgeLeft { last, .. } => undelivered(*last),
        FetchError::Thread(_) => Consequence::plain(ExitCode::Failure),
        FetchError::Stopped { .. } => Consequence::plain(ExitCode::Interrupted),
    }
}

fn undelivered(reason: Reason) -> Consequence {
    match reason {
        Reason::Code(code) if code.refuses_token() => {
            Consequence::new(ExitCode::NotAllowed, code.advice())
        }
        Reason::Code(code) => Consequence::new(ExitCode::Network, code.advice()),
        Reason::WrongBytes => Consequence::new(
            ExitCode::WrongBytes,
            "use another edge: the store of this one holds something else than the center signed; \
             what was right is kept",
        ),
    }
}

fn load(error: &RunError) -> Consequence {
    match error {
        RunError::Connection(_) | RunError::System(_) => network(),
        RunError::Threads(_) | RunError::PerSocket | RunError::Hearing => {
            Consequence::plain(ExitCode::Usage)
        }
        RunError::Subject { .. } | RunError::Thread(_) => Consequence::plain(ExitCode::Failure),
    }
}

fn access(error: &AccessError) -> Consequence {
    match error {
        AccessError::NoSecret => Consequence::new(
            ExitCode::NotAllowed,
            "give the key that the token was made for with --client-key FILE",
        ),
        AccessError::NotGranted { .. } => {
            Consequence::new(ExitCode::NotAllowed, "get a grant that names the set")
        }
        AccessError::Ambiguous { .. } => {
            Consequence::new(ExitCode::Usage, "say which one with --set ID")
        }
    }
}

fn file(error: &FileError) -> Consequence {
    let advice = match error {
        FileError::Exists { .. } => "choose another --out, or replace it with --force",
        FileError::Irregular { .. } => {
            "choose another --out: nothing is there that a title could replace"
        }
        FileError::NameTooLong { .. } => "choose an --out with a shorter name",
        FileError::TooLarge { .. } => {
            "raise the limit on file sizes (ulimit -f), or choose an --out where files may be larger; \
             what has come is kept, the same command goes on from there"
        }
        FileError::InUse { .. } => "wait for the other fetch, or choose another --out",
        FileError::PartWithoutJournal { .. } | FileError::Journal { .. } => {
            "move it away, choose another --out, or discard it with --force"
        }
        FileError::Full { .. } => {
            "make room, then run the same command again: it goes on from what has come"
        }
        FileError::System { .. } => return local(),
    };
    Consequence::new(ExitCode::LocalFile, advice)
}

#[cfg(test)]
mod tests {
    use anyhow::Context;
    use segcast_proto::wire::code::Code;

    use super::*;

    fn refused(code: Code) -> anyhow::Error {
        FetchError::Refused(vec![(([127, 0, 0, 1], 1).into(), Reason::Code(code))]).into()
    }

    #[test]
    fn the_codes_advice_reaches_the_user() {
        let found = consequence(&refused(Code::TokenExpired));
        assert_eq!(found, Consequence::new(ExitCode::NotAllowed, Code::TokenExpired.advice()));
        assert_eq!(consequence(&refused(Code::Draining)).code, ExitCode::Network);
    }

    #[test]
    fn causes_are_found_below_their_context() {
        let error = Err::<(), _>(FileError::Exists { path: "film".into() })
            .context("could not fetch")
            .unwrap_err();
        assert_eq!(consequence(&error).code, ExitCode::LocalFile);
        assert_eq!(text(&error), "could not fetch: film exists already");
    }

    #[test]
    fn a_cause_that_was_quoted_is_not_repeated() {
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = anyhow::Error::from(FileError::Full { path: "film".into(), source });
        assert_eq!(text(&error).matches("no storage space").count(), 1, "{}", text(&error));
    }

    #[test]
    fn a_store_that_is_taken_is_a_local_failure_and_a_bad_size_a_wrong_argument() {
        let taken = || StoreError::Owned { dir: "store".into(), pid: Some(1) };
        assert_eq!(consequence(&taken().into()).code, ExitCode::LocalFile);
        assert_eq!(consequence(&PackError::from(taken()).into()).code, ExitCode::LocalFile);
        assert_eq!(consequence(&PackError::Name(300).into()).code, ExitCode::Usage);
    }

    #[test]
    fn anything_else_is_a_plain_failure() {
        assert_eq!(consequence(&anyhow::anyhow!("odd")), Consequence::plain(ExitCode::Failure));
    }
}
