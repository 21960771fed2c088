//! JSON values as CEL sees them: equality, order and arithmetic of numbers, and what copying one costs.

use std::{cell::Cell, cmp::Ordering};

use serde_json::{Number, Value};

use super::Error;

/// The budget of one evaluation.
pub(super) struct Meter {
    left: Cell<u64>,
}

impl Meter {
    pub(super) fn new(budget: u64) -> Self {
        Self { left: Cell::new(budget) }
    }

    /// Spends some of the budget.
    pub(super) fn spend(&self, units: u64) -> Result<(), Error> {
        self.left.set(self.left.get().checked_sub(units).ok_or(Error::Cost)?);
        Ok(())
    }

    /// Spends for going over so many bytes.
    pub(super) fn spend_bytes(&self, bytes: usize) -> Result<(), Error> {
        self.spend(1 + u64::try_from(bytes).unwrap_or(u64::MAX) / 16)
    }

    /// Spends for a copy of the value.
    pub(super) fn spend_copy(&self, value: &Value) -> Result<(), Error> {
        match value {
            Value::String(text) => self.spend_bytes(text.len()),
            Value::Array(list) => {
                self.spend(1)?;
                list.iter().try_for_each(|element| self.spend_copy(element))
            }
            Value::Object(map) => {
                self.spend(1)?;
                map.iter().try_for_each(|(key, element)| {
                    self.spend_bytes(key.len())?;
                    self.spend_copy(element)
                })
            }
            _ => self.spend(1),
        }
    }
}

/// A short name of the value for messages: its type, and the value itself when it is short.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(b) => format!("the boolean {b}"),
        Value::Number(n) => format!("the number {n}"),
        Value::String(s) if s.len() <= 40 => format!("the string {s:?}"),
        Value::String(s) => format!("a string of {} bytes", s.len()),
        Value::Array(list) => format!("a list of {} elements", list.len()),
        Value::Object(map) => format!("an object of {} fields", map.len()),
    }
}

/// The nesting of a value: 1 for a scalar.
pub(super) fn exceeds_depth(value: &Value, limit: usize) -> bool {
    let Some(limit) = limit.checked_sub(1) else { return true };
    match value {
        Value::Array(list) => list.iter().any(|element| exceeds_depth(element, limit)),
        Value::Object(map) => map.values().any(|element| exceeds_depth(element, limit)),
        _ => false,
    }
}

/// Equality of CEL: numbers by their value, everything else by type and content.
pub(super) fn equal(meter: &Meter, a: &Value, b: &Value) -> Result<bool, Error> {
    meter.spend(1)?;
    Ok(match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b) == Some(Ordering::Equal),
        (Value::String(a), Value::String(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            meter.spend_bytes(a.len())?;
            a == b
        }
        (Value::Array(a), Value::Array(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (a, b) in a.iter().zip(b) {
                if !equal(meter, a, b)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Object(a), Value::Object(b)) => {
            if a.len() != b.len() {
                return Ok(false);
            }
            for (key, a) in a {
                match b.get(key) {
                    Some(b) if equal(meter, a, b)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        _ => a == b,
    })
}

/// Order of CEL: numbers, strings and booleans.
pub(super) fn compare(meter: &Meter, a: &Value, b: &Value) -> Result<Ordering, Error> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b),
        (Value::String(a), Value::String(b)) => {
            meter.spend_bytes(a.len().min(b.len()))?;
            Some(a.cmp(b))
        }
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
    .ok_or_else(|| Error::Evaluation(format!("{} cannot be compared with {}", describe(a), describe(b))))
}

/// A number of JSON, exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Numeric {
    Int(i128),
    Double(f64),
}

impl Numeric {
    pub(super) fn of(number: &Number) -> Self {
        match (number.as_i64(), number.as_u64()) {
            (Some(i), _) => Self::Int(i.into()),
            (None, Some(u)) => Self::Int(u.into()),
            (None, None) => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "that is what a conversion to double means")]
    pub(super) fn to_double(self) -> f64 {
        match self {
            Self::Int(i) => i as f64,
            Self::Double(d) => d,
        }
    }

    pub(super) fn into_value(self) -> Result<Value, Error> {
        let number = match self {
            Self::Int(i) => i64::try_from(i).map(Number::from).or_else(|_| u64::try_from(i).map(Number::from)).ok(),
            Self::Double(d) => Number::from_f64(d),
        };
        number.map(Value::Number).ok_or_else(|| {
            Error::Evaluation("the result is too large a number, or not a number: guard the operands".to_owned())
        })
    }
}

fn compare_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    match (Numeric::of(a), Numeric::of(b)) {
        (Numeric::Int(a), Numeric::Int(b)) => Some(a.cmp(&b)),
        (Numeric::Int(a), Numeric::Double(b)) => compare_exactly(a, b),
        (Numeric::Double(a), Numeric::Int(b)) => compare_exactly(b, a).map(Ordering::reverse),
        (Numeric::Double(a), Numeric::Double(b)) => a.partial_cmp(&b),
    }
}

/// Compares without rounding the integer to a double.
#[expect(
    clippy::cast_possible_truncation,
    reason = "integers of JSON have 65 bits; larger doubles saturate in the right order"
)]
fn compare_exactly(int: i128, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    let whole = double.trunc();
    Some(int.cmp(&(whole as i128)).then_with(|| 0.0_f64.total_cmp(&(double - whole + 0.0))))
}

/// `+ - * / %` of two numbers.
pub(super) fn arithmetic(operator: char, a: Numeric, b: Numeric) -> Result<Value, Error> {
    let zero = || Error::Evaluation("division by zero: guard it with a condition".to_owned());
    let result = match (a, b) {
        (Numeric::Int(a), Numeric::Int(b)) => Numeric::Int(match operator {
            '+' => a + b,
            '-' => a - b,
            // At most 64 bits each, so the product has at most 128; the one that does not fit is refused like every other.
            '*' => a.saturating_mul(b),
            '/' => a.checked_div(b).ok_or_else(zero)?,
            _ => a.checked_rem(b).ok_or_else(zero)?,
        }),
        (a, b) => {
            let (a, b) = (a.to_double(), b.to_double());
            Numeric::Double(match operator {
                '+' => a + b,
                '-' => a - b,
                '*' => a * b,
                '/' => a / b,
                _ => return Err(Error::Evaluation("% needs two integers".to_owned())),
            })
        }
    };
    result.into_value()
}
