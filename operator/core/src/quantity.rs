//! The grammar of Kubernetes' quantities: a number with decimals and a suffix or an exponent. How large they may be is up
//! to those who count with them.
//!
//! Source: the comment of `Quantity` in `k8s.io/apimachinery/pkg/api/resource`.

use std::ops::RangeInclusive;

/// Suffixes with the power of 10 or, when it is second, of 2 that they stand for.
const SUFFIXES: [(&str, i32, u32); 16] = [
    ("n", -9, 0),
    ("u", -6, 0),
    ("m", -3, 0),
    ("", 0, 0),
    ("k", 3, 0),
    ("M", 6, 0),
    ("G", 9, 0),
    ("T", 12, 0),
    ("P", 15, 0),
    ("E", 18, 0),
    ("Ki", 0, 10),
    ("Mi", 0, 20),
    ("Gi", 0, 30),
    ("Ti", 0, 40),
    ("Pi", 0, 50),
    ("Ei", 0, 60),
];

/// What a reader of quantities can count with.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Most digits before and behind the point, at most 38.
    pub digits: usize,
    /// Exponents behind an `e`.
    pub exponents: RangeInclusive<i32>,
}

/// A quantity without its sign: `number * 10^tens * 2^twos`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// All digits.
    pub number: u128,
    /// Power of 10.
    pub tens: i32,
    /// Power of 2, from 0 to 60.
    pub twos: u32,
}

/// The parts of a quantity without a sign; none if the text has another form or is out of bounds.
pub fn parts(text: &str, bounds: &Bounds) -> Option<Parts> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + decimals.len() > bounds.digits || decimals.contains('.') {
        return None;
    }
    let number = format!("{whole}{decimals}").parse().ok()?;
    let known = SUFFIXES.iter().find(|(name, ..)| *name == suffix).map(|(_, tens, twos)| (*tens, *twos));
    let (tens, twos) = known.or_else(|| Some((exponent(suffix, &bounds.exponents)?, 0)))?;
    Some(Parts { number, tens: tens - i32::try_from(decimals.len()).ok()?, twos })
}

fn exponent(suffix: &str, bounds: &RangeInclusive<i32>) -> Option<i32> {
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    // `parse` takes a sign of either kind, and nothing without a digit.
    exponent.parse().ok().filter(|exponent| bounds.contains(exponent))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(text: &str) -> Option<(u128, i32, u32)> {
        let bounds = Bounds { digits: 18, exponents: -30..=30 };
        parts(text, &bounds).map(|Parts { number, tens, twos }| (number, tens, twos))
    }

    #[rstest]
    #[case("0", (0, 0, 0))]
    #[case("250m", (250, -3, 0))]
    #[case("1.50", (150, -2, 0))]
    #[case(".5Gi", (5, -1, 30))]
    #[case("2.", (2, 0, 0))]
    #[case("12E", (12, 18, 0))]
    #[case("1e3", (1, 3, 0))]
    #[case("1E-05", (1, -5, 0))]
    #[case("1.5e+30", (15, 29, 0))]
    #[case("999999999999999999Ei", (999_999_999_999_999_999, 0, 60))]
    fn reads(#[case] text: &str, #[case] expected: (u128, i32, u32)) {
        assert_eq!(read(text), Some(expected));
    }

    #[rstest]
    #[case("")]
    #[case(".")]
    #[case("-1")]
    #[case("+1")]
    #[case("1.2.3")]
    #[case("64MB")]
    #[case("1 Gi")]
    #[case("e3")]
    #[case("1e")]
    #[case("1e+-3")]
    #[case("1e31")]
    #[case("1e-31")]
    #[case("1000000000000000000")]
    #[case("0.000000000000000001")]
    fn takes_no_other_form_and_nothing_out_of_bounds(#[case] text: &str) {
        assert_eq!(read(text), None);
    }
}
