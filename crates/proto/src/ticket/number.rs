//! Serial numbers and accounts: 64 bits, 16 hexadecimal digits as text.

use core::fmt;
use core::str::FromStr;

/// Names a ticket or a certificate; that of a certificate is the *play id*.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(pub u64);

/// Names a customer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub u64);

/// `text` is not 16 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a number of 16 hexadecimal digits, not {text:?}")]
pub struct BadNumber {
    /// What was given.
    pub text: String,
}

fn parse(text: &str) -> Result<u64, BadNumber> {
    let mut bytes = [0; 8];
    match hex::decode_to_slice(text, &mut bytes) {
        Ok(()) => Ok(u64::from_be_bytes(bytes)),
        Err(_) => Err(BadNumber { text: text.to_owned() }),
    }
}

macro_rules! as_text {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = BadNumber;

            fn from_str(text: &str) -> Result<Self, BadNumber> {
                parse(text).map(Self)
            }
        }
    )*};
}

as_text!(Serial AccountId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_reads_back_what_it_prints() {
        for number in [0, 0x12_3456, u64::MAX] {
            assert_eq!(Serial(number).to_string().parse(), Ok(Serial(number)));
        }
        assert_eq!(format!("{:?}", AccountId(10)), "AccountId(000000000000000a)");
        for text in ["", "a", "+00000000000000a", "00000000000000000a", "xxxxxxxxxxxxxxxx"] {
            assert_eq!(text.parse::<Serial>(), Err(BadNumber { text: text.to_owned() }));
        }
    }
}
