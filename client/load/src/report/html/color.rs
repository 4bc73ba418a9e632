//! Colours of plots and bars, one for each meaning, in the light and in the dark.

use std::fmt::Write;

use plotters::style::RGBColor;

/// What a colour means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Service,
    Response,
    Lag,
    Complete,
    Intended,
    Late,
    Lost,
    Refused,
    Failed,
    NeverOffered,
    UnderWay,
    Ink,
    Grid,
    Band,
}

/// Each with its name in the style sheet, light, dark.
const ALL: [(Role, &str, [u8; 3], [u8; 3]); 14] = [
    (Role::Service, "service", [0x2f, 0x6f, 0xab], [0x74, 0xaf, 0xe6]),
    (Role::Response, "response", [0xc0, 0x5f, 0x2a], [0xee, 0x9a, 0x68]),
    (Role::Lag, "lag", [0x82, 0x8c, 0x99], [0x8e, 0x99, 0xa8]),
    (Role::Complete, "complete", [0x38, 0x8a, 0x62], [0x66, 0xb9, 0x8d]),
    (Role::Intended, "intended", [0x4a, 0x55, 0x63], [0xc0, 0xc9, 0xd4]),
    (Role::Late, "late", [0xd1, 0x9a, 0x2e], [0xdd, 0xb2, 0x5c]),
    (Role::Lost, "lost", [0xb6, 0x3d, 0x33], [0xe2, 0x7c, 0x72]),
    (Role::Refused, "refused", [0x7d, 0x5b, 0xa6], [0xb0, 0x94, 0xd6]),
    (Role::Failed, "failed", [0x8f, 0x2d, 0x56], [0xdb, 0x7f, 0xa6]),
    (Role::NeverOffered, "never", [0xa3, 0xab, 0xb5], [0x6c, 0x76, 0x83]),
    (Role::UnderWay, "under", [0xcf, 0xd4, 0xda], [0x45, 0x4e, 0x59]),
    (Role::Ink, "plot-ink", [0x5c, 0x66, 0x72], [0x99, 0xa4, 0xb1]),
    (Role::Grid, "plot-grid", [0xe4, 0xe6, 0xe9], [0x2e, 0x35, 0x3e]),
    (Role::Band, "plot-band", [0xf3, 0xf4, 0xf2], [0x21, 0x27, 0x2f]),
];

impl Role {
    fn row(self) -> &'static (Self, &'static str, [u8; 3], [u8; 3]) {
        &ALL[self as usize]
    }

    /// For the plotting library: the light one, which the style sheet changes in the dark.
    pub(super) fn rgb(self) -> RGBColor {
        let [r, g, b] = self.row().2;
        RGBColor(r, g, b)
    }

    /// For an inline style.
    pub(super) fn css(self) -> String {
        format!("background: var(--{})", self.row().1)
    }
}

/// The part of the style sheet that colours plots: attributes that hold the light colour take the variable.
pub(super) fn style() -> String {
    let mut css = String::from(":root {");
    let hex = |[r, g, b]: [u8; 3]| format!("#{r:02X}{g:02X}{b:02X}");
    for (_, name, light, _) in ALL {
        let _ = write!(css, " --{name}: {};", hex(light));
    }
    css += " }\n@media (prefers-color-scheme: dark) { :root {";
    for (_, name, _, dark) in ALL {
        let _ = write!(css, " --{name}: {};", hex(dark));
    }
    css += " } }\n";
    for (_, name, light, _) in ALL {
        let light = hex(light);
        let _ = writeln!(
            css,
            "svg [stroke=\"{light}\"] {{ stroke: var(--{name}); }} svg [fill=\"{light}\"] {{ fill: var(--{name}); }}"
        );
    }
    css
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_meaning_has_a_colour_of_its_own_at_its_own_place() {
        for (place, (role, name, light, dark)) in ALL.into_iter().enumerate() {
            assert_eq!(role as usize, place, "{name}");
            let same =
                |other: &&(Role, &str, [u8; 3], [u8; 3])| other.2 == light || other.3 == dark;
            assert_eq!(ALL.iter().filter(same).count(), 1, "{name}");
        }
    }
}
