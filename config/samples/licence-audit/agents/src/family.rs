//! Licence families and what licences oblige to.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Families of licences, from the freest to the strictest; what is not known is last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Family {
    /// No condition at all, or given to the public domain.
    PublicDomain,
    /// Notices must be kept.
    Permissive,
    /// Changes of the licensed files must stay open.
    WeakCopyleft,
    /// The whole work must be open.
    StrongCopyleft,
    /// None of these, or not known here.
    Other,
}

impl Family {
    /// For people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::PublicDomain => "public domain",
            Self::Permissive => "permissive",
            Self::WeakCopyleft => "weak copyleft",
            Self::StrongCopyleft => "strong copyleft",
            Self::Other => "other",
        }
    }
}

/// What a licence obliges to when the software is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Obligation {
    /// Keep the copyright notices.
    KeepCopyright,
    /// Pass the licence text on.
    IncludeLicence,
    /// Say what was changed.
    StateChanges,
    /// Pass the NOTICE file on.
    IncludeNotice,
    /// Do not advertise with the authors' names.
    NoEndorsement,
    /// Offer the source of the licensed files with their changes.
    DiscloseFiles,
    /// Offer the source of the whole work under the same licence.
    DiscloseWork,
    /// Also towards users over a network.
    DiscloseToNetworkUsers,
}

impl Obligation {
    /// For people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::KeepCopyright => "keep the copyright notices",
            Self::IncludeLicence => "pass the licence text on",
            Self::StateChanges => "state what was changed",
            Self::IncludeNotice => "pass the NOTICE file on",
            Self::NoEndorsement => "do not advertise with the authors' names",
            Self::DiscloseFiles => "offer the source of changed files",
            Self::DiscloseWork => "offer the source of the whole work under the same licence",
            Self::DiscloseToNetworkUsers => "offer it to users over a network too",
        }
    }
}

const PUBLIC_DOMAIN: &[&str] =
    &["Unlicense", "CC0-1.0", "PDDL-1.0", "SAX-PD", "blessing", "NIST-PD", "libselinux-1.0", "CC-PDDC"];
const WEAK: &[&str] = &["MPL-", "LGPL-", "EPL-", "CDDL-", "CPL-", "IPL-", "APSL-", "MS-RL", "NPL-", "SPL-", "ErlPL-"];
const STRONG: &[&str] =
    &["GPL-", "AGPL-", "EUPL-", "OSL-", "SSPL-", "RPL-", "QPL-", "Sleepycat", "CC-BY-SA-", "CECILL-"];
const PERMISSIVE: &[&str] = &[
    "MIT",
    "Apache-",
    "BSD-",
    "ISC",
    "Zlib",
    "zlib-",
    "0BSD",
    "BSL-1.0",
    "Unicode-",
    "CDLA-Permissive-",
    "NCSA",
    "PostgreSQL",
    "Python-2.0",
    "PSF-2.0",
    "WTFPL",
    "X11",
    "HPND",
    "curl",
    "libpng",
    "OpenSSL",
    "AFL-",
    "Artistic-2.0",
    "BlueOak-",
    "CC-BY-",
    "OFL-",
    "FTL",
    "IJG",
    "ICU",
    "NTP",
    "SSLeay",
    "Beerware",
    "UPL-1.0",
    "MulanPSL-",
    "W3C",
    "Ruby",
    "EDL-",
    "ECL-",
];

/// The family of an id; an exception does not change it.
pub fn family_of(id: &str) -> Family {
    let id = id.split(" WITH ").next().unwrap_or(id);
    let starts = |list: &[&str]| list.iter().any(|prefix| id.starts_with(prefix));
    if PUBLIC_DOMAIN.contains(&id) || id == "MIT-0" || id == "0BSD" {
        Family::PublicDomain
    } else if starts(WEAK) {
        Family::WeakCopyleft
    } else if starts(STRONG) {
        Family::StrongCopyleft
    } else if starts(PERMISSIVE) && !id.contains("-NC") && !id.contains("-ND") {
        Family::Permissive
    } else {
        Family::Other
    }
}

/// What an id obliges to.
pub fn obligations_of(id: &str) -> BTreeSet<Obligation> {
    use Obligation::{
        DiscloseFiles, DiscloseToNetworkUsers, DiscloseWork, IncludeLicence, IncludeNotice, KeepCopyright,
        NoEndorsement, StateChanges,
    };
    let notices = [KeepCopyright, IncludeLicence];
    let further: &[Obligation] = match family_of(id) {
        Family::PublicDomain => return BTreeSet::new(),
        Family::WeakCopyleft => &[StateChanges, DiscloseFiles],
        Family::StrongCopyleft if id.starts_with("AGPL") || id.starts_with("SSPL") => {
            &[StateChanges, DiscloseWork, DiscloseToNetworkUsers]
        }
        Family::StrongCopyleft => &[StateChanges, DiscloseWork],
        Family::Permissive if id.starts_with("Apache") => &[StateChanges, IncludeNotice],
        Family::Permissive if id.starts_with("BSD-3") || id.starts_with("BSD-4") => &[NoEndorsement],
        Family::Permissive if id.starts_with("Zlib") => &[StateChanges],
        Family::Permissive | Family::Other => &[],
    };
    notices.into_iter().chain(further.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("Unlicense", Family::PublicDomain)]
    #[case("MIT", Family::Permissive)]
    #[case("Apache-2.0 WITH LLVM-exception", Family::Permissive)]
    #[case("LGPL-2.1-or-later", Family::WeakCopyleft)]
    #[case("MPL-2.0", Family::WeakCopyleft)]
    #[case("GPL-3.0-only", Family::StrongCopyleft)]
    #[case("AGPL-3.0-only", Family::StrongCopyleft)]
    #[case("CC-BY-NC-4.0", Family::Other)]
    #[case("BUSL-1.1", Family::Other)]
    fn families(#[case] id: &str, #[case] family: Family) {
        assert_eq!(family_of(id), family);
    }

    #[test]
    fn agpl_reaches_network_users_and_gpl_does_not() {
        assert!(obligations_of("AGPL-3.0-only").contains(&Obligation::DiscloseToNetworkUsers));
        assert!(!obligations_of("GPL-3.0-only").contains(&Obligation::DiscloseToNetworkUsers));
    }
}
