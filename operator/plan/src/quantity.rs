//! Kubernetes quantities such as `250m`, `1.5` or `64Mi`: checked, so that a mistake is told at the field that holds it.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};

use crate::violation::Violations;

/// Why a text is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a quantity: write a positive number with an optional suffix, such as 250m, 2, 64Mi or 1Gi")]
pub struct Error(pub String);

const SUFFIXES: [&str; 16] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// Whether the text is a quantity of at least 0.
pub fn check(text: &str) -> Result<(), Error> {
    let refused = || Error(text.to_owned());
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let digits = number.chars().filter(char::is_ascii_digit).count();
    let is_number = digits > 0 && digits <= 18 && number.matches('.').count() <= 1;
    let is_exponent = || {
        let exponent = suffix.strip_prefix(['e', 'E'])?;
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        (matches!(exponent.len(), 1 | 2) && exponent.bytes().all(|b| b.is_ascii_digit())).then_some(())
    };
    if is_number && (SUFFIXES.contains(&suffix) || is_exponent().is_some()) { Ok(()) } else { Err(refused()) }
}

/// Notes every request and limit that is no quantity.
pub fn check_resources(path: &str, resources: &ResourceRequirements, violations: &mut Violations) {
    check_map(&format!("{path}.requests"), resources.requests.as_ref(), violations);
    check_map(&format!("{path}.limits"), resources.limits.as_ref(), violations);
}

fn check_map(path: &str, quantities: Option<&BTreeMap<String, Quantity>>, violations: &mut Violations) {
    for (name, quantity) in quantities.into_iter().flatten() {
        violations.check(&format!("{path}.{name}"), check(&quantity.0));
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0")]
    #[case("250m")]
    #[case("1.5")]
    #[case("64Mi")]
    #[case("1e3")]
    #[case("12E")]
    fn accepts(#[case] text: &str) {
        assert_eq!(check(text), Ok(()));
    }

    #[rstest]
    #[case("")]
    #[case("-1")]
    #[case("1.2.3")]
    #[case("64MB")]
    #[case("one")]
    #[case("1 Gi")]
    #[case("e3")]
    fn refuses_and_says_what_to_write(#[case] text: &str) {
        assert!(check(text).unwrap_err().to_string().contains("such as 250m, 2, 64Mi or 1Gi"));
    }
}
