//! Finds the cycles among steps.

/// Each cycle once, as the steps along it; the first one is not repeated at the end.
///
/// A depth-first walk: an edge back to a step on the current walk closes a cycle. Every cycle contains such an edge, so a
/// graph without a result has none; overlapping cycles may be told one after the other.
pub(super) fn find(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnWalk,
        Done,
    }
    let mut marks = vec![Mark::New; edges.len()];
    let mut cycles = Vec::new();
    for root in 0..edges.len() {
        if marks[root] != Mark::New {
            continue;
        }
        // The walk with, for each step on it, the edge to follow next.
        let mut walk = vec![(root, 0)];
        marks[root] = Mark::OnWalk;
        while let Some((step, edge)) = walk.last_mut() {
            let Some(&next) = edges[*step].get(*edge) else {
                marks[*step] = Mark::Done;
                walk.pop();
                continue;
            };
            *edge += 1;
            match marks[next] {
                Mark::New => {
                    marks[next] = Mark::OnWalk;
                    walk.push((next, 0));
                }
                Mark::OnWalk => {
                    let start = walk.iter().position(|(on_walk, _)| *on_walk == next).unwrap_or_default();
                    cycles.push(walk[start..].iter().map(|(on_walk, _)| *on_walk).collect());
                }
                Mark::Done => {}
            }
        }
    }
    cycles
}
