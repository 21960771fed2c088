//! The SPDX licence and exception texts as bags of word pairs, with an index from a pair to the texts that hold it.

use std::collections::{BTreeMap, HashMap};

use crate::text;

/// A pair of words that follow each other.
pub type Pair = (u32, u32);

/// Word that stands where a recognised text was taken out; no template holds it.
pub const GAP: u32 = u32::MAX;

/// One template: all SPDX ids that have this text.
#[derive(Debug)]
pub struct Template {
    /// The id to report: the first one that is not deprecated, `-only` before `-or-later`.
    pub id: &'static str,
    /// Other ids with the same words.
    pub aliases: Vec<&'static str>,
    /// Whether this is an exception that stands beside a licence.
    pub exception: bool,
    /// How often each pair occurs.
    pub pairs: HashMap<Pair, u32>,
    /// Number of pairs.
    pub len: usize,
}

/// All templates.
#[derive(Debug)]
pub struct Corpus {
    vocabulary: HashMap<String, u32>,
    templates: Vec<Template>,
    index: HashMap<Pair, Vec<(u32, u32)>>,
}

impl Corpus {
    /// Builds the corpus from the texts that the `spdx` crate carries.
    pub fn spdx() -> Self {
        let licences = spdx::text::LICENSE_TEXTS.iter().map(|(id, text)| (*id, *text, false));
        let exceptions = spdx::text::EXCEPTION_TEXTS.iter().map(|(id, text)| (*id, *text, true));
        Self::build(licences.chain(exceptions))
    }

    fn build(texts: impl Iterator<Item = (&'static str, &'static str, bool)>) -> Self {
        let mut vocabulary = HashMap::new();
        let mut by_words: BTreeMap<Vec<u32>, (Vec<&'static str>, bool)> = BTreeMap::new();
        for (id, text, exception) in texts {
            let words: Vec<u32> = text::words(text)
                .into_iter()
                .map(|word| {
                    let next = u32::try_from(vocabulary.len()).unwrap_or(GAP - 1);
                    *vocabulary.entry(word).or_insert(next)
                })
                .collect();
            if words.len() >= MIN_WORDS {
                by_words.entry(words).or_insert_with(|| (Vec::new(), exception)).0.push(id);
            }
        }
        let mut templates: Vec<Template> =
            by_words.into_iter().map(|(words, (ids, exception))| template(&words, ids, exception)).collect();
        templates.sort_by_key(|template| template.id);
        let mut index: HashMap<Pair, Vec<(u32, u32)>> = HashMap::new();
        for (at, template) in (0_u32..).zip(&templates) {
            for (pair, count) in &template.pairs {
                index.entry(*pair).or_default().push((at, *count));
            }
        }
        Self { vocabulary, templates, index }
    }

    /// The numbers of words; words of no template get [`GAP`].
    pub fn numbers(&self, words: &[String]) -> Vec<u32> {
        words.iter().map(|word| self.vocabulary.get(word).copied().unwrap_or(GAP)).collect()
    }

    /// Templates with at least `share` (0 to 1) of their pairs in `pairs`.
    pub fn contained(&self, pairs: &HashMap<Pair, u32>, share: f64) -> Vec<&Template> {
        let mut overlap = vec![0_u32; self.templates.len()];
        for (pair, count) in pairs {
            for (at, held) in self.index.get(pair).into_iter().flatten() {
                if let Some(sum) = overlap.get_mut(*at as usize) {
                    *sum += (*count).min(*held);
                }
            }
        }
        let enough = |template: &Template, sum: u32| {
            f64::from(sum) >= share * f64::from(u32::try_from(template.len).unwrap_or(u32::MAX))
        };
        self.templates
            .iter()
            .zip(overlap)
            .filter(|(template, sum)| enough(template, *sum))
            .map(|(template, _)| template)
            .collect()
    }

    /// All ids with the same text as `id`, itself included.
    pub fn same_text(&self, id: &str) -> Vec<&'static str> {
        self.templates
            .iter()
            .find(|template| template.id == id)
            .map(|template| template.aliases.iter().copied().chain([template.id]).collect())
            .unwrap_or_default()
    }
}

/// Shorter templates say too little to be recognised by their words.
const MIN_WORDS: usize = 12;

fn template(words: &[u32], mut ids: Vec<&'static str>, exception: bool) -> Template {
    ids.sort_by_key(|id| (is_deprecated(id), id.ends_with("-or-later") || id.ends_with('+'), *id));
    let pairs = count_pairs(words);
    let mut ids = ids.into_iter();
    Template {
        id: ids.next().unwrap_or_default(),
        aliases: ids.collect(),
        exception,
        pairs,
        len: words.len().saturating_sub(1),
    }
}

fn is_deprecated(id: &str) -> bool {
    spdx::license_id(id).is_some_and(spdx::LicenseId::is_deprecated)
        || spdx::exception_id(id).is_some_and(spdx::ExceptionId::is_deprecated)
}

/// How often each pair of neighbouring words occurs; pairs with a gap do not count.
pub fn count_pairs(words: &[u32]) -> HashMap<Pair, u32> {
    let mut pairs = HashMap::new();
    for pair in words.windows(2) {
        if let [left, right] = *pair
            && left != GAP
            && right != GAP
        {
            *pairs.entry((left, right)).or_insert(0) += 1;
        }
    }
    pairs
}
