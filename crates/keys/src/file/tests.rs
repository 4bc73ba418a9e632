//! Files as they lie on disks: modes, links, foreign texts, names that are taken.

use std::fs;

use segcast_proto::ids::SetId;

use super::*;
use crate::grant::GrantedTitle;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn grant() -> Grant {
    Grant {
        token: vec![1],
        center_key: [2; 32],
        titles: vec![GrantedTitle { set: SetId([3; 16]), key: None }],
        client_secret: None,
    }
}

#[test]
fn a_key_is_read_back_and_secrets_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edge.key");
    create(&path, KeyKind::EdgeSecret, &[3; 32]).unwrap();
    assert_eq!(*read::<32>(&path, KeyKind::EdgeSecret).unwrap(), [3; 32]);
    assert_eq!(mode(&path), 0o600);
    let public = folder.path().join("edge.pub");
    create(&public, KeyKind::EdgePublic, &[4; 32]).unwrap();
    // The umask may take bits away, never add any.
    assert_eq!(mode(&public) & !0o644, 0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
}

#[test]
fn a_key_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edge.key");
    create(&path, KeyKind::EdgeSecret, &[3; 32]).unwrap();
    let again = create(&path, KeyKind::EdgeSecret, &[4; 32]);
    assert!(matches!(again, Err(KeyFileError::Exists { .. })), "{again:?}");
    assert_eq!(*read::<32>(&path, KeyKind::EdgeSecret).unwrap(), [3; 32]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn a_link_that_leads_nowhere_is_not_written_through() {
    let folder = tempfile::tempdir().unwrap();
    let (path, elsewhere) = (folder.path().join("edge.key"), folder.path().join("elsewhere"));
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    let refused = create(&path, KeyKind::EdgeSecret, &[3; 32]);
    assert!(matches!(refused, Err(KeyFileError::Exists { .. })), "{refused:?}");
    assert!(!elsewhere.exists());
}

#[test]
fn a_secret_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edge.key");
    create(&path, KeyKind::EdgeSecret, &[3; 32]).unwrap();
    for bad in [0o640, 0o604, 0o620, 0o666] {
        fs::set_permissions(&path, Permissions::from_mode(bad)).unwrap();
        let error = read::<32>(&path, KeyKind::EdgeSecret).unwrap_err();
        assert!(matches!(error, KeyFileError::Mode { mode, .. } if mode == bad), "{error}");
        let advice = format!("chmod 600 {}", path.display());
        assert!(error.to_string().contains(&advice), "{error}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    assert!(read::<32>(&path, KeyKind::EdgeSecret).is_ok());
}

#[test]
fn a_grant_is_written_once_and_read_by_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alice.grant");
    create_grant(&path, &grant()).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(read_grant(&path).unwrap(), grant());
    assert!(matches!(create_grant(&path, &grant()), Err(KeyFileError::Exists { .. })));
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(read_grant(&path), Err(KeyFileError::Mode { mode: 0o644, .. })));
}

#[test]
fn errors_name_the_file_and_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("edge.pub");
    let message = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        read::<32>(&path, KeyKind::EdgePublic).unwrap_err().to_string()
    };
    let other = keytext::format(KeyKind::CenterPublic, &[1; 32]);
    let shown = message(other.as_bytes());
    assert!(shown.contains("edge.pub: line 1 is a `segcast-center-public` key"), "{shown}");
    assert!(message(b"").contains("line 1 is no key"));
    assert!(message(&[0xFF; 20]).contains("short texts"));
    assert!(message(&[b'a'; TEXT_MAX + 1]).contains("at most 128 bytes"));
    fs::remove_file(&path).unwrap();
    assert!(read::<32>(&path, KeyKind::EdgePublic).unwrap_err().is_not_found());
}
