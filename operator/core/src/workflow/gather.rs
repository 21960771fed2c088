//! What a scatter makes of the answers of its targets: whether they are enough, which one is chosen, and how far they agree.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{definition::Gather, reduce::canonical};

/// The answer of one target, with what the gathering reads of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The target, from 0.
    pub target: usize,
    /// What it answered.
    pub output: Value,
    /// What must be equal for two answers to agree, as text.
    pub key: String,
    /// Score or weight, where the gathering has one; 1 otherwise.
    pub score: f64,
}

impl Answer {
    /// An answer whose agreement is decided by `key`.
    pub fn new(target: usize, output: Value, key: &Value, score: f64) -> Self {
        Self { target, output, key: canonical(key), score }
    }
}

/// Whether the answers so far decide a scatter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// More answers are needed, and may come.
    Open,
    /// It is decided; further answers can only be added to it.
    Enough,
    /// What is needed cannot be reached any more; why, in a sentence.
    Hopeless(String),
}

/// Judges the answers so far, in the order in which they came, with so many targets that have not ended yet. Once it is
/// `Enough` it stays so, whatever the others do.
pub fn judge(gather: &Gather, answers: &[Answer], open: usize) -> Verdict {
    let needed = gather.at_least() as usize;
    if let Gather::Consensus { .. } = gather {
        let largest = groups(answers).into_iter().map(|group| group.answers).max().unwrap_or_default();
        return match largest {
            _ if largest >= needed => Verdict::Enough,
            _ if largest + open >= needed => Verdict::Open,
            _ => Verdict::Hopeless(format!(
                "{needed} answers must agree, and at most {largest} of {} do",
                answers.len() + open
            )),
        };
    }
    let waits_for_all = matches!(gather, Gather::Best { .. } | Gather::Weighted { .. });
    if answers.len() + open < needed {
        Verdict::Hopeless(format!("{needed} answers are needed, and at most {} can come", answers.len() + open))
    } else if answers.len() < needed || (waits_for_all && open > 0) {
        Verdict::Open
    } else {
        Verdict::Enough
    }
}

/// The output of a scatter that is decided: `chosen`, `agreement` (share of the answers, or of their weight, that agree
/// with the chosen one, in whole percent), `results` (the answers in the order of the targets) and `failed` (targets).
pub fn conclude(gather: &Gather, answers: Vec<Answer>, failed: usize) -> Value {
    let chosen = choose(gather, &answers).cloned();
    let share = chosen.as_ref().map_or(0, |chosen| agreement(gather, &answers, &chosen.key));
    let mut results: Vec<(usize, Value)> = answers.into_iter().map(|answer| (answer.target, answer.output)).collect();
    results.sort_unstable_by_key(|(target, _)| *target);
    json!({
        "chosen": chosen.map_or(Value::Null, |chosen| chosen.output),
        "agreement": share,
        "results": results.into_iter().map(|(_, output)| output).collect::<Vec<_>>(),
        "failed": failed,
    })
}

/// Ties go to the target with the lowest number, except where the order of the answers is what counts.
fn choose<'a>(gather: &Gather, answers: &'a [Answer]) -> Option<&'a Answer> {
    let lowest_of = |key: &str| answers.iter().filter(|answer| answer.key == key).min_by_key(|answer| answer.target);
    match gather {
        Gather::First => answers.first(),
        Gather::Best { .. } => answers.iter().max_by(|a, b| a.score.total_cmp(&b.score).then(b.target.cmp(&a.target))),
        Gather::Quorum { .. } => {
            let largest = groups(answers)
                .into_iter()
                .max_by(|a, b| a.answers.cmp(&b.answers).then(b.first_target.cmp(&a.first_target)))?;
            lowest_of(largest.key)
        }
        Gather::Weighted { .. } => {
            let heaviest = groups(answers)
                .into_iter()
                .max_by(|a, b| a.weight.total_cmp(&b.weight).then(b.first_target.cmp(&a.first_target)))?;
            lowest_of(heaviest.key)
        }
        Gather::Consensus { at_least, .. } => {
            let mut counts: HashMap<&str, u32> = HashMap::new();
            let agreed = answers.iter().find(|answer| {
                let count = counts.entry(&answer.key).or_default();
                *count += 1;
                *count >= *at_least
            })?;
            lowest_of(&agreed.key)
        }
    }
}

/// Answers that agree.
struct Group<'a> {
    key: &'a str,
    answers: usize,
    weight: f64,
    first_target: usize,
}

/// The answers by their keys. Weights are added in the order of the targets, so that the sum does not depend on who was
/// faster.
fn groups(answers: &[Answer]) -> Vec<Group<'_>> {
    let mut sorted: Vec<&Answer> = answers.iter().collect();
    sorted.sort_unstable_by_key(|answer| answer.target);
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for answer in sorted {
        let place = *places.entry(&answer.key).or_insert(groups.len());
        if let Some(group) = groups.get_mut(place) {
            group.answers += 1;
            group.weight += answer.score;
        } else {
            groups.push(Group { key: &answer.key, answers: 1, weight: answer.score, first_target: answer.target });
        }
    }
    groups
}

fn agreement(gather: &Gather, answers: &[Answer], key: &str) -> u64 {
    let groups = groups(answers);
    let Some(chosen) = groups.iter().find(|group| group.key == key) else { return 0 };
    if !matches!(gather, Gather::Weighted { .. }) {
        return (chosen.answers * 100 / answers.len()) as u64;
    }
    let total: f64 = groups.iter().map(|group| group.weight).sum();
    whole_percent(chosen.weight / total)
}

/// Of a share from 0 to 1; what is no share (nothing had weight) is 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100, and a float cast saturates")]
fn whole_percent(share: f64) -> u64 {
    (share * 100.0).clamp(0.0, 100.0).floor() as u64
}

#[cfg(test)]
mod tests {
    //! Tests of gathering: when it is decided, what is chosen, how far the answers agree.

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// Answers in the order in which they came, as (target, output, score); outputs are the keys.
    fn answers(of: &[(usize, &str, f64)]) -> Vec<Answer> {
        of.iter().map(|(target, output, score)| Answer::new(*target, json!(output), &json!(output), *score)).collect()
    }

    fn quorum(at_least: u32) -> Gather {
        Gather::Quorum { at_least, compare: None }
    }

    fn consensus(at_least: u32) -> Gather {
        Gather::Consensus { at_least, compare: None }
    }

    fn best(at_least: u32) -> Gather {
        Gather::Best { score: String::new(), at_least, compare: None }
    }

    fn weighted(at_least: u32) -> Gather {
        Gather::Weighted { weight: String::new(), at_least, compare: None }
    }

    #[rstest]
    #[case::first_waits(Gather::First, &[], 3, Verdict::Open)]
    #[case::first_is_enough(Gather::First, &[(2, "a", 1.0)], 2, Verdict::Enough)]
    #[case::nobody_answers(Gather::First, &[], 0, Verdict::Hopeless("1 answers are needed, and at most 0 can come".to_owned()))]
    #[case::quorum_waits(quorum(2), &[(0, "a", 1.0)], 1, Verdict::Open)]
    #[case::quorum_needs_no_agreement(quorum(2), &[(0, "a", 1.0), (1, "b", 1.0)], 1, Verdict::Enough)]
    #[case::quorum_missed(quorum(3), &[(0, "a", 1.0)], 1, Verdict::Hopeless("3 answers are needed, and at most 2 can come".to_owned()))]
    #[case::best_waits_for_all(best(1), &[(0, "a", 1.0)], 1, Verdict::Open)]
    #[case::best_of_those_there_are(best(1), &[(0, "a", 1.0)], 0, Verdict::Enough)]
    #[case::too_few_to_be_best(best(2), &[(0, "a", 1.0)], 0, Verdict::Hopeless("2 answers are needed, and at most 1 can come".to_owned()))]
    #[case::weighted_waits_for_all(weighted(1), &[(0, "a", 1.0)], 1, Verdict::Open)]
    #[case::consensus_waits(consensus(2), &[(0, "a", 1.0), (1, "b", 1.0)], 1, Verdict::Open)]
    #[case::consensus_reached(consensus(2), &[(0, "a", 1.0), (1, "a", 1.0)], 1, Verdict::Enough)]
    #[case::consensus_missed(consensus(3), &[(0, "a", 1.0), (1, "b", 1.0)], 1, Verdict::Hopeless("3 answers must agree, and at most 1 of 3 do".to_owned()))]
    fn judges(
        #[case] gather: Gather,
        #[case] came: &[(usize, &str, f64)],
        #[case] open: usize,
        #[case] expected: Verdict,
    ) {
        assert_eq!(judge(&gather, &answers(came), open), expected);
    }

    #[rstest]
    #[case::first(Gather::First, &[(2, "c", 1.0), (0, "a", 1.0)], "c", 50)]
    #[case::quorum_takes_the_most_frequent(quorum(2), &[(0, "a", 1.0), (1, "b", 1.0), (2, "b", 1.0)], "b", 66)]
    #[case::quorum_ties(quorum(2), &[(1, "b", 1.0), (0, "a", 1.0)], "a", 50)]
    #[case::best(best(1), &[(0, "a", 1.0), (1, "b", 3.0), (2, "c", 2.0)], "b", 33)]
    #[case::best_ties(best(1), &[(2, "c", 3.0), (1, "b", 3.0)], "b", 50)]
    #[case::weight_beats_number(weighted(1), &[(0, "a", 1.0), (1, "b", 5.0), (2, "a", 2.0)], "b", 62)]
    #[case::nothing_has_weight(weighted(1), &[(1, "b", 0.0), (0, "a", 0.0)], "a", 0)]
    #[case::consensus(consensus(2), &[(0, "a", 1.0), (2, "b", 1.0), (1, "b", 1.0)], "b", 66)]
    #[case::the_first_consensus_counts(consensus(2), &[(2, "b", 1.0), (3, "b", 1.0), (0, "a", 1.0), (1, "a", 1.0)], "b", 50)]
    fn chooses(
        #[case] gather: Gather,
        #[case] came: &[(usize, &str, f64)],
        #[case] chosen: &str,
        #[case] agreement: u64,
    ) {
        let output = conclude(&gather, answers(came), 1);
        assert_eq!((&output["chosen"], &output["agreement"]), (&json!(chosen), &json!(agreement)));
        let mut in_order = came.to_vec();
        in_order.sort_by_key(|(target, ..)| *target);
        let results: Vec<&str> = in_order.iter().map(|(_, output, _)| *output).collect();
        assert_eq!((&output["results"], &output["failed"]), (&json!(results), &json!(1)));
    }

    #[test]
    fn structures_agree_whatever_the_order_of_their_fields() {
        let came = [json!({"x": 1, "y": 2}), json!({"y": 2, "x": 1})];
        let came = came.iter().enumerate().map(|(target, output)| Answer::new(target, output.clone(), output, 1.0));
        assert_eq!(conclude(&quorum(2), came.collect(), 0)["agreement"], json!(100));
    }

    fn any_gather() -> impl Strategy<Value = Gather> {
        (0..5_usize, 1..5_u32).prop_map(|(kind, at_least)| match kind {
            0 => Gather::First,
            1 => quorum(at_least),
            2 => best(at_least),
            3 => weighted(at_least),
            _ => consensus(at_least),
        })
    }

    proptest! {
        /// Whatever answers and whatever fails, the verdict is final once there is one, and there is one in the end.
        #[test]
        fn a_verdict_is_final(gather in any_gather(), events in proptest::collection::vec((0..3_u8, any::<bool>(), -10..10_i32), 1..8)) {
            let (mut came, mut before) = (Vec::new(), Verdict::Open);
            for (target, (output, answers, score)) in events.iter().enumerate() {
                let open = events.len() - target - 1;
                if *answers {
                    came.push(Answer::new(target, json!(output), &json!(output), f64::from(score.abs())));
                }
                let verdict = judge(&gather, &came, open);
                match before {
                    Verdict::Open => {}
                    Verdict::Enough => prop_assert_eq!(&verdict, &Verdict::Enough),
                    Verdict::Hopeless(_) => prop_assert!(matches!(verdict, Verdict::Hopeless(_))),
                }
                before = verdict;
            }
            prop_assert!(before != Verdict::Open);
        }

        /// Where all answers are waited for, who was faster makes no difference.
        #[test]
        fn the_order_of_answers_does_not_matter(at_least in 1..4_u32, is_best in any::<bool>(), mut came in proptest::collection::vec((0..3_u8, 0.0..10.0_f64), 4..8)) {
            let gather = if is_best { best(at_least) } else { weighted(at_least) };
            let make = |came: &[(usize, u8, f64)]| came.iter().map(|(target, output, score)| Answer::new(*target, json!(output), &json!(output), *score)).collect::<Vec<_>>();
            let mut numbered: Vec<(usize, u8, f64)> = came.drain(..).enumerate().map(|(target, (output, score))| (target, output, score)).collect();
            let forwards = conclude(&gather, make(&numbered), 0);
            numbered.reverse();
            prop_assert_eq!(forwards.clone(), conclude(&gather, make(&numbered), 0));
            prop_assert!(forwards["agreement"].as_u64().unwrap() <= 100);
        }
    }
}
