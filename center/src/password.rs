//! Passwords: argon2id with the small setting of OWASP's cheat sheet, as many at once as there are cores.
//!
//! Each takes 19 MiB and some 20 ms of a core. Who comes when 64 are waiting is refused: hashes of others' logins must
//! not take the machine.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use segcast_api::text::Secret;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
/// Memory, KiB; passes; lanes.
const COST: (u32, u32, u32) = (19_456, 2, 1);

/// Hashes that may wait for a core.
const WAITING_MAX: usize = 64;

/// Where passwords are hashed. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Passwords {
    /// One for each core.
    working: Arc<Semaphore>,
    /// One for each that works or waits.
    waiting: Arc<Semaphore>,
}

/// Too many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl Passwords {
    pub(crate) fn new() -> Self {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            working: Arc::new(Semaphore::new(cores)),
            waiting: Arc::new(Semaphore::new(cores + WAITING_MAX)),
        }
    }

    /// The hash of a password, as text that says how it was made.
    pub(crate) async fn hash(&self, password: Secret) -> Result<String, Busy> {
        self.work(move || hash(password.expose())).await
    }

    /// Whether a password has this hash. Without one it takes as long, and is wrong: who guesses logins learns nothing.
    pub(crate) async fn verify(
        &self,
        password: Secret,
        hash: Option<String>,
    ) -> Result<bool, Busy> {
        self.work(move || match hash {
            Some(hash) => {
                hasher().verify_password(password.expose().as_bytes(), hash.as_str()).is_ok()
            }
            None => {
                self::hash(password.expose());
                false
            }
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let _waiting = self.waiting.try_acquire().map_err(|_| Busy)?;
        let _working = self.working.acquire().await.map_err(|_| Busy)?;
        spawn_blocking(act).await.map_err(|_| Busy)
    }
}

fn hash(password: &str) -> String {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).expect("getrandom(2) does not fail on a system that has started");
    let hash = hasher().hash_password_with_salt(password.as_bytes(), &salt);
    hash.expect("salt and cost are within argon2's bounds").to_string()
}

fn hasher() -> Argon2<'static> {
    let (memory, passes, lanes) = COST;
    let params = Params::new(memory, passes, lanes, None).expect("within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(password: &str) -> Secret {
        Secret::new(password.to_owned())
    }

    #[tokio::test]
    async fn a_password_has_its_own_hash_and_no_other_has_it() {
        let passwords = Passwords::new();
        let hash = passwords.hash(text("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, passwords.hash(text("correct horse")).await.unwrap(), "a salt of its own");
        assert!(passwords.verify(text("correct horse"), Some(hash.clone())).await.unwrap());
        for (password, hash) in
            [("wrong", Some(hash)), ("correct horse", None), ("x", Some("no hash".to_owned()))]
        {
            assert!(!passwords.verify(text(password), hash).await.unwrap());
        }
    }

    #[tokio::test]
    async fn who_comes_when_all_wait_is_refused() {
        let passwords = Passwords::new();
        let all = passwords.waiting.available_permits() as u32;
        let _taken = passwords.waiting.acquire_many(all).await.unwrap();
        assert_eq!(passwords.hash(text("x")).await, Err(Busy));
    }
}
