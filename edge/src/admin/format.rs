//! Which text a scraper gets: Prometheus's own, or OpenMetrics where that is preferred (RFC 9110, section 12.5.1).

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Prometheus's text, 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// What an Accept header prefers. Without one, and when it has no preference, the text that everything reads.
    pub(super) fn accepted(header: &str) -> Self {
        let weight =
            |wanted: &str| items(header).find(|(kind, _)| kind.eq_ignore_ascii_case(wanted));
        let any_of =
            |kinds: &[&str]| kinds.iter().find_map(|kind| weight(kind)).map_or(0.0, |(_, q)| q);
        if any_of(&["application/openmetrics-text"]) > any_of(&["text/plain", "text/*", "*/*"]) {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// The Content-Type.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Media types with their weights, 1 where none is written.
fn items(header: &str) -> impl Iterator<Item = (&str, f32)> {
    header.split(',').filter_map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let kind = parts.next()?;
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        Some((kind, weight.map_or(Some(1.0), |weight| weight.parse().ok())?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heavier_one_is_given_and_the_text_when_in_doubt() {
        for text in [
            "",
            "*/*",
            "text/plain;version=0.0.4",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.4, text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;q=0.4,text/*;q=0.5",
            "application/openmetrics-text,text/plain",
            "application/openmetrics-text;q=much",
        ] {
            assert_eq!(Format::accepted(text), Format::Text, "{text}");
        }
        for open in [
            "application/openmetrics-text",
            "Application/OpenMetrics-Text; version=1.0.0; charset=utf-8",
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "text/plain;q=0.1,application/openmetrics-text;q=0.5,*/*;q=0.9",
        ] {
            assert_eq!(Format::accepted(open), Format::OpenMetrics, "{open}");
        }
    }
}
