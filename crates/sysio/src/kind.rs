//! Names of the drivers, and which of them this program has.

use crate::error::SysError;

/// The drivers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, strum::VariantArray)]
pub enum IoKind {
    /// io_uring.
    Ring,
    /// epoll, recvmmsg, sendmmsg.
    Mmsg,
    /// tokio-uring; for comparison, behind a feature.
    TokioUring,
    /// glommio; for comparison, behind a feature.
    Glommio,
}

impl IoKind {
    /// All of them, built in or not.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Its name in configurations, metrics and on the command line; for those behind a feature also the feature's.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            IoKind::Ring => "ring",
            IoKind::Mmsg => "mmsg",
            IoKind::TokioUring => "tokio-uring",
            IoKind::Glommio => "glommio",
        }
    }

    /// Whether this program has it.
    #[must_use]
    pub fn is_built(self) -> bool {
        match self {
            IoKind::Ring | IoKind::Mmsg => true,
            IoKind::TokioUring => cfg!(feature = "tokio-uring"),
            IoKind::Glommio => cfg!(feature = "glommio"),
        }
    }

    /// Says that this program does not have it, and how it would.
    pub(crate) fn not_built(self) -> SysError {
        let cause = std::io::Error::from_raw_os_error(libc::EOPNOTSUPP);
        let name = self.name();
        SysError::new(format!("use the driver {name}"), cause).with_hint(format!(
            "this program was built without it; build it with --features {name}"
        ))
    }
}
