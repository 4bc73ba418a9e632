//! Keys on the command line: where the key directory is, and public keys given as text or as a file.

use std::path::{Path, PathBuf};

use clap::Args;
use segcast_keys::file;
use segcast_keys::keytext::{self, KeyKind};

/// The directory of keys.
#[derive(Args, Clone, Debug)]
pub(crate) struct KeysArg {
    /// Directory of keys; what is missing in it is made on first use
    #[arg(long, env = "SEGCAST_KEYS", value_name = "DIR", default_value = "keys")]
    pub(crate) keys: PathBuf,
}

/// A public key of `kind`: its text itself, or the name of a file that holds it.
pub(crate) fn public_key(kind: KeyKind, text_or_file: &str) -> anyhow::Result<[u8; 32]> {
    if text_or_file.starts_with("segcast-") && !Path::new(text_or_file).exists() {
        return Ok(*keytext::parse(kind, text_or_file)?);
    }
    Ok(*file::read(Path::new(text_or_file), kind)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_as_text_and_as_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let text = keytext::format(KeyKind::EdgePublic, &[7; 32]);
        let file = folder.path().join("edge.pub");
        std::fs::write(&file, text.as_bytes()).unwrap();
        let file = file.to_str().unwrap();
        assert_eq!(public_key(KeyKind::EdgePublic, file).unwrap(), [7; 32]);
        assert_eq!(public_key(KeyKind::EdgePublic, text.trim_end()).unwrap(), [7; 32]);
        assert!(public_key(KeyKind::CenterPublic, text.trim_end()).is_err());
        assert!(public_key(KeyKind::EdgePublic, "no-such-file").is_err());
    }
}
