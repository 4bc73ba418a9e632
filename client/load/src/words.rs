//! Shares and counts as people read them; amounts are `segcast_config::amount::rounded`'s.

/// `0.125 %` of a share from 0 to 1.
pub(crate) fn share(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 || percent >= 9.995 {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.3} %")
    }
}

/// `1 234 567`, with narrow spaces that do not break.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join("\u{202f}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(share(0.000_12), "0.012 %");
        assert_eq!((share(0.0), share(1.0)), ("0.0 %".into(), "100.0 %".into()));
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(count(12), "12");
    }
}
