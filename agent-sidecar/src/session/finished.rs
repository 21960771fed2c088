//! The ids of tasks that ended here lately: when one is delivered again, its result is looked for before its agent is called.

use std::collections::{HashSet, VecDeque};

use tetrarch_core::id::TaskId;

/// A bounded set that forgets the oldest.
#[derive(Debug)]
pub struct Finished {
    known: HashSet<TaskId>,
    order: VecDeque<TaskId>,
    capacity: usize,
}

impl Finished {
    /// An empty set that remembers `capacity` ids.
    pub fn new(capacity: usize) -> Self {
        Self { known: HashSet::new(), order: VecDeque::new(), capacity }
    }

    /// Whether this task ended here.
    pub fn contains(&self, task: &TaskId) -> bool {
        self.known.contains(task)
    }

    /// Remembers a task.
    pub fn insert(&mut self, task: TaskId) {
        if !self.known.insert(task.clone()) {
            return;
        }
        self.order.push_back(task);
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let id = |n: u32| format!("run/step/{n}").parse::<TaskId>().unwrap();
        let mut finished = Finished::new(2);
        for n in [1, 2, 2, 3] {
            finished.insert(id(n));
        }
        assert!(!finished.contains(&id(1)));
        assert!(finished.contains(&id(2)) && finished.contains(&id(3)));
    }
}
