//! Detected against declared, on real texts.

use std::sync::LazyLock;

use super::*;
use crate::dataset::LicenceFile;

static DETECTOR: LazyLock<Detector> = LazyLock::new(Detector::spdx);

fn package(declared: Option<&str>, texts: &[&str]) -> Package {
    let file = |id: &&str| LicenceFile {
        name: format!("LICENSE-{id}"),
        text: spdx::license_id(id).unwrap().text().to_owned(),
    };
    Package {
        name: "sample".to_owned(),
        version: "1.0.0".to_owned(),
        declared: declared.map(str::to_owned),
        files: texts.iter().map(file).collect(),
    }
}

#[rstest::rstest]
#[case::both_texts(Some("MIT OR Apache-2.0"), &["MIT", "Apache-2.0"], Verdict::Agrees, "every declared licence is there as text")]
#[case::one_of_two(Some("MIT/Apache-2.0"), &["MIT"], Verdict::Agrees, "Apache-2.0 is only an alternative")]
#[case::or_later(Some("GPL-2.0-or-later"), &["GPL-2.0-only"], Verdict::Agrees, "every declared licence")]
#[case::extra_text(Some("MIT"), &["MIT", "BSD-3-Clause"], Verdict::Differs, "BSD-3-Clause is not in the declared \"MIT\"")]
#[case::other_text(Some("MIT"), &["Apache-2.0"], Verdict::Differs, "Apache-2.0 is not in the declared")]
#[case::and_lacks_one(Some("MIT AND BSD-3-Clause"), &["MIT"], Verdict::Undetermined, "the text of BSD-3-Clause is missing")]
#[case::no_file(Some("MIT"), &[], Verdict::Undetermined, "ships no licence file")]
#[case::nothing_declared(None, &["MIT"], Verdict::Undetermined, "declares no licence")]
#[case::nonsense(Some("Best Licence Ever"), &["MIT"], Verdict::Undetermined, "no SPDX expression")]
fn verdicts(#[case] declared: Option<&str>, #[case] texts: &[&str], #[case] verdict: Verdict, #[case] reason: &str) {
    let found = classify(&DETECTOR, &package(declared, texts)).comparison;
    assert_eq!(found.result, verdict, "{}", found.reason);
    assert!(found.reason.contains(reason), "{}", found.reason);
}

#[test]
fn copyleft_is_marked_even_as_an_alternative() {
    let found = classify(&DETECTOR, &package(Some("MIT OR LGPL-2.1-or-later"), &["MIT"]));
    assert!(found.copyleft);
    assert_eq!(found.family, Family::Permissive);
    assert!(!classify(&DETECTOR, &package(Some("MIT"), &["MIT"])).copyleft);
}

#[test]
fn the_same_package_always_gives_the_same_answer() {
    let package = package(Some("MIT OR Apache-2.0"), &["MIT", "Apache-2.0"]);
    assert_eq!(classify(&DETECTOR, &package), classify(&Detector::spdx(), &package));
}

#[test]
fn the_report_does_not_depend_on_the_order_of_its_input() {
    let mut found: Vec<Classification> = [("MIT", "b"), ("ISC", "a")]
        .map(|(id, name)| Classification { name: name.to_owned(), ..classify(&DETECTOR, &package(Some(id), &[id])) })
        .into();
    let first = crate::report::report(&found);
    found.reverse();
    assert_eq!(first, crate::report::report(&found));
    assert_eq!(first.summary.agree, 2);
}

#[test]
fn copyleft_names_the_way_out() {
    let avoidable = classify(&DETECTOR, &package(Some("MIT OR MPL-2.0"), &["MIT"]));
    let bound = classify(&DETECTOR, &Package { name: "zz".to_owned(), ..package(Some("MPL-2.0"), &["MPL-2.0"]) });
    let hidden =
        classify(&DETECTOR, &Package { name: "hidden".to_owned(), ..package(Some("MIT"), &["MIT", "GPL-3.0-only"]) });
    let found = crate::copyleft::find_copyleft(&[bound, avoidable, hidden]);
    let ways: Vec<Option<&str>> = found.packages.iter().map(|package| package.instead.as_deref()).collect();
    assert_eq!((ways, found.unavoidable), (vec![None, Some("MIT"), None], 2));
}
