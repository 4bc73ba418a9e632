//! `--io`: which driver moves the datagrams.

use clap::ValueEnum;
use segcast_sysio::probe::IoKind;

/// Which driver moves the datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum IoArg {
    /// The best one that works here
    #[default]
    Auto,
    /// io_uring
    Ring,
    /// recvmmsg and sendmmsg
    Mmsg,
    /// tokio-uring, if built with the feature of that name
    TokioUring,
    /// glommio, if built with the feature of that name
    Glommio,
}

impl IoArg {
    /// What the driver's probe takes.
    pub(crate) fn kind(self) -> Option<IoKind> {
        match self {
            Self::Auto => None,
            Self::Ring => Some(IoKind::Ring),
            Self::Mmsg => Some(IoKind::Mmsg),
            Self::TokioUring => Some(IoKind::TokioUring),
            Self::Glommio => Some(IoKind::Glommio),
        }
    }

    /// As written on the command line.
    pub(crate) fn word(self) -> &'static str {
        self.kind().map_or("auto", IoKind::name)
    }
}
