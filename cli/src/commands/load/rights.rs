//! Keys and tokens of the sessions: made here for each of them, or one grant for all.

use std::time::Duration;

use segcast_center::grant::{Client, Limits, issue_grant};
use segcast_center::keys::KeyDir;
use segcast_client::access::Access;
use segcast_load::plan::{TITLES_MAX, Workload};
use segcast_proto::ids::{SetHandle, SetId};
use segcast_sysio::clock::unix_seconds;

use super::args::RightsArgs;
use crate::commands::get::read_access;
use crate::secret::fresh_key;

/// Tokens are valid for this long beyond the run.
const SPARE_LIFETIME: Duration = Duration::from_secs(3600);

/// What sessions may fetch, and with which keys.
pub(super) struct Rights {
    /// Handles and sets, the most popular first.
    pub(super) titles: Vec<(SetHandle, SetId)>,
    /// One for each session, or one for all.
    pub(super) access: Vec<Access>,
}

impl Rights {
    pub(super) fn new(args: &RightsArgs, workload: &Workload) -> anyhow::Result<Self> {
        match &args.grant {
            Some(grant) => {
                let access = read_access(grant, args.client_key.as_deref())?;
                let titles = if args.set.is_empty() {
                    (0..).map(SetHandle).zip(access.sets()).collect()
                } else {
                    let handle = |set: &SetId| Ok((access.title(Some(*set))?.0, *set));
                    args.set.iter().map(handle).collect::<anyhow::Result<_>>()?
                };
                Ok(Self { titles, access: vec![access] })
            }
            None => Self::mint(args, workload),
        }
    }

    /// A key pair and a token for each session.
    fn mint(args: &RightsArgs, workload: &Workload) -> anyhow::Result<Self> {
        anyhow::ensure!(
            !args.set.is_empty(),
            "nothing to fetch: name up to {TITLES_MAX} sets with --set ID, or give a grant with --grant FILE"
        );
        let keys = KeyDir::open(&args.keys)?;
        let run: Duration = workload.phases.iter().map(|phase| phase.duration).sum();
        let lifetime = Duration::from_secs(run.as_secs()) + SPARE_LIFETIME;
        let limits = Limits { lifetime, rate_cap_kbits: None, sessions: None };
        let now = unix_seconds();
        // Titles' keys are read once; every session then has the same ones.
        let first = issue_grant(&keys, &Client::Secret(fresh_key()?), &args.set, &limits, now)?;
        let center = keys.center()?;
        let access = (0..workload.sessions_max()).map(|_| {
            let secret = fresh_key()?;
            let mut grant = first.clone();
            grant.token = segcast_center::grant::issue_token(
                &center,
                &secret.public(),
                &args.set,
                &limits,
                now,
            )?;
            grant.client_secret = Some(zeroize::Zeroizing::new(*secret.expose()));
            Ok(Access::new(grant, None)?)
        });
        let access = access.collect::<anyhow::Result<_>>()?;
        Ok(Self { titles: (0..).map(SetHandle).zip(args.set.iter().copied()).collect(), access })
    }
}
