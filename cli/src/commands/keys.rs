//! Keys on the command line: where the key directory is, and public keys given as text or as a file.

use anyhow::Context;
use clap::Args;
use segcast_keys::keytext::{self, KeyKind};
use std::path::{Path, PathBuf};

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
    let text = read_small(Path::new(text_or_file), keytext::TEXT_MAX)?;
    Ok(*keytext::parse(kind, &text).with_context(|| text_or_file.to_owned())?)
}

/// The text of a file that has at most `max` bytes.
pub(crate) fn read_small(path: &Path, max: usize) -> anyhow::Result<zeroize::Zeroizing<String>> {
    use std::io::Read;
    let name = || format!("could not read {}", path.display());
    let file = std::fs::File::open(path).with_context(name)?;
    let mut text = zeroize::Zeroizing::new(String::with_capacity(max + 1));
    file.take(max as u64 + 1).read_to_string(&mut text).with_context(name)?;
    anyhow::ensure!(text.len() <= max, "{}: longer than {max} bytes", path.display());
    Ok(text)
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

    #[test]
    fn a_file_that_is_too_long_is_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("long");
        std::fs::write(&file, vec![b'x'; 1000]).unwrap();
        assert!(read_small(&file, 999).is_err());
        assert!(read_small(&file, 1000).is_ok());
    }
}
