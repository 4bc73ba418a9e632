//! What follows when a center says no, or what is kept of it here is not right.

use segcast_api::client::ClientError;
use segcast_api::problem::{Code, Problem};
use segcast_config::ExitCode;

use super::Consequence;
use crate::rights::RightsError;
use crate::words;

/// Of a request to a center.
pub(super) fn asking(error: &ClientError) -> Consequence {
    match error {
        ClientError::Url(_) => Consequence::plain(ExitCode::Usage),
        ClientError::Certificates(_) => Consequence::new(
            ExitCode::Usage,
            "--ca takes the center's certificate in PEM, as in its state folder",
        ),
        ClientError::Unreachable { reason, .. } if reason.contains("certificate") => {
            Consequence::new(
                ExitCode::NotAllowed,
                "a center with a certificate of its own making needs --ca FILE at the login; \
                 else somebody may be in between: ask the operator",
            )
        }
        ClientError::Unreachable { .. } => Consequence::new(
            ExitCode::Network,
            "check the address, and that the center runs; what `segcast tokens` shows can be fetched without it, \
             and a request that spends is asked for again by the next command",
        ),
        ClientError::Answer { .. } => Consequence::new(
            ExitCode::Network,
            "check the address; a newer center may need a newer segcast",
        ),
        ClientError::Refused(problem) => refused(problem),
    }
}

fn refused(problem: &Problem) -> Consequence {
    let more = &problem.more;
    let at = more.at.map(|at| format!(" at {}", words::moment(at))).unwrap_or_default();
    let request = problem.request_id.as_deref().unwrap_or("unknown");
    let advice = match problem.code {
        Code::Unauthenticated => "log in again: segcast login URL".to_owned(),
        Code::Forbidden => "this needs an account with another role".to_owned(),
        Code::LoginFailed => {
            "check login and password; after some wrong ones wait a minute".to_owned()
        }
        Code::TicketExpired => format!("it ended{at}: order it again with `segcast order`"),
        Code::TicketSpent => {
            let device = more.device.as_deref().unwrap_or("another device");
            format!(
                "it was played{at} on device \"{device}\"; `segcast tickets` shows what is left"
            )
        }
        Code::TicketRevoked | Code::CertificateRevoked => {
            format!("it was withdrawn{at}: ask the operator, with request {request}")
        }
        Code::CertificateExpired => {
            format!("the time to watch was over{at}; `segcast tickets` shows what is left")
        }
        Code::InsufficientFunds => match (more.needed, more.present) {
            (Some(needed), Some(present)) => format!("it costs {needed}, the balance is {present}"),
            _ => "top up the balance first".to_owned(),
        },
        Code::WrongDevice => {
            let device = more.device.as_deref().unwrap_or("another one");
            format!("it belongs to device \"{device}\": validate a ticket here with `segcast get`")
        }
        Code::TooManyDevices => "revoke one: segcast devices --revoke ID".to_owned(),
        Code::OfferGone => "see what is offered now: segcast catalog".to_owned(),
        Code::RateLimited => match more.retry_after {
            Some(seconds) => format!("try again in {seconds} s"),
            None => "try again later".to_owned(),
        },
        Code::Internal => format!("ask the operator, with request {request}"),
        Code::DatabaseUnavailable | Code::Draining => "try again in a minute".to_owned(),
        _ => return Consequence::plain(ExitCode::NotAllowed),
    };
    let code = match problem.code {
        Code::Internal | Code::DatabaseUnavailable | Code::Draining | Code::RateLimited => {
            ExitCode::Network
        }
        _ => ExitCode::NotAllowed,
    };
    Consequence::new(code, &advice)
}

/// Of what is kept on this machine.
pub(super) fn kept(error: &RightsError) -> Consequence {
    match error {
        RightsError::NoLogin => {
            Consequence::new(ExitCode::NotAllowed, "log in first: segcast login URL")
        }
        RightsError::NoHome | RightsError::File { .. } => Consequence::plain(ExitCode::LocalFile),
        RightsError::Mode { path, right, .. } => {
            Consequence::new(ExitCode::NotAllowed, &format!("chmod {right:o} {}", path.display()))
        }
        RightsError::Content { .. } => Consequence::new(
            ExitCode::LocalFile,
            "move it away; the center gives tickets again at `segcast tickets`",
        ),
        RightsError::Forged(_) => {
            Consequence::new(ExitCode::NotAllowed, "do not go on; ask the operator")
        }
        RightsError::ClockBack(_) => Consequence::new(
            ExitCode::NotAllowed,
            "set the clock; until then nothing is played without the center",
        ),
        RightsError::NoTicket(title) => {
            Consequence::new(ExitCode::NotAllowed, &format!("order it: segcast order {title}"))
        }
        RightsError::LastPlay(title) => Consequence::new(
            ExitCode::NotAllowed,
            &format!("if that is what you want: segcast get {title} --yes"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use segcast_api::problem::More;
    use segcast_api::value::Timestamp;

    use super::*;

    #[test]
    fn a_spent_ticket_says_when_and_where() {
        let at = Some(Timestamp::from_millis(1_777_835_520_000));
        let more = More { at, device: Some("tv".into()), ..More::default() };
        let problem = Problem::new(Code::TicketSpent, "this ticket was played").with(more);
        let found = asking(&ClientError::Refused(Box::new(problem)));
        let advice = found.advice.unwrap();
        assert!(
            advice.starts_with("it was played at 2026-05-03 19:12 UTC on device \"tv\""),
            "{advice}"
        );
        assert_eq!(found.code, ExitCode::NotAllowed);
    }

    #[test]
    fn who_is_not_logged_in_is_told_how() {
        let found = kept(&RightsError::NoLogin);
        assert_eq!(found.advice.as_deref(), Some("log in first: segcast login URL"));
    }
}
