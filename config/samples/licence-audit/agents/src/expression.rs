//! SPDX expressions: reading what manifests declare, and choosing among the alternatives of an `OR`.

use std::collections::BTreeSet;

use spdx::{
    Expression, ParseMode,
    expression::{ExprNode, Operator},
};

use crate::family::{Family, Obligation, family_of, obligations_of};

/// Reads an expression the way package registries do: `MIT/Apache-2.0` is an `OR`, loose names are allowed.
pub fn parse(declared: &str) -> Result<Expression, String> {
    let canonical = Expression::canonicalize(declared).ok().flatten();
    Expression::parse_mode(canonical.as_deref().unwrap_or(declared), ParseMode::LAX)
        .map_err(|error| error.reason.to_string())
}

/// The ids in an expression; none when it cannot be read.
pub fn ids(declared: &str) -> BTreeSet<String> {
    parse(declared).map(|expression| required(&expression)).unwrap_or_default()
}

/// The ids of all terms, each with its exception.
pub fn required(expression: &Expression) -> BTreeSet<String> {
    expression.requirements().map(|term| term.req.to_string()).collect()
}

/// Whether the expression holds when exactly these licences are there.
pub fn holds(expression: &Expression, mut has: impl FnMut(&str) -> bool) -> bool {
    expression.evaluate(|requirement| has(&requirement.to_string()))
}

/// One way to fulfil an expression: the licences that then apply together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The ids.
    pub licences: BTreeSet<String>,
    /// The strictest family among them.
    pub family: Family,
    /// What they ask for together.
    pub obligations: BTreeSet<Obligation>,
}

impl Choice {
    fn one(id: String) -> Self {
        let (family, obligations) = (family_of(&id), obligations_of(&id));
        Self { licences: BTreeSet::from([id]), family, obligations }
    }

    fn and(mut self, other: Self) -> Self {
        self.licences.extend(other.licences);
        self.obligations.extend(other.obligations);
        self.family = self.family.max(other.family);
        self
    }

    /// The freer family wins, then fewer obligations, then the one that was written first.
    fn or(self, other: Self) -> Self {
        let key = |choice: &Self| (choice.family, choice.obligations.len());
        if key(&other) < key(&self) { other } else { self }
    }
}

/// The choice with the fewest obligations.
pub fn lightest(expression: &Expression) -> Option<Choice> {
    let mut stack: Vec<Choice> = Vec::new();
    for node in expression.iter() {
        match node {
            ExprNode::Req(term) => stack.push(Choice::one(term.req.to_string())),
            ExprNode::Op(operator) => {
                let (right, left) = (stack.pop()?, stack.pop()?);
                stack.push(match operator {
                    Operator::And => left.and(right),
                    Operator::Or => left.or(right),
                });
            }
        }
    }
    stack.pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(declared: &str) -> (Vec<String>, Family) {
        let choice = lightest(&parse(declared).unwrap()).unwrap();
        (choice.licences.into_iter().collect(), choice.family)
    }

    #[test]
    fn old_slash_form_is_an_or() {
        assert_eq!(ids("MIT/Apache-2.0"), BTreeSet::from(["Apache-2.0".to_owned(), "MIT".to_owned()]));
        assert!(holds(&parse("Apache-2.0 / MIT").unwrap(), |id| id == "MIT"));
    }

    #[test]
    fn an_exception_belongs_to_its_licence() {
        assert!(ids("Apache-2.0 WITH LLVM-exception OR MIT").contains("Apache-2.0 WITH LLVM-exception"));
    }

    #[test]
    fn an_or_avoids_copyleft_and_an_and_cannot() {
        assert_eq!(chosen("LGPL-2.1-or-later OR MIT OR Apache-2.0"), (vec!["MIT".to_owned()], Family::Permissive));
        assert_eq!(chosen("MIT AND MPL-2.0").1, Family::WeakCopyleft);
    }
}
