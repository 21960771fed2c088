//! The plans that goals in words become, and what is refused.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn names(list: &[&str]) -> Vec<Name> {
    list.iter().map(|name| name.parse().unwrap()).collect()
}

fn inputs(value: &Value) -> BTreeMap<String, Value> {
    value.as_object().unwrap().clone().into_iter().collect()
}

fn plan_with(text: &str, given: &Value, capabilities: &[&str], past: &[Past]) -> Result<Decomposition, Error> {
    let (inputs, capabilities) = (inputs(given), names(capabilities));
    decompose(Goal { text, inputs: &inputs, capabilities: &capabilities, past })
}

fn plan(text: &str, capabilities: &[&str]) -> Decomposition {
    plan_with(text, &json!({}), capabilities, &[]).unwrap()
}

/// `name<-before,before` for each step.
fn shape(plan: &Decomposition) -> String {
    let name = |step: &usize| plan.steps[*step].name.to_string();
    let told = plan.steps.iter().map(|step| match step.after.iter().map(name).collect::<Vec<_>>().join(",") {
        before if before.is_empty() => step.name.to_string(),
        before => format!("{}<-{before}", step.name),
    });
    told.collect::<Vec<_>>().join(" ")
}

const OFFICE: [&str; 6] = ["research", "summary", "translation", "fact-check", "report-writing", "review"];

#[rstest]
#[case::one("Summarize the minutes.", "summary")]
#[case::sentences(
    "Research the market. Summarize it. Translate the summary.",
    "research summary<-research translation<-summary"
)]
#[case::then(
    "Research the market, then summarize it and then translate it",
    "research summary<-research translation<-summary"
)]
#[case::points("- research the market\n- review the contracts\n- translate the letter", "research review translation")]
#[case::numbers(
    "1. research the market\n2. review the findings\n3. write the report",
    "research review<-research report-writing<-review"
)]
#[case::and(
    "Research the market and review the contracts, then write a report.",
    "research review report-writing<-research,review"
)]
#[case::and_it("Research the market and summarize it.", "research summary<-research")]
#[case::and_nouns("Research prices and competitors.", "research")]
#[case::meanwhile(
    "Research the market. Meanwhile review the contracts. Finally write the report.",
    "research review report-writing<-research,review"
)]
#[case::named("Look at [review] the numbers; [research] the rest", "review research<-review")]
#[case::verb_first("Review the summary. Summarize the review.", "review summary<-review")]
#[case::twice(
    "Review the text. Translate it. Review the translation.",
    "review translation<-review review-2<-translation"
)]
fn a_goal_becomes_steps_in_its_order(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(shape(&plan(text, &OFFICE)), expected);
}

#[rstest]
#[case::one("Summarize the minutes", Complexity::Atomic, Pattern::Task)]
#[case::chain("Research the market, then summarize it", Complexity::Simple, Pattern::Pipeline)]
#[case::points("- research\n- review\n- translate", Complexity::Simple, Pattern::ForkJoin)]
#[case::join("Research the market and review the contracts, then write a report", Complexity::Simple, Pattern::Dag)]
#[case::vote("Check the facts independently by five agents", Complexity::Moderate, Pattern::ScatterGather)]
fn the_class_and_the_pattern_follow_from_the_structure(
    #[case] text: &str,
    #[case] class: Complexity,
    #[case] pattern: Pattern,
) {
    let plan = plan(text, &OFFICE);
    assert_eq!((plan.complexity, plan.recommendation.pattern), (class, pattern), "{plan:#?}");
    assert!(!plan.evidence.is_empty() && !plan.recommendation.reason.is_empty());
}

#[test]
fn each_of_a_list_is_a_map_and_each_result_of_it_another_one() {
    let given = json!({"packages": vec![0; 500], "tree": "main"});
    let text = "Classify each package, then review each result, then write the report.";
    let plan = plan_with(text, &given, &["licence-classification", "review", "report"], &[]).unwrap();
    let over: Vec<_> = plan.steps.iter().map(|step| step.over.clone()).collect();
    assert_eq!(over, [Some(Over::Input("packages".to_owned())), Some(Over::Step(0)), None]);
    assert_eq!((plan.complexity, plan.evidence), (Complexity::Moderate, vec!["a list of 500 items".to_owned()]));
    assert_eq!(plan.notes, Vec::<String>::new());
}

#[test]
fn the_number_of_voters_is_read_in_words_and_digits() {
    let votes = |text: &str| plan(text, &OFFICE).steps[0].votes;
    assert_eq!(votes("Check the facts by a vote of 5"), Some(5));
    assert_eq!(votes("Check the facts independently by four agents"), Some(4));
    assert_eq!(votes("Check the facts until there is consensus"), Some(3));
    assert_eq!(votes("Check the five facts"), None);
}

#[test]
fn changes_of_the_world_are_undone_where_somebody_can_undo_them() {
    let text = "Book the flight, then book the hotel, then charge the card.";
    let all = ["flight-booking", "cancel-booking", "hotel-booking", "hotel-cancel", "card-charge", "card-refund"];
    let plan = plan(text, &all);
    let undone: Vec<_> = plan.steps.iter().map(|step| step.undone_by.as_ref().map(Name::as_str)).collect();
    assert_eq!(undone, [Some("cancel-booking"), Some("cancel-booking"), None]);
    assert_eq!(plan.recommendation.pattern, Pattern::Saga);
    assert_eq!(plan.complexity, Complexity::Complex);
    assert_eq!(plan.notes, Vec::<String>::new(), "after the last change there is nothing that could fail");
    let alone = plan_with(text, &json!({}), &["flight-booking", "hotel-booking", "card-charge"], &[]).unwrap();
    assert_eq!(alone.recommendation.pattern, Pattern::Pipeline);
    assert!(alone.notes[0].contains("cancel-flight-booking"), "{:?}", alone.notes);
}

#[test]
fn what_a_plan_cannot_say_is_a_note() {
    let conditional = plan("Review the text. Translate it if the review is good.", &OFFICE);
    assert!(conditional.notes[0].contains("write it as `when`"), "{:?}", conditional.notes);
    let no_list = plan("Review each contract.", &OFFICE);
    assert!(no_list.notes[0].contains("give the list as an input"), "{:?}", no_list.notes);
}

#[rstest]
#[case::empty(" \n- \n", "the goal is empty")]
#[case::nobody("Paint the fence", "no capability fits \"Paint the fence\"")]
#[case::unknown("Look at it [painting]", "nobody has the capability \"painting\"")]
#[case::two("Review the papers", "law-review and code-review fit")]
fn what_cannot_be_planned_is_refused_with_the_remedy(#[case] text: &str, #[case] expected: &str) {
    let error = plan_with(text, &json!({}), &["law-review", "code-review"], &[]).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn too_much_for_one_plan_is_refused() {
    let text = "Review it. ".repeat(MAX_STEPS + 1);
    assert_eq!(plan_with(&text, &json!({}), &["review"], &[]), Err(Error::TooLarge(MAX_STEPS + 1)));
}

fn past(pattern: Pattern, runs: u32, succeeded: u32) -> Past {
    Past { pattern, complexity: Complexity::Simple, runs, succeeded, took_ms: 0 }
}

#[rstest]
#[case::sooner(&[(Pattern::ForkJoin, 5, 500), (Pattern::Pipeline, 6, 480)], Pattern::Pipeline, "took 80 ms on average as Pipeline")]
#[case::hardly_sooner(&[(Pattern::ForkJoin, 5, 500), (Pattern::Pipeline, 6, 540)], Pattern::ForkJoin, "5 of 5 such runs succeeded")]
#[case::soonest(&[(Pattern::ForkJoin, 5, 500), (Pattern::Pipeline, 6, 480), (Pattern::Dag, 5, 100)], Pattern::Dag, "took 20 ms")]
fn of_patterns_that_do_as_well_the_quicker_one_is_recommended(
    #[case] past: &[(Pattern, u32, u64)],
    #[case] expected: Pattern,
    #[case] reason: &str,
) {
    let mut known = Vec::new();
    for (pattern, runs, took_ms) in past {
        (0..*runs)
            .for_each(|_| Past::note(&mut known, (*pattern, Complexity::Simple), true, took_ms / u64::from(*runs)));
    }
    let plan = plan_with("- research the market\n- review the contracts", &json!({}), &OFFICE, &known).unwrap();
    assert_eq!(plan.recommendation.pattern, expected, "{}", plan.recommendation.reason);
    assert!(plan.recommendation.reason.contains(reason), "{}", plan.recommendation.reason);
}

#[rstest]
#[case::nothing_known(&[], Pattern::Pipeline)]
#[case::too_few(&[past(Pattern::Pipeline, 4, 0), past(Pattern::Dag, 4, 4)], Pattern::Pipeline)]
#[case::not_clear(&[past(Pattern::Pipeline, 10, 8), past(Pattern::Dag, 10, 10)], Pattern::Pipeline)]
#[case::clear(&[past(Pattern::Pipeline, 30, 12), past(Pattern::Dag, 30, 29)], Pattern::Dag)]
#[case::clearly_worse(&[past(Pattern::Pipeline, 30, 29), past(Pattern::Dag, 30, 12)], Pattern::Pipeline)]
fn the_past_decides_only_when_it_is_clear(#[case] past: &[Past], #[case] expected: Pattern) {
    let text = "Research the market, then summarize it";
    let plan = plan_with(text, &json!({}), &OFFICE, past).unwrap();
    assert_eq!(plan.recommendation.pattern, expected, "{}", plan.recommendation.reason);
}

#[rstest]
#[case("licences", "licence")]
#[case("classify", "classification")]
#[case("pay", "payment")]
#[case("book", "booking")]
#[case("verify", "verification")]
#[case("summarize", "summary")]
fn forms_of_one_word_are_akin(#[case] one: &str, #[case] other: &str) {
    assert!(words::are_akin(one, other) && words::are_akin(other, one));
}

#[rstest]
#[case("research", "resend")]
#[case("compare", "company")]
#[case("translate", "transfer")]
#[case("plan", "planet")]
#[case("car", "care")]
fn words_that_only_begin_alike_are_not_akin(#[case] one: &str, #[case] other: &str) {
    assert!(!words::are_akin(one, other) && !words::are_akin(other, one));
}

proptest! {
    /// Whatever the text: no panic, every step waits only for earlier ones, names are unique, and each step is in one level.
    #[test]
    fn every_plan_is_sound(text in "([-*0-9.]{0,2} ?([a-zA-Zäß]{1,9}|and|then|each|it|,|\\.|;|\\[review\\]|review|translate|\n)[ \n]){0,30}") {
        if let Ok(plan) = plan_with(&text, &json!({"review": [1]}), &OFFICE, &[]) {
            let mut seen = std::collections::BTreeSet::new();
            for (index, step) in plan.steps.iter().enumerate() {
                prop_assert!(step.after.iter().all(|before| *before < index));
                prop_assert!(seen.insert(step.name.clone()));
            }
            let mut placed: Vec<usize> = plan.levels.concat();
            placed.sort_unstable();
            prop_assert_eq!(placed, (0..plan.steps.len()).collect::<Vec<_>>());
        }
    }

    /// Every word of the goal is in some step, but for those that only say how steps join.
    #[test]
    fn no_word_is_dropped(picks in proptest::collection::vec(0_usize..6, 1..12)) {
        let texts = ["research the market", "review the contracts", "translate the letter", "summarize everything", "check the fact sheet", "write the report"];
        let text = picks.iter().map(|pick| texts[*pick]).collect::<Vec<_>>().join(", and then ");
        let plan = plan_with(&text, &json!({}), &OFFICE, &[]).unwrap();
        let told: Vec<&str> = plan.steps.iter().map(|step| step.instruction.as_str()).collect();
        prop_assert_eq!(told, picks.iter().map(|pick| texts[*pick]).collect::<Vec<_>>());
    }
}
