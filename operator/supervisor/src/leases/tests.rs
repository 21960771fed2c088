//! Tests of the table of leases: shares, hand-over, death.

use super::*;

const EXPIRY: Duration = Duration::from_secs(5);

fn dead(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn turns(mut table: Table, members: &[&str], rounds: usize) -> Table {
    for _ in 0..rounds {
        for me in members {
            table = plan_table(&table, me, &BTreeSet::new());
        }
    }
    table
}

#[test]
fn one_replica_holds_everything_and_a_second_one_gets_half() {
    let alone = turns(Table::default(), &["a"], 1);
    assert_eq!(held_by(&alone, "a").len(), 8);
    let both = turns(alone, &["a", "b"], 2);
    assert_eq!((held_by(&both, "a").len(), held_by(&both, "b").len()), (4, 4));
    let three = turns(both, &["a", "b", "c"], 3);
    let mut shares: Vec<_> = ["a", "b", "c"].iter().map(|me| held_by(&three, me).len()).collect();
    shares.sort_unstable();
    assert_eq!(shares, [2, 3, 3]);
}

#[test]
fn nothing_is_taken_from_a_living_replica() {
    let alone = turns(Table::default(), &["a"], 1);
    let joined = plan_table(&alone, "b", &BTreeSet::new());
    assert_eq!(held_by(&joined, "a").len(), 8, "b waits until a gives back");
    assert!(held_by(&joined, "b").is_empty());
}

#[test]
fn the_partitions_of_a_dead_replica_go_to_the_living() {
    let both = turns(Table::default(), &["a", "b"], 3);
    let after = plan_table(&both, "b", &dead(&["a"]));
    assert_eq!(held_by(&after, "b").len(), 8);
    assert!(!after.members.contains_key("a"));
}

#[test]
fn a_replica_that_leaves_frees_its_partitions_at_once() {
    let both = turns(Table::default(), &["a", "b"], 3);
    let left = plan_leave(&both, "a");
    assert_eq!(held_by(&plan_table(&left, "b", &BTreeSet::new()), "b").len(), 8);
}

#[test]
fn a_replica_is_dead_when_its_number_stands_still_by_the_observers_clock() {
    let mut sightings = Sightings::default();
    let start = Instant::now();
    let mut table = turns(Table::default(), &["a", "b"], 1);
    assert!(sightings.dead(&table, start, EXPIRY).is_empty());
    table = plan_table(&table, "b", &BTreeSet::new());
    assert!(sightings.dead(&table, start + EXPIRY / 2, EXPIRY).is_empty());
    assert_eq!(sightings.dead(&table, start + EXPIRY, EXPIRY), dead(&["a"]));
    // Counting on, it lives again.
    table = plan_table(&table, "a", &BTreeSet::new());
    assert!(sightings.dead(&table, start + EXPIRY * 2, EXPIRY).contains("b"));
    assert!(!sightings.dead(&table, start + EXPIRY * 2, EXPIRY).contains("a"));
}

#[test]
fn runs_spread_over_all_partitions() {
    let mut counts = [0_u32; PARTITIONS as usize];
    for n in 0..8000 {
        let run: RunId = format!("licence-audit-a1b2c-{n}").parse().unwrap();
        counts[usize::from(partition(&run))] += 1;
    }
    assert!(counts.iter().all(|count| (700..1300).contains(count)), "{counts:?}");
}
