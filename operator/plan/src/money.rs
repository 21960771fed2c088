//! Amounts of money as users write them: decimals with at most six digits after the point, read as millionths.

/// Why a text is no amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an amount of money: write a decimal number with at most 6 digits after the point, such as \"50.00\""
)]
pub struct Error(String);

/// Most digits before the point.
const WHOLE: usize = 12;
/// Most digits after the point.
const DECIMALS: usize = 6;

/// The amount in millionths of the currency.
pub fn micros(text: &str) -> Result<u64, Error> {
    let refused = || Error(text.to_owned());
    let (whole, decimals) = match text.split_once('.') {
        Some((whole, decimals)) if !decimals.is_empty() => (whole, decimals),
        Some(_) => return Err(refused()),
        None => (text, ""),
    };
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > WHOLE || decimals.len() > DECIMALS || !is_number(whole) || !is_number(decimals)
    {
        return Err(refused());
    }
    format!("{whole}{decimals:0<DECIMALS$}").parse().map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0", 0)]
    #[case("50.00", 50_000_000)]
    #[case("0.000001", 1)]
    #[case("999999999999.999999", 999_999_999_999_999_999)]
    fn reads(#[case] text: &str, #[case] expected: u64) {
        assert_eq!(micros(text), Ok(expected));
    }

    #[rstest]
    #[case("")]
    #[case(".5")]
    #[case("5.")]
    #[case("-1")]
    #[case("1.0000001")]
    #[case("1e3")]
    #[case("5 USD")]
    #[case("1000000000000")]
    #[case("٣")]
    fn refuses_and_says_what_to_write(#[case] text: &str) {
        assert!(micros(text).unwrap_err().to_string().contains("such as \"50.00\""));
    }
}
