//! How a session ends: what it tells its client, and who began.

use crate::wire::code::Code;

/// Why a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::session::server) struct Ending {
    pub(in crate::session::server) code: Code,
    pub(in crate::session::server) by_client: bool,
}

impl From<Code> for Ending {
    fn from(code: Code) -> Self {
        Self { code, by_client: false }
    }
}
