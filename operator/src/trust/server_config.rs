//! The part of the NATS server's configuration that says whom it trusts.

/// Where the servers keep the claims of accounts.
pub const DIRECTORY: &str = "/data/jwt";

/// Renders operator, system account and account resolver.
pub fn render(operator_claims: &str, system_account: &str, system_claims: &str, directory: &str) -> String {
    format!(
        "operator: {operator_claims}\n\
         system_account: {system_account}\n\
         resolver {{\n  type: full\n  dir: \"{directory}\"\n  allow_delete: true\n  interval: \"2m\"\n  timeout: \"5s\"\n}}\n\
         resolver_preload: {{\n  {system_account}: {system_claims}\n}}\n"
    )
}
