//! Quantities of Kubernetes as numbers: `quantity('1Gi')` is 1073741824, `quantity('250m')` is 0.25.

use serde_json::Value;

use super::{Error, value::Numeric};
use crate::quantity::{Bounds, Parts, parts};

/// 19 digits times 2^60 are far below 2^127.
const BOUNDS: Bounds = Bounds { digits: 19, exponents: -30..=30 };

/// The number that a quantity stands for: an integer when it is whole, else the nearest double, so that equal quantities
/// are equal numbers however they are written.
pub(super) fn parse(text: &str) -> Result<Value, Error> {
    let told = if text.len() <= 40 { format!("{text:?}") } else { format!("a text of {} bytes", text.len()) };
    read(text).and_then(|number| number.into_value().ok()).ok_or_else(|| {
        Error::Evaluation(format!(
            "{told} is not a quantity: write a number with an optional suffix, such as 250m or 1Gi"
        ))
    })
}

fn read(text: &str) -> Option<Numeric> {
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let Parts { number, tens, twos } = parts(unsigned, &BOUNDS)?;
    let mantissa = (sign * i128::try_from(number).ok()?) << twos;
    let power = 10_i128.checked_pow(tens.unsigned_abs());
    Some(match power {
        Some(power) if tens >= 0 => Numeric::Int(mantissa.checked_mul(power)?),
        Some(power) if mantissa % power == 0 => Numeric::Int(mantissa / power),
        _ => Numeric::Double(format!("{mantissa}e{tens}").parse().ok()?),
    })
}
