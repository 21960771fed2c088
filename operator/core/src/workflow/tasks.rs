//! Every task that a step can do, wherever in it the task stands.

use super::definition::{Reduce, Stage, Step, StepKind, Task};

impl Step {
    /// The tasks of the step with the paths of their fields in it, such as `map.reduce.task`.
    pub fn tasks_mut(&mut self) -> Vec<(String, &mut Task)> {
        let mut found = match &mut self.kind {
            StepKind::Task(task) => vec![("task".to_owned(), task)],
            StepKind::Map(map) => {
                let reduce = match &mut map.reduce {
                    Reduce::Task(task) | Reduce::Tree { task, .. } => Some(("map.reduce.task".to_owned(), task)),
                    _ => None,
                };
                [("map.task".to_owned(), &mut map.task)].into_iter().chain(reduce).collect()
            }
            StepKind::Parallel(branches) => branches
                .iter_mut()
                .enumerate()
                .flat_map(|(at, branch)| of_stages(format!("parallel.branches[{at}].stages"), &mut branch.stages))
                .collect(),
            StepKind::Pipeline(stages) => of_stages("pipeline.stages".to_owned(), stages).collect(),
            StepKind::Scatter(scatter) => vec![("scatter.task".to_owned(), &mut scatter.task)],
            StepKind::Loop(repeated) => vec![("loop.task".to_owned(), &mut repeated.task)],
            StepKind::Auto(auto) => {
                auto.planner.as_mut().map(|task| ("auto.planner".to_owned(), task)).into_iter().collect()
            }
            StepKind::Wait(_) | StepKind::Approval(_) | StepKind::Workflow(_) => Vec::new(),
        };
        if let Some(gate) = &mut self.gate {
            found.extend(gate.judge.as_mut().map(|judge| ("gate.judge.task".to_owned(), &mut judge.task)));
            found.extend(gate.fallback.as_deref_mut().map(|task| ("gate.fallback".to_owned(), task)));
        }
        found.extend(self.compensate.as_mut().map(|task| ("compensate".to_owned(), task)));
        found
    }
}

fn of_stages(path: String, stages: &mut [Stage]) -> impl Iterator<Item = (String, &mut Task)> {
    stages.iter_mut().enumerate().map(move |(index, stage)| (format!("{path}[{index}].task"), &mut stage.task))
}
