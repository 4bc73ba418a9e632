//! The result as one HTML file that needs nothing else: no script, no fetch, dark and light, wide and narrow.

mod color;
mod parts;
mod plot;
mod plots;
mod tables;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::result::{Extent, LoadResult, Verdict};

/// The whole page.
#[must_use]
pub fn html(result: &LoadResult) -> String {
    let figures = result.figures.whatever_they_are_worth();
    let worth = if result.is_void() { "worthless" } else { "worth" };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (result.headline) }
                style { (PreEscaped(include_str!("style.css"))) (PreEscaped(color::style())) }
            }
            body { main {
                h1 { "segcast load" }
                (verdict(result))
                section class=(worth) { (parts::tiles(result)) }
                @if !result.objectives.is_empty() {
                    section class=(worth) { h2 { "Objectives" } (tables::objectives(result)) }
                }
                section class=(worth) { h2 { "What became of every segment" } (parts::ledger(&figures.all)) }
                section class=(worth) { h2 { "How long it took" } (plots::spectra(figures)) }
                section class=(worth) { h2 { "Second by second" } (plots::seconds(result)) }
                section class=(worth) { h2 { "Phases" } (tables::phases(figures)) }
                section class=(worth) { h2 { "Times" } (tables::times(&figures.all)) }
                @if let Some(server) = &result.server {
                    section class=(worth) { h2 { "What the server used" } (tables::server(server)) }
                }
                section { h2 { "The generator itself" } (tables::generator(result))
                    @if let Some(others) = &result.others { p.soft.small { (others) } } }
                section { h2 { "Not measured" }
                    ul.caveats { @for caveat in &result.not_measured { li { (caveat) } } } }
                section { h2 { "This run" } (parts::identity(result)) }
            } }
        }
    };
    page.into_string()
}

fn listed(result: &LoadResult, met: Option<bool>) -> Markup {
    html! {
        ul { @for objective in result.with(met) {
            li { code { (objective.text) } ": " (objective.found) }
        } }
    }
}

fn verdict(result: &LoadResult) -> Markup {
    let class = match result.verdict {
        Verdict::Passed => "passed",
        Verdict::Failed => "failed",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Measured => "measured",
    };
    let met = result.with(Some(true)).count();
    let all = result.objectives.len();
    html! {
        div.verdict.(class) {
            @match result.verdict {
                Verdict::Passed => strong { "Passed: " (met) " of " (all) " objectives met" },
                Verdict::Failed => {
                    strong { "Failed: " (met) " of " (all) " objectives met" }
                    (listed(result, Some(false)))
                },
                Verdict::Inconclusive if result.bottleneck.is_empty() => {
                    strong { "Inconclusive: " (met) " of " (all) " objectives met, and not every other can be judged" }
                    (listed(result, None))
                },
                Verdict::Inconclusive => {
                    strong { "Inconclusive: the generator was the bottleneck" }
                    "Nothing here says anything about the server. "
                    ul { @for why in &result.bottleneck { li { (why) } } }
                },
                Verdict::Measured => strong { "Measured; no objectives were set" },
            }
        }
        @if let Extent::Partial { why } = &result.extent {
            span.stamp { "PARTIAL · " (why) }
        }
        @if let Some(others) = result.others.as_ref().filter(|others| others.are_too_many()) {
            span.stamp { "BUSY BOX · " (others) }
        }
        @if result.fingerprint.one_box {
            span.stamp { "LAB · client and server on one box" }
        }
        @if result.fingerprint.build == "debug" {
            span.stamp { "DEBUG BUILD of the generator" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example;

    /// With SEGCAST_PAGES=FOLDER the pages are kept there, to be looked at.
    #[test]
    fn a_page_needs_nothing_else_and_says_what_it_is_worth() {
        let results = [
            ("good", example::good()),
            ("missed", example::missed()),
            ("void", example::void()),
            ("busy", example::busy()),
            ("partial", example::partial()),
            ("empty", example::empty()),
        ];
        for (name, result) in results {
            let page = html(&result);
            if let Some(folder) = std::env::var_os("SEGCAST_PAGES") {
                let path = std::path::Path::new(&folder).join(format!("{name}.html"));
                std::fs::write(path, &page).expect("the page can be kept");
            }
            let namespace = "http://www.w3.org/2000/svg";
            let page = page.replace(namespace, "");
            for outside in ["<script", "http:", "https:", "url(", "@import", "<link", "<img"] {
                assert!(!page.contains(outside), "{name}: {outside}");
            }
            assert_eq!(
                page.contains("class=\"worthless\""),
                ["void", "busy"].contains(&name),
                "{name}"
            );
            assert!(page.contains("LAB · client and server on one box"), "{name}");
            assert_eq!(page.contains("PARTIAL"), ["partial", "empty"].contains(&name), "{name}");
        }
    }

    #[test]
    fn what_a_user_wrote_is_no_markup() {
        let mut result = example::good();
        result.identity.command = vec!["<script>alert(1)</script>".to_owned()];
        result.identity.plan = serde_json::json!({"name": "</pre><b>"});
        let page = html(&result);
        assert!(!page.contains("<script>") && !page.contains("</pre><b>"));
        assert!(page.contains("&lt;script&gt;"));
    }
}
