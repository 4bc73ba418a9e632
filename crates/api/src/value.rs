//! Values in JSON: ids as hexadecimal digits, bytes as base64url, times as RFC 3339, money in minor units.

use core::fmt;
use core::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use segcast_proto::ids::SetId;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A value in JSON is not what its place asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {wanted}, not {found:?}")]
pub struct BadValue {
    wanted: &'static str,
    found: String,
}

impl BadValue {
    pub(crate) fn new(wanted: &'static str, found: &str) -> Self {
        Self { wanted, found: found.chars().take(80).collect() }
    }
}

/// JSON strings by `Display` and `FromStr`, and their schema.
macro_rules! as_text {
    ($type:ident, $example:literal, $pattern:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }

        #[cfg(feature = "schema")]
        $crate::schema::text!($type, $example, $pattern);
    };
}
pub(crate) use as_text;

/// What an account, device, offer, order, ticket or certificate is known by: 63 random bits, 16 hexadecimal digits in
/// text. It betrays no volume and cannot be guessed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub u64);
as_text!(Id, "3f9a61c07d25b84e", "^[0-9a-f]{16}$");

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

impl FromStr for Id {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let digits = text.len() == 16 && text.bytes().all(is_digit);
        let number = u64::from_str_radix(text, 16).ok().filter(|_| digits);
        // Databases count with a sign.
        let number = number.filter(|number| i64::try_from(*number).is_ok());
        number.map(Self).ok_or_else(|| {
            BadValue::new("16 lower case hexadecimal digits, the first at most 7", text)
        })
    }
}

/// A set: its title's number and its version, 32 hexadecimal digits in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Set(pub SetId);
as_text!(Set, "a1c4e07b52d8936f04b1aa9e00000001", "^[0-9a-f]{32}$");

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Set {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let wanted = || BadValue::new("32 lower case hexadecimal digits", text);
        let set: SetId = text.parse().map_err(|_| wanted())?;
        if set.to_string() == text { Ok(Self(set)) } else { Err(wanted()) }
    }
}

/// At most [`Bytes::MAX`] bytes: base64url without padding in text (RFC 4648, section 5).
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);
as_text!(Bytes, "AAECAwQFBgc", "^[A-Za-z0-9_-]*$");

impl Bytes {
    /// The most that any field takes.
    pub const MAX: usize = 8 << 10;
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

/// Shows only how many: some are tokens.
impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.0.len())
    }
}

impl FromStr for Bytes {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().filter(|bytes| bytes.len() <= Self::MAX);
        // What was found may be a secret.
        bytes.map(Self).ok_or_else(|| BadValue::new("base64url without padding, 8 KiB", "…"))
    }
}

impl<const N: usize> From<[u8; N]> for Bytes {
    fn from(bytes: [u8; N]) -> Self {
        Self(bytes.to_vec())
    }
}

/// A moment: Unix milliseconds, RFC 3339 in UTC in text. Years 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);
as_text!(Timestamp, "2026-05-03T20:00:00Z", "^[0-9]{4}-");

impl Timestamp {
    /// 9999-12-31T23:59:59.999Z.
    const LAST: i64 = 253_402_300_799_999;

    /// From Unix milliseconds; what is out of bounds becomes the nearest there is.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, Self::LAST))
    }

    /// Unix milliseconds.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Unix seconds.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0.unsigned_abs() / 1000
    }

    fn calendar(self) -> OffsetDateTime {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000);
        at.expect("within the years of the calendar")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.calendar().format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Timestamp {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let wanted = || BadValue::new("a time as in RFC 3339, 1970 to 9999", text);
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| wanted())?;
        let millis = i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok();
        millis.filter(|millis| (0..=Self::LAST).contains(millis)).map(Self).ok_or_else(wanted)
    }
}

/// A currency: three letters of ISO 4217.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);
as_text!(Currency, "EUR", "^[A-Z]{3}$");

impl Currency {
    /// The letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("ASCII letters")
    }

    /// How many digits stand behind the point in amounts for people (ISO 4217).
    fn decimals(self) -> u32 {
        match self.as_str() {
            "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF"
            | "UGX" | "UYI" | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
            "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
            _ => 2,
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Currency {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let letters = text.as_bytes().try_into().ok();
        let letters = letters.filter(|text: &[u8; 3]| text.iter().all(u8::is_ascii_uppercase));
        letters
            .map(Self)
            .ok_or_else(|| BadValue::new("three upper case letters as in ISO 4217", text))
    }
}

/// An amount of money. There are no fractions of minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Cents or what the currency has.
    pub minor: i64,
    /// Of which currency.
    pub currency: Currency,
}

/// For people: `4.99 EUR`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minor < 0 { "-" } else { "" };
        let (minor, currency) = (self.minor.unsigned_abs(), self.currency);
        match currency.decimals() {
            0 => write!(f, "{sign}{minor} {currency}"),
            decimals => {
                let unit = 10_u64.pow(decimals);
                let width = decimals as usize;
                write!(f, "{sign}{}.{:0width$} {currency}", minor / unit, minor % unit)
            }
        }
    }
}

/// As people write it: `4.99 EUR`, `499 JPY`.
impl FromStr for Money {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let wanted = || BadValue::new("an amount and a currency as in \"4.99 EUR\"", text);
        let (amount, currency) = text.split_once(' ').ok_or_else(wanted)?;
        let currency: Currency = currency.parse()?;
        let (units, fraction) = amount.split_once('.').unwrap_or((amount, ""));
        let decimals = currency.decimals() as usize;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if units.is_empty() || !digits(units) || !digits(fraction) {
            return Err(wanted());
        }
        if !(fraction.is_empty() && !amount.contains('.') || fraction.len() == decimals) {
            return Err(wanted());
        }
        let minor = format!("{units}{fraction:0<decimals$}").parse().map_err(|_| wanted())?;
        Ok(Self { minor, currency })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json<T: Serialize + for<'de> Deserialize<'de> + PartialEq + fmt::Debug>(
        value: &T,
        text: &str,
    ) {
        assert_eq!(serde_json::to_string(value).unwrap(), text);
        assert_eq!(&serde_json::from_str::<T>(text).unwrap(), value);
    }

    #[test]
    fn values_read_back_what_they_print() {
        json(&Id(0x3f9a), "\"0000000000003f9a\"");
        json(&Set(SetId::new([0xA1; 12], 7)), "\"a1a1a1a1a1a1a1a1a1a1a1a100000007\"");
        json(&Bytes(vec![0xFB, 0xFF]), "\"-_8\"");
        json(&Timestamp::from_millis(1_777_838_400_000), "\"2026-05-03T20:00:00Z\"");
        json(&Timestamp::from_millis(1_777_838_400_250), "\"2026-05-03T20:00:00.25Z\"");
        let money = Money { minor: 499, currency: "EUR".parse().unwrap() };
        json(&money, r#"{"minor":499,"currency":"EUR"}"#);
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for text in ["", "3F9A000000000000", "8000000000000000", "+000000000000001", "12"] {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
        for text in ["", "A1A1A1A1A1A1A1A1A1A1A1A100000007", "a1"] {
            assert!(text.parse::<Set>().is_err(), "{text}");
        }
        for text in ["=", "-_8=", "a b"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
        for text in ["1969-12-31T23:59:59Z", "2026-05-03", "now", "9999-12-31T23:59:59-01:00"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
        for text in ["eur", "EU", "EURO", "É1"] {
            assert!(text.parse::<Currency>().is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Money>(r#"{"minor":1.5,"currency":"EUR"}"#).is_err());
        assert!(serde_json::from_str::<Money>(r#"{"minor":1,"currency":"EUR","x":1}"#).is_err());
    }

    #[test]
    fn money_is_read_as_people_write_it() {
        for text in ["4.99 EUR", "0.05 EUR", "499 JPY", "1.005 KWD"] {
            assert_eq!(text.parse::<Money>().unwrap().to_string(), text);
        }
        assert_eq!("5 EUR".parse::<Money>().unwrap().minor, 500);
        for text in ["4.9 EUR", "4.999 EUR", "-1 EUR", ".50 EUR", "5. EUR", "5EUR", "4.99 JPY"] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
    }
}
