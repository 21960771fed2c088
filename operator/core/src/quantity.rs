//! The grammar of Kubernetes quantities (`k8s.io/apimachinery/pkg/api/resource`, `Quantity`): `250m`, `1.5`, `64Mi`, `1e3`.

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

/// A quantity: `number * 10^tens * 2^twos`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// The digits without their point.
    pub number: u128,
    /// The power of 10, by the suffix, the exponent and the digits behind the point.
    pub tens: i32,
    /// The power of 2, by the suffix.
    pub twos: u32,
}

/// The parts of a quantity of at least 0; none when the text is no quantity, or has more digits than one can have.
pub fn parts(text: &str) -> Option<Parts> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let digits = whole.len() + decimals.len();
    if digits == 0 || digits > 18 || decimals.contains('.') {
        return None;
    }
    let known = SUFFIXES.iter().find(|(name, ..)| *name == suffix).map(|(_, tens, twos)| (*tens, *twos));
    let (tens, twos) = known.or_else(|| Some((exponent(suffix)?, 0)))?;
    let number = format!("{whole}{decimals}").parse().ok()?;
    Some(Parts { number, tens: tens - i32::try_from(decimals.len()).ok()?, twos })
}

fn exponent(suffix: &str) -> Option<i32> {
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let is_number = matches!(digits.len(), 1 | 2) && digits.bytes().all(|b| b.is_ascii_digit());
    if is_number { exponent.parse().ok() } else { None }
}
