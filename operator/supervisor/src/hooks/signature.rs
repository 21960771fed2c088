//! Whether a delivery was signed by somebody who knows the secret, and which one it is. Pure: time is an argument.
//!
//! Standard: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.
//! GitHub: <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>.

use axum::http::HeaderMap;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::{SignedDuration, Timestamp};
use ring::hmac;
use tetrarch_core::workflow::message::Signature;

/// How far the clock of the sender may be off, and how old a delivery may be.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// Longest id of a delivery in bytes.
const MAX_ID: usize = 256;

/// Why a delivery is not trusted. Never holds what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A header is missing or unreadable.
    #[error("the header {0} is missing or cannot be read")]
    Header(&'static str),
    /// It is too old, or from the future.
    #[error("the header webhook-timestamp is more than 5 minutes off: sign each try anew, and check the clock")]
    Stale,
    /// No signature fits any of the secrets.
    #[error("the signature does not fit: sign the body as it is sent, with the secret of this webhook")]
    Wrong,
}

/// The keys in a Secret's value: one for each line, so that the next secret can be there beside the old one. Lines that are none are left out.
pub fn keys(signature: Signature, secret: &str) -> Vec<hmac::Key> {
    let lines = secret.lines().map(str::trim).filter(|line| !line.is_empty());
    let key = |line: &str| match signature {
        Signature::Standard => BASE64_STANDARD.decode(line.strip_prefix("whsec_").unwrap_or(line)).ok(),
        Signature::GitHub => Some(line.as_bytes().to_vec()),
    };
    lines.filter_map(key).filter(|key| !key.is_empty()).map(|key| hmac::Key::new(hmac::HMAC_SHA256, &key)).collect()
}

/// The id of a delivery that was signed with one of the keys.
pub fn verify<'h>(
    signature: Signature,
    keys: &[hmac::Key],
    headers: &'h HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<&'h str, Error> {
    let (id, signed, given) = match signature {
        Signature::Standard => {
            let id = header(headers, "webhook-id")?;
            let written = header(headers, "webhook-timestamp")?;
            let seconds = written.parse().map_err(|_| Error::Header("webhook-timestamp"))?;
            let at = Timestamp::from_second(seconds).map_err(|_| Error::Header("webhook-timestamp"))?;
            if now.duration_since(at).abs() > TOLERANCE {
                return Err(Error::Stale);
            }
            let listed = header(headers, "webhook-signature")?.split(' ');
            let given: Vec<Vec<u8>> =
                listed.filter_map(|one| BASE64_STANDARD.decode(one.strip_prefix("v1,")?).ok()).collect();
            (id, [format!("{id}.{written}.").as_bytes(), body].concat(), given)
        }
        Signature::GitHub => {
            let written = header(headers, "x-hub-signature-256")?;
            let given = written.strip_prefix("sha256=").and_then(decode_hex);
            (header(headers, "x-github-delivery")?, body.to_vec(), given.into_iter().collect())
        }
    };
    // The comparison takes as long whatever differs.
    let fits = |key: &hmac::Key| given.iter().any(|given| hmac::verify(key, &signed, given).is_ok());
    if keys.iter().any(fits) { Ok(id) } else { Err(Error::Wrong) }
}

fn header<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<&'h str, Error> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value
        .filter(|value| !value.is_empty() && (value.len() <= MAX_ID || name.ends_with("signature")))
        .ok_or(Error::Header(name))
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    hex::decode(text).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// The vector that the libraries of the specification test with.
    const STANDARD: (&str, &str, &str, &str) = (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        r#"{"test": 2432232314}"#,
    );
    const SIGNED_AT: i64 = 1_614_265_330;

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn standard(signature: &str, at: i64) -> HeaderMap {
        let at = at.to_string();
        headers(&[("webhook-id", STANDARD.1), ("webhook-timestamp", &at), ("webhook-signature", signature)])
    }

    fn check(secret: &str, headers: &HeaderMap, body: &str, now: i64) -> Result<String, Error> {
        let keys = keys(Signature::Standard, secret);
        let now = Timestamp::from_second(now).unwrap();
        verify(Signature::Standard, &keys, headers, body.as_bytes(), now).map(str::to_owned)
    }

    #[test]
    fn the_published_vector_of_standard_webhooks_fits_and_names_the_delivery() {
        let headers = standard(STANDARD.2, SIGNED_AT);
        assert_eq!(check(STANDARD.0, &headers, STANDARD.3, SIGNED_AT), Ok(STANDARD.1.to_owned()));
        // The time is part of what is signed.
        assert_eq!(check(STANDARD.0, &standard(STANDARD.2, SIGNED_AT + 1), STANDARD.3, SIGNED_AT), Err(Error::Wrong));
        assert_eq!(check(STANDARD.0, &headers, r#"{"test": 2432232315}"#, SIGNED_AT), Err(Error::Wrong));
    }

    #[rstest]
    #[case::fresh(300, true)]
    #[case::stale(301, false)]
    #[case::ahead(-300, true)]
    #[case::from_the_future(-301, false)]
    fn a_delivery_is_accepted_for_five_minutes(#[case] age: i64, #[case] fits: bool) {
        let found = check(STANDARD.0, &standard(STANDARD.2, SIGNED_AT), STANDARD.3, SIGNED_AT + age);
        assert_eq!(found, if fits { Ok(STANDARD.1.to_owned()) } else { Err(Error::Stale) });
    }

    #[rstest]
    #[case::next_beside_the_old("whsec_bmV4dA==\nwhsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", STANDARD.2, true)]
    #[case::signed_twice(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "v1,AAAA v1a,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        true
    )]
    #[case::old_one_taken_away("whsec_bmV4dA==", STANDARD.2, false)]
    #[case::no_secret_at_all("\n \n", STANDARD.2, false)]
    #[case::no_base64("whsec_!", STANDARD.2, false)]
    fn secrets_can_be_rotated(#[case] secret: &str, #[case] signature: &str, #[case] fits: bool) {
        let found = check(secret, &standard(signature, SIGNED_AT), STANDARD.3, SIGNED_AT);
        assert_eq!(found, if fits { Ok(STANDARD.1.to_owned()) } else { Err(Error::Wrong) });
    }

    #[test]
    fn a_delivery_without_its_headers_says_which() {
        assert_eq!(check(STANDARD.0, &headers(&[]), "", 0), Err(Error::Header("webhook-id")));
        let unsigned = headers(&[("webhook-id", "x"), ("webhook-timestamp", "soon")]);
        assert_eq!(check(STANDARD.0, &unsigned, "", 0), Err(Error::Header("webhook-timestamp")));
        let long = "x".repeat(MAX_ID + 1);
        assert_eq!(check(STANDARD.0, &headers(&[("webhook-id", &long)]), "", 0), Err(Error::Header("webhook-id")));
    }

    #[test]
    fn the_published_vector_of_github_fits() {
        let keys = keys(Signature::GitHub, "It's a Secret to Everybody\n");
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let signed = headers(&[("x-hub-signature-256", signature), ("x-github-delivery", "72d3162e")]);
        let check = |body: &[u8]| verify(Signature::GitHub, &keys, &signed, body, Timestamp::UNIX_EPOCH);
        assert_eq!(check(b"Hello, World!"), Ok("72d3162e"));
        assert_eq!(check(b"Hello, World?"), Err(Error::Wrong));
    }
}
