//! References of images in one normal form, so that a policy cannot be passed by writing the same image in another way.

/// The registry that a reference without one stands for.
const REGISTRY: &str = "docker.io";

/// The reference with its registry and, on Docker Hub, its namespace: `nginx` is `docker.io/library/nginx`.
pub fn normalised(reference: &str) -> String {
    let (first, rest) = match reference.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (reference, None),
    };
    match rest {
        None => format!("{REGISTRY}/library/{reference}"),
        Some(rest) if matches!(first, "index.docker.io" | "registry-1.docker.io" | REGISTRY) => on_hub(rest),
        Some(_) if is_registry(first) => reference.to_owned(),
        Some(_) => on_hub(reference),
    }
}

fn on_hub(path: &str) -> String {
    if path.contains('/') { format!("{REGISTRY}/{path}") } else { format!("{REGISTRY}/library/{path}") }
}

/// Whether the first part of a reference is a registry, as container runtimes tell it.
fn is_registry(part: &str) -> bool {
    part.contains(['.', ':']) || part == "localhost" || part.contains(char::is_uppercase)
}

/// A pattern of images in the same normal form. An error is a prefix that would match other registries too.
pub fn normalised_pattern(pattern: &str) -> Result<String, String> {
    let Some(prefix) = pattern.strip_suffix('*') else { return Ok(normalised(pattern)) };
    if prefix.is_empty() {
        return Ok(pattern.to_owned());
    }
    match prefix.split_once('/') {
        None if is_registry(prefix) => Err(format!("{prefix}/*")),
        // A path on Docker Hub may still go on behind the prefix: only what is written before a slash is whole.
        Some((first, rest)) if !is_registry(first) => Ok(format!("{REGISTRY}/{first}/{rest}*")),
        _ if prefix.starts_with("docker.io/") => Ok(pattern.to_owned()),
        _ => Ok(format!("{}*", normalised(prefix))),
    }
}

/// The digest of a reference, such as `sha256:…`.
pub fn digest(reference: &str) -> Option<&str> {
    let (_, digest) = reference.rsplit_once('@')?;
    let hash = digest.strip_prefix("sha256:")?;
    (hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))).then_some(digest)
}

/// The reference without tag and digest.
pub fn repository(reference: &str) -> &str {
    let name = reference.split_once('@').map_or(reference, |(name, _)| name);
    let path = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[path..].find(':') {
        Some(colon) => &name[..path + colon],
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("nginx", "docker.io/library/nginx")]
    #[case("nginx:1.25", "docker.io/library/nginx:1.25")]
    #[case("team/agent", "docker.io/team/agent")]
    #[case("docker.io/nginx", "docker.io/library/nginx")]
    #[case("index.docker.io/library/nginx", "docker.io/library/nginx")]
    #[case("registry.example/team/agent:1", "registry.example/team/agent:1")]
    #[case("localhost/agent", "localhost/agent")]
    #[case("localhost:5000/agent", "localhost:5000/agent")]
    fn the_same_image_has_one_form(#[case] written: &str, #[case] expected: &str) {
        assert_eq!(normalised(written), expected);
    }

    #[rstest]
    #[case("*", "*")]
    #[case("nginx*", "docker.io/library/nginx*")]
    #[case("team/*", "docker.io/team/*")]
    #[case("docker.io/*", "docker.io/*")]
    #[case("registry.example/*", "registry.example/*")]
    #[case("registry.example/team/agent@*", "registry.example/team/agent@*")]
    fn patterns_have_the_same_form(#[case] written: &str, #[case] expected: &str) {
        assert_eq!(normalised_pattern(written).as_deref(), Ok(expected));
    }

    #[test]
    fn a_prefix_that_ends_within_a_registry_is_refused_with_the_better_one() {
        assert_eq!(normalised_pattern("registry.example*").unwrap_err(), "registry.example/*");
    }

    #[test]
    fn only_a_whole_digest_is_one() {
        let hash = "a".repeat(64);
        assert_eq!(digest(&format!("r/x@sha256:{hash}")), Some(format!("sha256:{hash}").as_str()));
        assert_eq!(digest(&format!("r/x@sha256:{}", "A".repeat(64))), None);
        assert_eq!(digest("r/x:1"), None);
    }

    #[rstest]
    #[case("registry.example:5000/a/b:1@sha256:00", "registry.example:5000/a/b")]
    #[case("registry.example:5000/a/b", "registry.example:5000/a/b")]
    #[case("b:1", "b")]
    fn a_repository_has_neither_tag_nor_digest(#[case] written: &str, #[case] expected: &str) {
        assert_eq!(repository(written), expected);
    }
}
