//! Units of the numbers that policies and quotas hold, and how a number is written in a manifest.

use std::fmt::{self, Write as _};

/// What one unit of a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things that are counted.
    Count,
    /// Thousandths of a second, written as a duration such as `1h30m`.
    Millis,
    /// Thousandths of a CPU, written as a quantity such as `250m`.
    Millicores,
    /// Bytes, written as a quantity such as `64Mi`.
    Bytes,
    /// Millionths of the Orchestrator's currency, written as a decimal such as `20.00`.
    Micros,
}

/// A number with its unit; displayed as a manifest holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity {
    /// The number, in the base unit.
    pub value: u64,
    /// The unit.
    pub unit: Unit,
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::Count => write!(f, "{}", self.value),
            Unit::Millis => duration(self.value, f),
            Unit::Millicores if self.value.is_multiple_of(1000) => write!(f, "{}", self.value / 1000),
            Unit::Millicores => write!(f, "{}m", self.value),
            Unit::Bytes => bytes(self.value, f),
            Unit::Micros => money(self.value, f),
        }
    }
}

fn duration(millis: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if millis == 0 {
        return f.write_str("0s");
    }
    let mut rest = millis;
    for (size, name) in [(3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")] {
        if rest >= size {
            write!(f, "{}{name}", rest / size)?;
            rest %= size;
        }
    }
    Ok(())
}

fn bytes(value: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // Above Ti a number of Ti reads better than one of Pi.
    let fits = |exponent: &u32| value != 0 && value.is_multiple_of(1_u64 << (10 * exponent));
    match (1..=4).rev().find(fits) {
        Some(exponent) => {
            let suffix = ["Ki", "Mi", "Gi", "Ti"][exponent as usize - 1];
            write!(f, "{}{suffix}", value >> (10 * exponent))
        }
        None => write!(f, "{value}"),
    }
}

/// Two decimals, and more only when the number has them.
fn money(micros: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut decimals = format!("{:06}", micros % 1_000_000);
    while decimals.len() > 2 && decimals.ends_with('0') {
        decimals.pop();
    }
    write!(f, "{}", micros / 1_000_000)?;
    f.write_char('.')?;
    f.write_str(&decimals)
}

#[cfg(test)]
mod tests {
    //! Tests of how numbers are written.

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Unit::Count, 50, "50")]
    #[case(Unit::Millis, 0, "0s")]
    #[case(Unit::Millis, 1_500, "1s500ms")]
    #[case(Unit::Millis, 5_400_000, "1h30m")]
    #[case(Unit::Millicores, 250, "250m")]
    #[case(Unit::Millicores, 4_000, "4")]
    #[case(Unit::Bytes, 0, "0")]
    #[case(Unit::Bytes, 1 << 30, "1Gi")]
    #[case(Unit::Bytes, 1536 << 20, "1536Mi")]
    #[case(Unit::Bytes, 1000, "1000")]
    #[case(Unit::Bytes, 2 << 50, "2048Ti")]
    #[case(Unit::Micros, 20_000_000, "20.00")]
    #[case(Unit::Micros, 125_000, "0.125")]
    #[case(Unit::Micros, 1, "0.000001")]
    fn numbers_are_written_as_in_manifests(#[case] unit: Unit, #[case] value: u64, #[case] expected: &str) {
        assert_eq!(Quantity { value, unit }.to_string(), expected);
    }
}
