//! A report that lacks, repeats or contradicts is found out.

use super::*;
use crate::{classify::Verdict, dataset::Package, detect::Detection};

fn line(name: &str, licence: &str, basis: Basis) -> PackageLine {
    let licences = vec![Detection { licence: licence.to_owned(), confidence: 100, basis }];
    PackageLine {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        declared: Some(licence.to_owned()),
        detected: BTreeSet::from([licence.to_owned()]),
        chosen: BTreeSet::from([licence.to_owned()]),
        confidence: 100,
        verdict: Verdict::Agrees,
        files: vec![FileFinding { file: "LICENSE".to_owned(), licences }],
    }
}

fn dataset(names: &[&str]) -> Dataset {
    let package = |name: &&str| Package { name: (*name).to_owned(), version: "1.0.0".to_owned(), ..Package::default() };
    Dataset { packages: names.iter().map(package).collect() }
}

fn opinion(files: &[(&str, &str)]) -> Opinion {
    let files = files.iter().map(|(file, id)| ((*file).to_owned(), BTreeSet::from([(*id).to_owned()]))).collect();
    Opinion { files, known: ["MIT", "ISC"].map(str::to_owned).into(), version: "test".to_owned() }
}

fn report(packages: Vec<PackageLine>) -> Report {
    Report { packages, ..Report::default() }
}

#[test]
fn a_missing_and_a_repeated_package_are_found() {
    let report = report(vec![line("a", "MIT", Basis::Text), line("a", "MIT", Basis::Text)]);
    let found = verify(&report, &dataset(&["a", "b"]), &opinion(&[("a-1.0.0/LICENSE", "MIT")]));
    assert_eq!(
        (found.missing.clone(), found.duplicated.clone()),
        (vec!["b-1.0.0".to_owned()], vec!["a-1.0.0".to_owned()])
    );
    assert!(!found.complete());
}

#[rstest::rstest]
#[case::equal("MIT", Basis::Text, "MIT", None)]
#[case::contradiction("MIT", Basis::Text, "ISC", Some(Reason::Contradiction))]
#[case::not_known("Unicode-3.0", Basis::Text, "Unicode-DFS-2016", Some(Reason::NotKnownToTool))]
#[case::named("MIT", Basis::Named, "ISC", Some(Reason::NamesOnly))]
#[case::exception("MIT WITH LLVM-exception", Basis::Text, "MIT", None)]
fn each_difference_has_its_reason(
    #[case] ours: &str,
    #[case] basis: Basis,
    #[case] theirs: &str,
    #[case] reason: Option<Reason>,
) {
    let found =
        verify(&report(vec![line("a", ours, basis)]), &dataset(&["a"]), &opinion(&[("a-1.0.0/LICENSE", theirs)]));
    assert_eq!(found.differences.keys().copied().next(), reason);
}

#[test]
fn licences_that_the_tool_does_not_know_are_not_held_against_either() {
    let packages = vec![line("a", "MIT", Basis::Text), line("b", "Unicode-3.0", Basis::Text)];
    let files = [("a-1.0.0/LICENSE", "MIT"), ("b-1.0.0/LICENSE", "Unicode-DFS-2016")];
    let found = verify(&report(packages), &dataset(&["a", "b"]), &opinion(&files));
    assert_eq!((found.equal, found.files, found.agreement()), (1, 2, 100));
    assert!(found.render(&opinion(&files)).contains("1 of 2 files equal (1 not comparable): 100 % agreement"));
}
