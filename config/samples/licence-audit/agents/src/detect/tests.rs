//! Real licence texts, whole, changed and joined.

use std::sync::LazyLock;

use super::*;

static DETECTOR: LazyLock<Detector> = LazyLock::new(Detector::spdx);

fn text(id: &str) -> &'static str {
    spdx::license_id(id)
        .map(spdx::LicenseId::text)
        .or_else(|| spdx::exception_id(id).map(spdx::ExceptionId::text))
        .unwrap()
}

fn found(content: &str) -> Vec<(String, u32)> {
    DETECTOR.detect(content).into_iter().map(|found| (found.licence, found.confidence)).collect()
}

fn ids(content: &str) -> Vec<String> {
    let mut ids: Vec<String> = found(content).into_iter().map(|(id, _)| id).collect();
    ids.sort();
    ids
}

#[rstest::rstest]
fn every_common_text_is_itself(
    #[values(
        "MIT",
        "MIT-0",
        "X11",
        "ISC",
        "0BSD",
        "BSD-1-Clause",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSD-4-Clause",
        "Apache-2.0",
        "ECL-2.0",
        "Zlib",
        "BSL-1.0",
        "Unlicense",
        "CC0-1.0",
        "MPL-2.0",
        "LGPL-2.1-only",
        "LGPL-3.0-only",
        "GPL-2.0-only",
        "GPL-3.0-only",
        "AGPL-3.0-only",
        "EPL-2.0",
        "CDDL-1.0",
        "Unicode-3.0",
        "CDLA-Permissive-2.0",
        "WTFPL",
        "OpenSSL"
    )]
    id: &str,
) {
    assert_eq!(found(text(id)), [(id.to_owned(), 100)]);
}

#[test]
fn owner_layout_and_comment_marks_do_not_matter() {
    let owned = text("MIT").replace("<year> <copyright holders>", "2014 Jane Doe").to_uppercase();
    let changed = owned.lines().map(|line| format!(" *  {line}")).collect::<Vec<_>>().join("\n");
    assert_eq!(found(&changed), [("MIT".to_owned(), 100)]);
}

#[test]
fn a_changed_word_costs_confidence() {
    let changed = text("MIT").replace("free of charge", "for a small fee");
    let [(id, confidence)] = found(&changed).try_into().unwrap();
    assert_eq!(id, "MIT");
    assert!((90..100).contains(&confidence), "{confidence}");
}

#[test]
fn a_file_with_several_texts_holds_them_all() {
    let both = format!("Your choice of\n\n{}\n\n--- or ---\n\n{}", text("MIT"), text("Apache-2.0"));
    assert_eq!(ids(&both), ["Apache-2.0", "MIT"]);
    let three = format!("{}\n{}\n{}", text("ISC"), text("BSD-3-Clause"), text("Zlib"));
    assert_eq!(ids(&three), ["BSD-3-Clause", "ISC", "Zlib"]);
}

#[test]
fn an_exception_joins_its_licence() {
    let with = format!("{}\n---- LLVM Exceptions ----\n{}", text("Apache-2.0"), text("LLVM-exception"));
    assert_eq!(ids(&with), ["Apache-2.0 WITH LLVM-exception"]);
}

#[test]
fn names_count_only_without_a_text() {
    let note = "Licensed under the Apache License, Version 2.0 or the MIT license at your option.";
    let named = DETECTOR.detect(note);
    assert!(named.iter().all(|found| found.basis == Basis::Named && found.confidence == 50));
    assert_eq!(ids(note), ["Apache-2.0", "MIT"]);
    assert_eq!(ids(&format!("{note}\n{}", text("MIT"))), ["MIT"]);
}

#[test]
fn a_bsd_text_of_an_author_is_not_taken_for_the_variant_of_a_vendor() {
    let holder = "THE COPYRIGHT HOLDERS AND CONTRIBUTORS";
    let changed =
        text("BSD-3-Clause").replace(holder, "THE AUTHOR").replace("COPYRIGHT HOLDER OR CONTRIBUTORS", "AUTHOR");
    assert_ne!(changed, text("BSD-3-Clause"));
    assert_eq!(ids(&changed), ["BSD-3-Clause"]);
}

#[test]
fn other_texts_are_no_licence() {
    assert_eq!(found(""), []);
    assert_eq!(found("Once upon a time there was a program that nobody was allowed to copy, or so they said."), []);
}
