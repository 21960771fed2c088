//! Which licences a text is: Sorensen-Dice on word pairs against every SPDX text, part by part, so that a file may hold several.

use serde::{Deserialize, Serialize};

use crate::{
    corpus::{Corpus, GAP, Template, count_pairs},
    naming::Names,
    text,
};

/// Below this a text is not called a licence.
pub const ACCEPT: u32 = 80;

/// Share of a template's word pairs that must occur in the text before it is looked at closer.
const CONTAINED: f64 = 0.65;

/// Templates this close to the best one are told apart by how much of the text they explain.
const MARGIN: f64 = 0.03;

/// From here on a text is the template but for a word.
const EXACT: f64 = 0.995;

/// How a licence was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Basis {
    /// The text itself is there.
    Text,
    /// It is only named.
    Named,
}

/// A licence found in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Detection {
    /// SPDX id, with ` WITH <exception>` when an exception stands beside it.
    pub licence: String,
    /// How alike the texts are, 0 to 100; for a mere name 50.
    pub confidence: u32,
    /// How it was recognised.
    pub basis: Basis,
}

/// The templates and names that texts are compared with.
pub struct Detector {
    corpus: Corpus,
    names: Names,
}

struct Match<'c> {
    template: &'c Template,
    from: usize,
    to: usize,
    shared: u32,
    dice: f64,
}

impl Detector {
    /// Loads all SPDX texts.
    pub fn spdx() -> Self {
        Self { corpus: Corpus::spdx(), names: Names::spdx() }
    }

    /// The licences of one text, the most certain first; names count only when no licence text is there.
    pub fn detect(&self, content: &str) -> Vec<Detection> {
        let mut words = self.corpus.numbers(&text::words(content));
        let mut found: Vec<(Detection, bool)> = Vec::new();
        while let Some(best) = self.best_match(&words) {
            let detection =
                Detection { licence: best.template.id.to_owned(), confidence: percent(best.dice), basis: Basis::Text };
            found.push((detection, best.template.exception));
            words[best.from..best.to].fill(GAP);
        }
        let mut detections = join_exceptions(found);
        if detections.is_empty() {
            let named = self.names.find(content).into_iter();
            detections = named.map(|licence| Detection { licence, confidence: 50, basis: Basis::Named }).collect();
        }
        detections.sort_by(|a, b| b.confidence.cmp(&a.confidence).then_with(|| a.licence.cmp(&b.licence)));
        detections.dedup_by(|a, b| a.licence == b.licence);
        detections
    }

    /// All ids that have the same text as `id`.
    pub fn same_text(&self, id: &str) -> Vec<&'static str> {
        self.corpus.same_text(id)
    }

    fn best_match(&self, words: &[u32]) -> Option<Match<'_>> {
        let pairs = count_pairs(words);
        let matches: Vec<Match<'_>> = self
            .corpus
            .contained(&pairs, CONTAINED)
            .into_iter()
            .filter_map(|template| match_template(words, template))
            .filter(|found| percent(found.dice) >= ACCEPT)
            .collect();
        choose(matches)
    }
}

/// Among templates that are about equally alike, the one that explains the most of the text; among those that explain about
/// equally much, an exact one, then a generally approved one before the variants that vendors made of it.
fn choose(mut matches: Vec<Match<'_>>) -> Option<Match<'_>> {
    let top = matches.iter().map(|found| found.dice).fold(0.0, f64::max);
    matches.retain(|found| found.dice >= top - MARGIN);
    let most = f64::from(matches.iter().map(|found| found.shared).max()?);
    matches.retain(|found| f64::from(found.shared) >= most * (1.0 - MARGIN));
    let approved = |id: &str| spdx::license_id(id).is_some_and(spdx::LicenseId::is_osi_approved);
    matches.into_iter().max_by(|a, b| {
        let rank = |found: &Match<'_>| (found.dice > EXACT, approved(found.template.id), found.shared);
        rank(a).cmp(&rank(b)).then(a.dice.total_cmp(&b.dice)).then_with(|| b.template.id.cmp(a.template.id))
    })
}

/// Looks for the part of the text that is most like the template, and says how alike.
fn match_template<'c>(words: &[u32], template: &'c Template) -> Option<Match<'c>> {
    let known: Vec<bool> =
        words.windows(2).map(|pair| matches!(*pair, [a, b] if template.pairs.contains_key(&(a, b)))).collect();
    let width = (template.len + template.len / 20 + 4).min(known.len());
    let (from, to) = densest(&known, width)?;
    let held = count_pairs(words.get(from..=to)?);
    let shared: u32 = template.pairs.iter().map(|(pair, count)| held.get(pair).copied().unwrap_or(0).min(*count)).sum();
    let sizes = u32::try_from(template.len + (to - from)).ok()?;
    let dice = 2.0 * f64::from(shared) / f64::from(sizes);
    Some(Match { template, from, to: to + 1, shared, dice })
}

/// The window of this width with the most known pairs, cut to where known pairs prevail: `from..to` in pairs.
fn densest(known: &[bool], width: usize) -> Option<(usize, usize)> {
    let mut sum = known.get(..width)?.iter().filter(|known| **known).count();
    let mut best = (sum, 0);
    for from in 1..=known.len() - width {
        sum = sum + usize::from(known[from + width - 1]) - usize::from(known[from - 1]);
        if sum > best.0 {
            best = (sum, from);
        }
    }
    let (first, last) = prevailing(known.get(best.1..best.1 + width)?)?;
    Some((best.1 + first, best.1 + last + 1))
}

/// The part of a window where known pairs outnumber unknown ones by the most (Kadane), so that the common words of a
/// neighbouring text do not count.
fn prevailing(window: &[bool]) -> Option<(usize, usize)> {
    let (mut start, mut balance, mut best) = (0, 0_i64, None);
    for (at, known) in window.iter().enumerate() {
        if balance <= 0 {
            (start, balance) = (at, 0);
        }
        balance += if *known { 1 } else { -1 };
        if best.is_none_or(|(most, _, _)| balance > most) {
            best = Some((balance, start, at));
        }
    }
    best.map(|(_, first, last)| (first, last))
}

/// An exception found beside a licence becomes `<licence> WITH <exception>`.
fn join_exceptions(found: Vec<(Detection, bool)>) -> Vec<Detection> {
    let (exceptions, mut licences): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, exception)| *exception);
    for (exception, _) in exceptions {
        let fits = |id: &str| goes_with(&exception.licence, id);
        if let Some((licence, _)) = licences.iter_mut().find(|(licence, _)| fits(&licence.licence)) {
            licence.licence = format!("{} WITH {}", licence.licence, exception.licence);
            licence.confidence = licence.confidence.min(exception.confidence);
        }
    }
    licences.into_iter().map(|(licence, _)| licence).collect()
}

/// The LLVM exceptions go with Apache-2.0, nearly all others with a GNU licence.
fn goes_with(exception: &str, licence: &str) -> bool {
    match exception {
        "LLVM-exception" | "Swift-exception" => licence == "Apache-2.0",
        _ => spdx::license_id(licence).is_some_and(spdx::LicenseId::is_gnu),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the share is between 0 and 1")]
fn percent(share: f64) -> u32 {
    (share.clamp(0.0, 1.0) * 100.0).floor() as u32
}

#[cfg(test)]
mod tests;
