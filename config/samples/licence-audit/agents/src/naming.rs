//! Which licences a text merely names, by SPDX id tag, by full name or by id.

use std::collections::{BTreeMap, BTreeSet};

use crate::{expression, text};

/// All SPDX names as word sequences, by their first word.
pub struct Names {
    by_first: BTreeMap<String, Vec<(Vec<String>, &'static str)>>,
}

impl Names {
    /// The names of all SPDX licences that are not deprecated.
    pub fn spdx() -> Self {
        let mut by_first: BTreeMap<String, Vec<(Vec<String>, &'static str)>> = BTreeMap::new();
        for licence in
            spdx::identifiers::LICENSES.iter().filter(|licence| licence.flags & spdx::flags::IS_DEPRECATED == 0)
        {
            if licence.name.ends_with("-or-later") {
                continue;
            }
            let by_id = licence.name.contains(|c: char| c.is_ascii_digit()).then(|| name_words(licence.name));
            for words in [Some(name_words(licence.full_name)), by_id].into_iter().flatten() {
                if let Some(first) = words.first().filter(|first| words.len() > 1 || *first == "unlicense") {
                    by_first.entry(first.clone()).or_default().push((words.clone(), licence.name));
                }
            }
        }
        for names in by_first.values_mut() {
            names.sort_by(|(a, id_a), (b, id_b)| {
                b.len().cmp(&a.len()).then_with(|| a.cmp(b)).then_with(|| id_a.cmp(id_b))
            });
        }
        Self { by_first }
    }

    /// The ids that a text names; the longest name at each place counts.
    pub fn find(&self, content: &str) -> BTreeSet<String> {
        let mut found: BTreeSet<String> =
            content.lines().filter_map(tag).flat_map(|tag| expression::ids(&tag)).collect();
        let words = name_words(content);
        let mut at = 0;
        while let Some(word) = words.get(at) {
            let candidates = self.by_first.get(word).into_iter().flatten();
            let hit = candidates.into_iter().find(|(name, _)| words.get(at..at + name.len()) == Some(name.as_slice()));
            at += hit.map_or(1, |(name, _)| name.len());
            found.extend(hit.map(|(_, id)| (*id).to_owned()));
        }
        found
    }
}

/// The expression after `SPDX-License-Identifier:`.
fn tag(line: &str) -> Option<String> {
    line.split_once("SPDX-License-Identifier:").map(|(_, expression)| expression.trim().to_owned())
}

/// Words of a name without those that come and go: "Apache License, Version 2.0" and "Apache License 2.0" are equal.
fn name_words(name: &str) -> Vec<String> {
    let dropped = ["the", "version", "v", "only", "or", "new", "revised", "simplified"];
    text::split(name)
        .map(|word| match word.as_str() {
            "licenses" => "license".to_owned(),
            _ => word
                .strip_prefix('v')
                .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
                .map(str::to_owned)
                .unwrap_or(word),
        })
        .filter(|word| !dropped.contains(&word.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("This project is dual-licensed under the Unlicense and MIT licenses.", &["MIT", "Unlicense"])]
    #[case("Licensed under the Apache License (Version 2.0), or the MIT license", &["Apache-2.0", "MIT"])]
    #[case("triple-licensed under Apache 2.0 and a BSD 3-Clause License", &["Apache-2.0", "BSD-3-Clause"])]
    #[case("SPDX-License-Identifier: MIT OR Apache-2.0 OR BSD-1-Clause", &["Apache-2.0", "BSD-1-Clause", "MIT"])]
    #[case("the GNU General Public License v3.0", &["GPL-3.0-only"])]
    #[case("see the licence", &[])]
    fn finds_names(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(Names::spdx().find(text).into_iter().collect::<Vec<_>>(), expected);
    }
}
