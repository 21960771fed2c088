//! NATS JWTs, version 2: the claims of operator, account and user, and their encoding and signature.

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use nkeys::KeyPair;
use serde::Serialize;
use sha2::{Digest, Sha512_256};
use tetrarch_protocol::permission::Permissions;

/// Version of the claims.
const VERSION: u8 = 2;

/// No limit.
const UNLIMITED: i64 = -1;

/// Why claims could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The claims are no JSON.
    #[error("bus claims: {0}")]
    Encode(#[from] serde_json::Error),
    /// The key cannot sign.
    #[error("bus claims: {0}")]
    Sign(#[from] nkeys::error::Error),
}

#[derive(Serialize)]
struct Header {
    typ: &'static str,
    alg: &'static str,
}

#[derive(Serialize)]
struct Token<'a, C> {
    #[serde(skip_serializing_if = "String::is_empty")]
    jti: String,
    iat: i64,
    iss: String,
    name: &'a str,
    sub: &'a str,
    nats: &'a C,
}

/// Signs `claims` about the key `subject` as `issuer`. `issued_at` is in seconds since 1970.
///
/// The id of the token is a hash of its content, so equal arguments give equal bytes.
pub fn sign<C: Serialize>(
    issuer: &KeyPair,
    subject: &str,
    name: &str,
    issued_at: i64,
    claims: &C,
) -> Result<String, Error> {
    let mut token =
        Token { jti: String::new(), iat: issued_at, iss: issuer.public_key(), name, sub: subject, nats: claims };
    token.jti = BASE32_NOPAD.encode(&Sha512_256::digest(serde_json::to_vec(&token)?));
    let header = serde_json::to_vec(&Header { typ: "JWT", alg: "ed25519-nkey" })?;
    let content =
        format!("{}.{}", BASE64URL_NOPAD.encode(&header), BASE64URL_NOPAD.encode(&serde_json::to_vec(&token)?));
    let signature = issuer.sign(content.as_bytes())?;
    Ok(format!("{content}.{}", BASE64URL_NOPAD.encode(&signature)))
}

/// Claims of the operator: which account the servers use for themselves.
#[derive(Serialize)]
pub struct OperatorClaims<'a> {
    system_account: &'a str,
    r#type: &'static str,
    version: u8,
}

impl<'a> OperatorClaims<'a> {
    /// Claims that name the system account.
    pub fn new(system_account: &'a str) -> Self {
        Self { system_account, r#type: "operator", version: VERSION }
    }
}

/// Claims of an account: its limits.
#[derive(Serialize)]
pub struct AccountClaims {
    limits: Limits,
    default_permissions: NoPermissions,
    r#type: &'static str,
    version: u8,
}

/// Permissions that an account leaves to its users.
#[derive(Serialize)]
struct NoPermissions {
    r#pub: Subjects,
    sub: Subjects,
}

#[derive(Serialize)]
struct Limits {
    subs: i64,
    data: i64,
    payload: i64,
    imports: i64,
    exports: i64,
    wildcards: bool,
    conn: i64,
    leaf: i64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    streams: Option<StreamLimits>,
}

/// What an account may store.
#[derive(Serialize)]
struct StreamLimits {
    mem_storage: i64,
    disk_storage: i64,
    streams: i64,
    consumer: i64,
    max_ack_pending: i64,
    mem_max_stream_bytes: i64,
    disk_max_stream_bytes: i64,
    max_bytes_required: bool,
}

impl AccountClaims {
    /// The servers' own account; it stores nothing.
    pub fn system() -> Self {
        Self::with(None)
    }

    /// A Domain's account: it stores as much as the servers have.
    pub fn domain() -> Self {
        Self::with(Some(StreamLimits {
            mem_storage: UNLIMITED,
            disk_storage: UNLIMITED,
            streams: UNLIMITED,
            consumer: UNLIMITED,
            max_ack_pending: UNLIMITED,
            mem_max_stream_bytes: 0,
            disk_max_stream_bytes: 0,
            max_bytes_required: false,
        }))
    }

    fn with(streams: Option<StreamLimits>) -> Self {
        let limits = Limits {
            subs: UNLIMITED,
            data: UNLIMITED,
            payload: UNLIMITED,
            imports: UNLIMITED,
            exports: UNLIMITED,
            wildcards: true,
            conn: UNLIMITED,
            leaf: UNLIMITED,
            streams,
        };
        let default_permissions = NoPermissions { r#pub: Subjects::default(), sub: Subjects::default() };
        Self { limits, default_permissions, r#type: "account", version: VERSION }
    }
}

#[derive(Serialize, Default)]
struct Subjects {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow: Vec<String>,
}

/// Claims of a user: the subjects it may use.
#[derive(Serialize)]
pub struct UserClaims {
    r#pub: Subjects,
    sub: Subjects,
    subs: i64,
    data: i64,
    payload: i64,
    r#type: &'static str,
    version: u8,
}

impl UserClaims {
    /// Claims that allow these subjects and deny all others.
    pub fn new(permissions: &Permissions) -> Self {
        Self {
            r#pub: Subjects { allow: permissions.publish.clone() },
            sub: Subjects { allow: permissions.subscribe.clone() },
            subs: UNLIMITED,
            data: UNLIMITED,
            payload: UNLIMITED,
            r#type: "user",
            version: VERSION,
        }
    }
}

/// Claims of a request to delete accounts.
#[derive(Serialize)]
pub struct DeleteClaims<'a> {
    accounts: [&'a str; 1],
    r#type: &'static str,
    version: u8,
}

impl<'a> DeleteClaims<'a> {
    /// Asks to delete one account.
    pub fn new(account: &'a str) -> Self {
        Self { accounts: [account], r#type: "generic", version: VERSION }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn decode(token: &str) -> (Value, Value) {
        let mut parts = token.split('.').map(|part| BASE64URL_NOPAD.decode(part.as_bytes()).unwrap());
        let mut next = || serde_json::from_slice(&parts.next().unwrap()).unwrap();
        (next(), next())
    }

    #[test]
    fn a_token_has_the_header_the_claims_and_a_signature_over_both() {
        let issuer = KeyPair::new_operator();
        let subject = KeyPair::new_account().public_key();
        let token = sign(&issuer, &subject, "acme", 7, &AccountClaims::system()).unwrap();
        let (header, claims) = decode(&token);
        assert_eq!(header, json!({"typ": "JWT", "alg": "ed25519-nkey"}));
        assert_eq!(claims["iss"], json!(issuer.public_key()));
        assert_eq!(claims["sub"], json!(subject));
        assert_eq!(claims["iat"], json!(7));
        assert_eq!(claims["nats"]["type"], json!("account"));
        assert_eq!(claims["nats"]["version"], json!(2));
        assert_eq!(claims["jti"].as_str().unwrap().len(), 52);
        let (content, signature) = token.rsplit_once('.').unwrap();
        issuer.verify(content.as_bytes(), &BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap()).unwrap();
    }

    #[test]
    fn a_user_is_allowed_what_its_permissions_name_and_nothing_else() {
        let permissions = Permissions { publish: vec!["a.>".to_owned()], subscribe: vec!["b".to_owned()] };
        let claims = serde_json::to_value(UserClaims::new(&permissions)).unwrap();
        assert_eq!(claims["pub"], json!({"allow": ["a.>"]}));
        assert_eq!(claims["sub"], json!({"allow": ["b"]}));
    }

    #[test]
    fn only_the_account_of_a_domain_may_store() {
        let limits = |claims| serde_json::to_value::<AccountClaims>(claims).unwrap()["limits"].clone();
        assert_eq!(limits(AccountClaims::domain())["disk_storage"], json!(-1));
        assert_eq!(limits(AccountClaims::domain())["mem_storage"], json!(-1));
        assert_eq!(limits(AccountClaims::system())["disk_storage"], Value::Null);
    }
}
