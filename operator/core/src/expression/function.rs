//! The operators and functions of expressions that evaluate all their arguments.

use std::{borrow::Cow, cmp::Ordering};

use serde_json::Value;

use super::{
    Error, Vocabulary, moment,
    pattern::Pattern,
    quantity,
    value::{Meter, Numeric, arithmetic, compare, describe, equal},
};

/// An operator or a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Add,
    Arithmetic(char),
    Equals,
    NotEquals,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Not,
    Negate,
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    String,
    Int,
    Double,
    Min,
    Max,
    LowerAscii,
    UpperAscii,
    Trim,
    Split,
    Join,
    Quantity,
}

/// Name, number of arguments (the receiver included), function. `min` and `max` also take any number of arguments.
const OPERATORS: [(&str, usize, Function); 14] = [
    ("_+_", 2, Function::Add),
    ("_-_", 2, Function::Arithmetic('-')),
    ("_*_", 2, Function::Arithmetic('*')),
    ("_/_", 2, Function::Arithmetic('/')),
    ("_%_", 2, Function::Arithmetic('%')),
    ("_==_", 2, Function::Equals),
    ("_!=_", 2, Function::NotEquals),
    ("_<_", 2, Function::Less),
    ("_<=_", 2, Function::LessOrEqual),
    ("_>_", 2, Function::Greater),
    ("_>=_", 2, Function::GreaterOrEqual),
    ("@in", 2, Function::In),
    ("!_", 1, Function::Not),
    ("-_", 1, Function::Negate),
];

const NAMED: [(&str, usize, Function); 18] = [
    ("size", 1, Function::Size),
    ("contains", 2, Function::Contains),
    ("startsWith", 2, Function::StartsWith),
    ("endsWith", 2, Function::EndsWith),
    ("matches", 2, Function::Matches),
    ("string", 1, Function::String),
    ("int", 1, Function::Int),
    ("double", 1, Function::Double),
    ("min", 1, Function::Min),
    ("max", 1, Function::Max),
    ("lowerAscii", 1, Function::LowerAscii),
    ("upperAscii", 1, Function::UpperAscii),
    ("trim", 1, Function::Trim),
    ("split", 2, Function::Split),
    ("join", 2, Function::Join),
    ("quantity", 1, Function::Quantity),
    ("min", 2, Function::Min),
    ("max", 2, Function::Max),
];

/// Names of the functions and macros, for messages.
pub(super) fn list(vocabulary: Vocabulary) -> String {
    let mut names: Vec<&str> = NAMED.iter().map(|(name, ..)| *name).collect();
    names.extend(["has", "exists", "all", "exists_one", "map", "filter"]);
    if vocabulary == Vocabulary::Policy {
        names.push(moment::CONSTRUCTOR);
        names.extend(moment::readers());
    }
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

impl Function {
    pub(super) fn find(name: &str, arguments: usize) -> Option<Self> {
        OPERATORS
            .iter()
            .chain(&NAMED)
            .find(|(known, count, _)| *known == name && *count == arguments)
            .map(|(_, _, function)| *function)
            .or(match name {
                "min" if arguments > 2 => Some(Self::Min),
                "max" if arguments > 2 => Some(Self::Max),
                _ => None,
            })
    }

    pub(super) fn is_comparison(self) -> bool {
        use Function::{Equals, Greater, GreaterOrEqual, Less, LessOrEqual, NotEquals};
        matches!(self, Equals | NotEquals | Less | LessOrEqual | Greater | GreaterOrEqual)
    }

    /// Whether a comparison holds for two operands of this order.
    pub(super) fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Equals => order.is_eq(),
            Self::NotEquals => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
            _ => false,
        }
    }

    pub(super) fn apply<'a>(self, meter: &Meter, arguments: Vec<Cow<'a, Value>>) -> Result<Cow<'a, Value>, Error> {
        match self {
            Self::Min => return extreme(meter, arguments, Ordering::Less),
            Self::Max => return extreme(meter, arguments, Ordering::Greater),
            Self::Add => return add(meter, arguments).map(Cow::Owned),
            _ => {}
        }
        let mut arguments = arguments.into_iter();
        let first = arguments.next().unwrap_or_default();
        match arguments.next() {
            Some(second) => self.binary(meter, &first, &second),
            None => self.unary(meter, &first),
        }
        .map(Cow::Owned)
    }

    fn unary(self, meter: &Meter, value: &Value) -> Result<Value, Error> {
        if let Value::String(text) = value {
            meter.spend_bytes(text.len())?;
        }
        match (self, value) {
            (Self::Not, Value::Bool(b)) => Ok(Value::Bool(!b)),
            (Self::Negate, Value::Number(n)) => arithmetic('-', Numeric::Int(0), Numeric::of(n)),
            (Self::Size, Value::String(text)) => Ok(Value::from(text.chars().count())),
            (Self::Size, Value::Array(list)) => Ok(Value::from(list.len())),
            (Self::Size, Value::Object(map)) => Ok(Value::from(map.len())),
            (Self::String, Value::String(text)) => Ok(Value::from(text.as_str())),
            (Self::String, Value::Number(n)) => Ok(Value::from(n.to_string())),
            (Self::String, Value::Bool(b)) => Ok(Value::from(b.to_string())),
            (Self::Int, Value::Number(n)) => to_int(Numeric::of(n)),
            (Self::Int, Value::String(text)) => text
                .parse::<i64>()
                .map(Value::from)
                .map_err(|_| Error::Evaluation(format!("int() cannot read {}", describe(value)))),
            (Self::Double, Value::Number(n)) => Numeric::Double(Numeric::of(n).to_double()).into_value(),
            (Self::Double, Value::String(text)) => text
                .parse::<f64>()
                .map_err(|_| Error::Evaluation(format!("double() cannot read {}", describe(value))))
                .and_then(|d| Numeric::Double(d).into_value()),
            (Self::LowerAscii, Value::String(text)) => Ok(Value::from(text.to_ascii_lowercase())),
            (Self::UpperAscii, Value::String(text)) => Ok(Value::from(text.to_ascii_uppercase())),
            (Self::Trim, Value::String(text)) => Ok(Value::from(text.trim())),
            (Self::Quantity, Value::String(text)) => quantity::parse(text),
            (Self::Quantity, Value::Number(n)) => Ok(Value::Number(n.clone())),
            _ => Err(Error::Evaluation(format!("{} cannot be used with {}", self.name(), describe(value)))),
        }
    }

    fn binary(self, meter: &Meter, a: &Value, b: &Value) -> Result<Value, Error> {
        match (self, a, b) {
            (Self::Equals, a, b) => equal(meter, a, b).map(Value::Bool),
            (Self::NotEquals, a, b) => equal(meter, a, b).map(|same| Value::Bool(!same)),
            (Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual, a, b) => {
                compare(meter, a, b).map(|order| Value::Bool(self.accepts(order)))
            }
            (Self::Arithmetic(operator), Value::Number(a), Value::Number(b)) => {
                arithmetic(operator, Numeric::of(a), Numeric::of(b))
            }
            (Self::In, element, Value::Array(list)) | (Self::Contains, Value::Array(list), element) => {
                for candidate in list {
                    if equal(meter, candidate, element)? {
                        return Ok(Value::Bool(true));
                    }
                }
                Ok(Value::Bool(false))
            }
            (Self::In, Value::String(key), Value::Object(map)) => Ok(Value::Bool(map.contains_key(key))),
            (Self::Join, Value::Array(list), Value::String(separator)) => join(meter, list, separator),
            (_, Value::String(a), Value::String(b)) => self.text(meter, a, b),
            _ => Err(self.mismatch(a, b)),
        }
    }

    fn text(self, meter: &Meter, text: &str, argument: &str) -> Result<Value, Error> {
        meter.spend_bytes(text.len() + argument.len())?;
        Ok(match self {
            Self::Contains => Value::Bool(text.contains(argument)),
            Self::StartsWith => Value::Bool(text.starts_with(argument)),
            Self::EndsWith => Value::Bool(text.ends_with(argument)),
            Self::Matches => {
                // Only patterns that are computed are compiled here; the others were when the expression was.
                meter.spend(10_000)?;
                Value::Bool(Pattern::compile(argument)?.is_match(text, meter)?)
            }
            Self::Split => {
                let parts: Vec<Value> = text.split(argument).map(Value::from).collect();
                meter.spend(u64::try_from(parts.len()).unwrap_or(u64::MAX))?;
                Value::Array(parts)
            }
            _ => {
                return Err(self.mismatch(&Value::from(text), &Value::from(argument)));
            }
        })
    }

    fn mismatch(self, a: &Value, b: &Value) -> Error {
        Error::Evaluation(format!("{} cannot be used with {} and {}", self.name(), describe(a), describe(b)))
    }

    /// As it is written in an expression.
    fn name(self) -> &'static str {
        OPERATORS
            .iter()
            .chain(&NAMED)
            .find(|(_, _, function)| *function == self)
            .map_or("this function", |(name, ..)| name.trim_matches(['_', '@']))
    }
}

fn add(meter: &Meter, arguments: Vec<Cow<'_, Value>>) -> Result<Value, Error> {
    let Ok([a, b]) = <[Cow<'_, Value>; 2]>::try_from(arguments) else {
        return Err(Error::Evaluation("+ needs two operands".to_owned()));
    };
    if let (Value::Number(a), Value::Number(b)) = (&*a, &*b) {
        return arithmetic('+', Numeric::of(a), Numeric::of(b));
    }
    meter.spend_copy(&a)?;
    meter.spend_copy(&b)?;
    match (a.into_owned(), b.into_owned()) {
        (Value::String(a), Value::String(b)) => Ok(Value::String(a + &b)),
        (Value::Array(mut a), Value::Array(b)) => {
            a.extend(b);
            Ok(Value::Array(a))
        }
        (a, b) => Err(Function::Add.mismatch(&a, &b)),
    }
}

fn join(meter: &Meter, list: &[Value], separator: &str) -> Result<Value, Error> {
    let mut joined = String::new();
    for (index, element) in list.iter().enumerate() {
        let Value::String(element) = element else {
            return Err(Error::Evaluation(format!(
                "join() found {} in the list: convert it with string()",
                describe(element)
            )));
        };
        meter.spend_bytes(element.len() + separator.len())?;
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(element);
    }
    Ok(Value::String(joined))
}

/// The smallest or the largest of the arguments, or of the list when there is one argument.
fn extreme<'a>(meter: &Meter, mut arguments: Vec<Cow<'a, Value>>, wanted: Ordering) -> Result<Cow<'a, Value>, Error> {
    if let [list] = &mut arguments[..]
        && list.is_array()
    {
        meter.spend_copy(list)?;
        if let Value::Array(list) = std::mem::take(list).into_owned() {
            arguments = list.into_iter().map(Cow::Owned).collect();
        }
    }
    let mut best: Option<Cow<'a, Value>> = None;
    for candidate in arguments {
        meter.spend(1)?;
        best = match best {
            Some(best) if compare(meter, &candidate, &best)? != wanted => Some(best),
            _ => Some(candidate),
        };
    }
    best.ok_or_else(|| Error::Evaluation("min() and max() need at least one value".to_owned()))
}

#[expect(clippy::cast_possible_truncation, reason = "out of range values saturate and are refused by `into_value`")]
fn to_int(number: Numeric) -> Result<Value, Error> {
    match number {
        Numeric::Double(d) => Numeric::Int(d.trunc() as i128).into_value(),
        int @ Numeric::Int(_) => int.into_value(),
    }
}
