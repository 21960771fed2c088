//! When a task is reached: alternatives of conditions that must all hold.

use super::super::text;

/// A condition, or that it does not hold.
type Literal = (String, bool);

/// Alternatives; none of them means never, an empty one always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach(Vec<Vec<Literal>>);

impl Reach {
    /// In any case.
    pub fn always() -> Self {
        Self(vec![Vec::new()])
    }

    /// In no case.
    pub fn never() -> Self {
        Self(Vec::new())
    }

    /// Whether there is no case.
    pub fn is_never(&self) -> bool {
        self.0.is_empty()
    }

    /// Only when the condition holds, or does not.
    pub fn and(&self, condition: &str, holds: bool) -> Self {
        let literal = (condition.to_owned(), holds);
        let with = |case: &Vec<Literal>| {
            let mut case = case.clone();
            if !case.contains(&literal) {
                case.push(literal.clone());
            }
            case
        };
        Self(self.0.iter().map(with).collect())
    }

    /// In either case. Cases that differ in one condition that holds here and does not hold there are one.
    pub fn or(&self, other: &Self) -> Self {
        let mut cases: Vec<Vec<Literal>> = self.0.iter().chain(&other.0).cloned().collect();
        while let Some((first, second, joined)) = joinable(&cases) {
            cases.remove(second);
            cases[first] = joined;
        }
        Self(cases)
    }

    /// As CEL; nothing when it is always.
    pub fn to_cel(&self) -> Option<String> {
        if self.0.is_empty() {
            return Some("false".to_owned());
        }
        if self.0.iter().any(Vec::is_empty) {
            return None;
        }
        let literal = |(condition, holds): &Literal| if *holds { condition.clone() } else { format!("!({condition})") };
        let cases: Vec<String> = self.0.iter().filter_map(|case| text::all(case.iter().map(literal))).collect();
        match cases.as_slice() {
            [one] => Some(one.clone()),
            several => Some(several.iter().map(|case| text::bracketed(case)).collect::<Vec<_>>().join(" || ")),
        }
    }
}

/// Two cases that can be one: the same, one within the other, or different in whether one condition holds.
fn joinable(cases: &[Vec<Literal>]) -> Option<(usize, usize, Vec<Literal>)> {
    for (first, one) in cases.iter().enumerate() {
        for (second, other) in cases.iter().enumerate().skip(first + 1) {
            if one.iter().all(|literal| other.contains(literal)) {
                return Some((first, second, one.clone()));
            }
            if other.iter().all(|literal| one.contains(literal)) {
                return Some((first, second, other.clone()));
            }
            let differs = |literal: &&Literal| other.contains(&(literal.0.clone(), !literal.1));
            let mut different = one.iter().filter(differs);
            if let (Some(literal), None, true) = (different.next(), different.next(), one.len() == other.len()) {
                let rest: Vec<Literal> = one.iter().filter(|known| *known != literal).cloned().collect();
                if rest.iter().all(|literal| other.contains(literal)) {
                    return Some((first, second, rest));
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_that_meet_again_are_reached_as_before() {
        let start = Reach::always().and("p", true);
        let first = start.and("a", true);
        let second = start.and("a", false).and("b", true);
        let third = start.and("a", false).and("b", false);
        assert_eq!(first.or(&second).or(&third), start);
        assert_eq!(first.or(&third).to_cel().as_deref(), Some("(p && a) || (p && (!(a)) && (!(b)))"));
    }

    #[test]
    fn always_needs_no_condition_and_never_is_false() {
        assert_eq!(Reach::always().to_cel(), None);
        assert_eq!(Reach::never().to_cel().as_deref(), Some("false"));
        assert_eq!(Reach::never().or(&Reach::always()), Reach::always());
        assert_eq!(Reach::always().and("a == 1", false).to_cel().as_deref(), Some("!(a == 1)"));
    }
}
