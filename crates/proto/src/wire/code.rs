//! The codes of WELCOME, REFUSE and CLOSE (section 14), with words for people.

use core::fmt;

/// Writes the table once and everything that follows from it.
macro_rules! codes {
    ($($number:literal $variant:ident $name:literal $meaning:literal $advice:literal;)*) => {
        /// Why a session or a request was refused or ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = concat!($name, ": ", $meaning, ".")] $variant,)*
            /// A code that this version does not know.
            Unknown(u16),
        }

        impl Code {
            /// Every known code, in ascending order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in section 14.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Unknown(_) => "UNKNOWN",
                }
            }

            /// What a client does about it.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self {
                    $(Self::$variant => $advice,)*
                    Self::Unknown(_) => "use another edge, or a newer client",
                }
            }

            const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)*
                    Self::Unknown(_) => "a code that this version does not know",
                }
            }
        }

        impl From<u16> for Code {
            fn from(number: u16) -> Self {
                match number {
                    $($number => Self::$variant,)*
                    other => Self::Unknown(other),
                }
            }
        }

        impl From<Code> for u16 {
            fn from(code: Code) -> Self {
                match code {
                    $(Code::$variant => $number,)*
                    Code::Unknown(number) => number,
                }
            }
        }
    };
}

codes! {
    0 Ok "OK" "all is well" "go on";
    1 TokenInvalid "TOKEN_INVALID" "the access token is malformed, altered, too long, or signed with another algorithm" "get a new token";
    2 TokenExpired "TOKEN_EXPIRED" "the access token has expired" "get a new token";
    3 TokenNotYetValid "TOKEN_NOT_YET_VALID" "the access token is not valid yet" "check the clock, then try later";
    4 TokenUnknownIssuer "TOKEN_UNKNOWN_ISSUER" "the edge knows no center key with the id in the access token" "use another edge, or get a new token";
    5 TokenWrongKey "TOKEN_WRONG_KEY" "the access token was made for another client key" "use the key that the token was made for";
    6 Busy "BUSY" "sessions or handshakes are at their limit" "wait as long as the edge says, or use another edge";
    7 TooManySessions "TOO_MANY_SESSIONS" "the access token's sessions are all in use" "close one";
    8 Draining "DRAINING" "the edge is shutting down" "use another edge";
    16 UnknownSet "UNKNOWN_SET" "the access token does not name the set, or the edge does not have it" "use another edge";
    17 PastEnd "PAST_END" "the set has no such segment or page" "correct the request";
    18 SegmentUnavailable "SEGMENT_UNAVAILABLE" "the segment is damaged, unreadable or not stored here" "use another edge";
    19 TooManyRequests "TOO_MANY_REQUESTS" "more requests are outstanding, or came in a second, than the edge allows" "ask for less at once, and not before the edge says";
    20 BadRequest "BAD_REQUEST" "the request is malformed, or its ranges are out of order" "correct the request";
    21 Overloaded "OVERLOADED" "the edge could not serve the request in time" "use another edge, or wait as long as the edge says";
    32 ClientDone "CLIENT_DONE" "the client has closed the session" "nothing";
    33 Idle "IDLE" "nothing came from the client for the idle timeout" "begin a new session";
    34 LyingReport "LYING_REPORT" "the client reported packets that it cannot have received" "correct the client";
    35 ProtocolViolation "PROTOCOL_VIOLATION" "an authentic packet broke the protocol" "correct the program at the other end";
    36 KeyExhausted "KEY_EXHAUSTED" "the packet keys are used up" "begin a new session";
    37 Flood "FLOOD" "more requests a second came than the edge allows" "ask more slowly";
    38 TokenEnded "TOKEN_ENDED" "the access token expired during the session" "begin a new session with a new token";
}

impl Code {
    /// Whether it is the access token that was refused (section 14): the same edge refuses the same token again,
    /// so a client gives that edge up, where after other codes it may begin a new session.
    #[must_use]
    pub const fn refuses_token(self) -> bool {
        matches!(
            self,
            Self::TokenInvalid
                | Self::TokenExpired
                | Self::TokenNotYetValid
                | Self::TokenUnknownIssuer
                | Self::TokenWrongKey
                | Self::TokenEnded
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} {})", self.meaning(), self.name(), u16::from(*self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_survives() {
        for number in 0..=u16::MAX {
            assert_eq!(u16::from(Code::from(number)), number);
        }
        let known = (0..=u16::MAX).map(Code::from).filter(|c| !matches!(c, Code::Unknown(_)));
        assert!(known.eq(Code::ALL.iter().copied()));
        assert_eq!(Code::ALL.len(), 22);
    }

    #[test]
    fn what_refuses_the_token_is_named_after_it() {
        for code in Code::ALL {
            assert_eq!(code.refuses_token(), code.name().starts_with("TOKEN_"), "{code}");
        }
        assert!(!Code::Unknown(999).refuses_token());
    }

    #[test]
    fn the_table_of_the_document_has_every_code_and_what_to_do_about_it() {
        let document = include_str!("../../../../docs/protocol/limits.md");
        let row = |line: &'static str| -> Option<[&'static str; 4]> {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            cells.try_into().ok()
        };
        let codes = document.lines().skip_while(|line| !line.starts_with("| code | name |"));
        let rows = codes.skip(2).map_while(row).map(|[number, name, _, action]| {
            assert!(!action.is_empty(), "{name}: what does a client do?");
            (number.to_owned(), name)
        });
        let known = Code::ALL.iter().map(|code| (u16::from(*code).to_string(), code.name()));
        assert_eq!(rows.collect::<Vec<_>>(), known.collect::<Vec<_>>());
    }

    #[test]
    fn words_name_the_code() {
        assert_eq!(
            Code::Idle.to_string(),
            "nothing came from the client for the idle timeout (IDLE 33)"
        );
        assert_eq!(
            Code::from(999).to_string(),
            "a code that this version does not know (UNKNOWN 999)"
        );
    }
}
