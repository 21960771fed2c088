//! Tables for the pull requests.

use super::*;

const NOW: Duration = Duration::from_secs(100);

fn ask(pulls: &mut Pulls, free: u32, now: Duration) -> Vec<(Class, u32, bool)> {
    pulls.plan(free, now).into_iter().map(|request| (request.id.class, request.batch, request.wait)).collect()
}

/// All four queues known to be empty and held, by the requests 2, 4, 6 and 8.
fn idle(free: u32) -> Pulls {
    let mut pulls = Pulls::default();
    let mut asked = Vec::new();
    for class in Class::ALL {
        let requests = pulls.plan(free, NOW);
        let last = requests.last().unwrap();
        assert_eq!((last.id.class, last.batch, last.wait), (class, free, false));
        pulls.ended(last.id, PullEnd::Empty, NOW);
        asked.extend(requests);
    }
    asked.extend(pulls.plan(free, NOW));
    let held: Vec<_> = asked.into_iter().filter(|request| request.wait).collect();
    assert_eq!(held.iter().map(|request| request.id).collect::<Vec<_>>(), HELD);
    assert!(held.iter().all(|request| request.batch == 1));
    pulls
}

const HELD: [PullId; 4] = [
    PullId { class: Class::Critical, number: 2 },
    PullId { class: Class::High, number: 4 },
    PullId { class: Class::Normal, number: 6 },
    PullId { class: Class::Low, number: 8 },
];

#[test]
fn at_the_start_queues_are_asked_from_the_most_urgent_down_and_then_held() {
    idle(4);
}

#[test]
fn nothing_is_asked_while_all_is_held_or_no_slot_is_free() {
    let mut pulls = idle(4);
    assert!(ask(&mut pulls, 4, NOW).is_empty());
    assert!(ask(&mut Pulls::default(), 0, NOW).is_empty());
}

#[test]
fn a_lone_task_renews_only_its_own_queue() {
    let mut pulls = idle(4);
    pulls.delivered(Class::Normal, 0, NOW);
    assert_eq!(ask(&mut pulls, 3, NOW), [(Class::Normal, 1, true)]);
}

#[test]
fn a_backlog_is_fetched_with_one_request_for_all_free_slots() {
    let mut pulls = idle(4);
    pulls.delivered(Class::Normal, 100, NOW);
    assert_eq!(ask(&mut pulls, 3, NOW), [(Class::Normal, 3, false)]);
    assert!(ask(&mut pulls, 3, NOW).is_empty(), "one request at a time");
    for _ in 0..3 {
        pulls.delivered(Class::Normal, 90, NOW);
    }
    assert_eq!(ask(&mut pulls, 1, NOW), [(Class::Normal, 1, false)]);
}

#[test]
fn less_urgent_queues_wait_until_the_more_urgent_one_is_empty() {
    let mut pulls = Pulls::default();
    let request = pulls.plan(2, NOW).pop().unwrap();
    pulls.delivered(Class::Critical, 5, NOW);
    pulls.delivered(Class::Critical, 4, NOW);
    assert_eq!(request.id.class, Class::Critical);
    assert_eq!(ask(&mut pulls, 1, NOW), [(Class::Critical, 1, false)]);
    pulls.delivered(Class::Critical, 0, NOW);
    assert_eq!(ask(&mut pulls, 1, NOW), [(Class::Critical, 1, true), (Class::High, 1, false)]);
}

#[test]
fn a_handed_back_task_makes_its_queue_be_asked_again() {
    let mut pulls = idle(1);
    pulls.delivered(Class::Critical, 0, NOW);
    pulls.handed_back(Class::Critical);
    assert_eq!(ask(&mut pulls, 1, NOW), [(Class::Critical, 1, false)]);
}

#[test]
fn a_missing_consumer_is_asked_again_with_growing_pauses_and_blocks_nobody() {
    let mut pulls = Pulls::default();
    let mut now = NOW;
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let request = pulls.plan(1, now).into_iter().find(|request| request.id.class == Class::Critical).unwrap();
        pulls.ended(request.id, PullEnd::Refused, now);
        let others = pulls.plan(1, now);
        assert!(others.iter().all(|request| request.id.class != Class::Critical));
        let retry = pulls.queues[0].retry_at;
        pauses.push(retry.checked_sub(now).unwrap());
        now = retry;
    }
    assert!(pauses.windows(2).all(|pair| pair[0] <= pair[1]), "{pauses:?}");
    assert_eq!(pauses.last(), Some(&PAUSE.1));
}

#[test]
fn a_request_that_stalls_is_replaced_and_its_late_end_is_ignored() {
    let mut pulls = idle(1);
    let later = NOW + STALLED;
    let requests = pulls.plan(1, later);
    assert_eq!(requests.len(), 4);
    pulls.ended(HELD[0], PullEnd::Expired, later);
    assert!(ask(&mut pulls, 1, later).is_empty());
}

#[test]
fn heartbeats_keep_a_held_queue() {
    let mut pulls = idle(1);
    for id in HELD {
        pulls.heard(id, NOW + HEARTBEAT);
    }
    assert!(ask(&mut pulls, 1, NOW + STALLED).is_empty());
}

#[test]
fn after_a_lost_connection_everything_is_asked_anew() {
    let mut pulls = idle(2);
    pulls.reset();
    assert_eq!(ask(&mut pulls, 2, NOW), [(Class::Critical, 2, false)]);
}

/// Takes tasks one at a time until one of the class comes, with backlogs in all queues; tells how many came before it.
fn tasks_before(pulls: &mut Pulls, class: Class) -> usize {
    for before in 0..1000 {
        let [request] = pulls.plan(1, NOW)[..] else { panic!("one free slot is one request") };
        assert_eq!((request.batch, request.wait), (1, false));
        pulls.delivered(request.id.class, 1000, NOW);
        if request.id.class == class {
            return before;
        }
    }
    panic!("{class} starves");
}

#[test]
fn a_queue_that_is_passed_over_for_long_is_asked_for_one_task() {
    let mut pulls = Pulls::default();
    assert_eq!(tasks_before(&mut pulls, Class::High), PATIENCE as usize);
    let mut pulls = Pulls::default();
    let before = tasks_before(&mut pulls, Class::Low);
    assert!((PATIENCE as usize..=PATIENCE as usize + 3).contains(&before), "{before}");
    assert!(tasks_before(&mut pulls, Class::Low) <= PATIENCE as usize + 3, "and again");
}

#[test]
fn the_turn_of_a_queue_that_was_passed_over_leaves_the_other_slots_to_the_urgent_one() {
    let mut pulls = Pulls::default();
    for _ in 0..PATIENCE {
        pulls.plan(1, NOW);
        pulls.delivered(Class::Critical, 1000, NOW);
    }
    let asked = ask(&mut pulls, 4, NOW);
    assert_eq!(asked[0], (Class::High, 1, false), "{asked:?}");
    assert_eq!(asked[1], (Class::Critical, 3, false), "{asked:?}");
    assert_eq!(asked.len(), 2);
}

#[test]
fn a_lost_request_of_a_queue_that_was_passed_over_blocks_nothing() {
    let mut pulls = Pulls::default();
    for _ in 0..PATIENCE {
        pulls.plan(1, NOW);
        pulls.delivered(Class::Critical, 1000, NOW);
    }
    assert_eq!(ask(&mut pulls, 1, NOW), [(Class::High, 1, false)]);
    assert!(!ask(&mut pulls, 1, NOW + UNANSWERED).is_empty());
}
