//! Quantities of Kubernetes as numbers: `quantity('1Gi')` is 1073741824, `quantity('250m')` is 0.25.

use serde_json::Value;

use super::{Error, value::Numeric};

/// Suffixes with their powers: of 10, and of 2.
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
    let end = unsigned.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{decimals}");
    // 19 digits times 2^60 are far below 2^127.
    if digits.len() > 19 || decimals.contains('.') {
        return None;
    }
    let (ten, two) = exponents(suffix)?;
    let mantissa = (sign * digits.parse::<i128>().ok()?) << two;
    let ten = ten - i32::try_from(decimals.len()).ok()?;
    let power = 10_i128.checked_pow(ten.unsigned_abs());
    Some(match power {
        Some(power) if ten >= 0 => Numeric::Int(mantissa.checked_mul(power)?),
        Some(power) if mantissa % power == 0 => Numeric::Int(mantissa / power),
        _ => Numeric::Double(format!("{mantissa}e{ten}").parse().ok()?),
    })
}

fn exponents(suffix: &str) -> Option<(i32, u32)> {
    if let Some((_, ten, two)) = SUFFIXES.iter().find(|(known, ..)| *known == suffix) {
        return Some((*ten, *two));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    let exponent: i32 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
    (-30..=30).contains(&exponent).then_some((exponent, 0))
}
