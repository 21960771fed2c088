//! Kubernetes quantities such as `250m`, `1.5` or `64Mi`: checked, so that a mistake is told at the field that holds it.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};
use tetrarch_core::quantity::{Bounds, Parts, parts};

use crate::violation::Violations;

/// Why a text is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It has another form.
    #[error("{0:?} is not a quantity: write a positive number with an optional suffix, such as 250m, 2, 64Mi or 1Gi")]
    Form(String),
    /// It is more than can be counted.
    #[error("{0:?} is too large: write a smaller quantity, such as 250m, 2, 64Mi or 1Gi")]
    Large(String),
}

/// 18 digits times 2^60 and a thousand are below 2^128; what is more than 10^99 counts as too large all the same.
const BOUNDS: Bounds = Bounds { digits: 18, exponents: -99..=99 };

/// Whether the text is a quantity of at least 0.
pub fn check(text: &str) -> Result<(), Error> {
    parts(text, &BOUNDS).map(|_| ()).ok_or_else(|| Error::Form(text.to_owned()))
}

/// Thousandths of the unit, rounded up: CPU in millicores.
pub fn millis(text: &str) -> Result<u64, Error> {
    scaled(text, 3)
}

/// Whole units, rounded up: memory in bytes, or things that are counted.
pub fn units(text: &str) -> Result<u64, Error> {
    scaled(text, 0)
}

fn scaled(text: &str, more_tens: i32) -> Result<u64, Error> {
    let Parts { number, tens, twos } = parts(text, &BOUNDS).ok_or_else(|| Error::Form(text.to_owned()))?;
    if number == 0 {
        return Ok(0);
    }
    let power = tens + more_tens;
    let large = || Error::Large(text.to_owned());
    let number = number.checked_mul(1 << twos).ok_or_else(large)?;
    let scaled = match 10_u128.checked_pow(power.unsigned_abs()) {
        Some(factor) if power >= 0 => number.checked_mul(factor).ok_or_else(large)?,
        Some(divisor) => number.div_ceil(divisor),
        None if power >= 0 => return Err(large()),
        // So small that it is less than one unit.
        None => 1,
    };
    // What the API server counts in signed numbers.
    u64::try_from(scaled).ok().filter(|value| i64::try_from(*value).is_ok()).ok_or_else(large)
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
    #[case("100m", 100)]
    #[case("1", 1_000)]
    #[case("1.5", 1_500)]
    #[case("0.0001", 1)]
    #[case("1u", 1)]
    #[case("1e3", 1_000_000)]
    #[case("1E-3", 1)]
    #[case("0e99", 0)]
    fn cpu_is_counted_in_millicores_rounded_up(#[case] text: &str, #[case] expected: u64) {
        assert_eq!(millis(text), Ok(expected));
    }

    #[rstest]
    #[case("64Mi", 64 << 20)]
    #[case("1.5Gi", 3 << 29)]
    #[case("1G", 1_000_000_000)]
    #[case("1m", 1)]
    #[case("0.1", 1)]
    #[case("1e-99", 1)]
    #[case("7Ei", 7 << 60)]
    fn memory_is_counted_in_bytes_rounded_up(#[case] text: &str, #[case] expected: u64) {
        assert_eq!(units(text), Ok(expected));
    }

    #[rstest]
    #[case("8Ei")]
    #[case("1e99")]
    #[case("999999999999999999Ei")]
    fn more_than_can_be_counted_is_refused(#[case] text: &str) {
        assert_eq!(units(text), Err(Error::Large(text.to_owned())));
    }

    #[rstest]
    #[case("")]
    #[case(".")]
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
