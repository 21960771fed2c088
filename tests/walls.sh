#!/usr/bin/env bash
# Proves the walls between the crates: what each may not depend on, and that the pure ones read no clock,
# environment or randomness. Also the shape of the source files.
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

broken=0
complain() {
  say "$*" >&2
  broken=1
}

# forbid CRATE PATTERN: no normal dependency of CRATE, direct or not, has a name that matches.
forbid() {
  local found
  found=$(cargo tree --locked -p "$1" -e normal --prefix none --format '{lib} {p}' | awk '{print $2}' | sort -u | grep -Ex "$2" || true)
  [[ -z $found ]] || complain "$1 must not depend on: ${found//$'\n'/ }"
}

runtime='tokio|async-nats|hyper.*|axum.*|reqwest|rustls|mio|tracing-subscriber|prometheus|rand'
client='kube|kube-client|kube-runtime|kube-lease-manager'
kubernetes="$client|kube-core|kube-derive|k8s-openapi|tetrarch-crds|tetrarch-plan"

forbid tetrarch-core "$runtime|$kubernetes"
forbid tetrarch-protocol "$runtime|$kubernetes"
forbid tetrarch-crds "$runtime|$client|tetrarch-.*[^s]"
forbid tetrarch-plan "$runtime|$client"
forbid tetrarch-bus "$kubernetes"
forbid tetrarch-serving "$kubernetes|async-nats|tetrarch-(core|protocol|bus|operator|supervisor)"
forbid tetrarch-supervisor "$kubernetes"
forbid tetrarch-agent-sidecar "$kubernetes|tetrarch-supervisor"
forbid licence-agents "$kubernetes|async-nats|tetrarch-bus|tetrarch-supervisor"
forbid kubectl-tetrarch "async-nats|tetrarch-bus|tetrarch-supervisor|tetrarch-operator"

impure='SystemTime|Instant::now|Timestamp::now|Zoned::now|std::env|env::var|rand::|std::fs|std::net|std::process|\basync fn|\.await'
for dir in operator/core operator/protocol operator/plan crds/src; do
  # The generator of the definitions writes files: it is a program beside the pure crate.
  found=$(grep -rnE --include='*.rs' --exclude-dir=bin --exclude-dir=tests "$impure" "$dir" | grep -vE ':[0-9]+: *//|/tests\.rs:|/build\.rs:' || true)
  [[ -z $found ]] || complain "$dir must stay pure:"$'\n'"$found"
done

while IFS= read -r file; do
  [[ $(head -c 4 "$file") == '//! ' ]] || complain "$file: the first line must be //! and the one responsibility of the file"
  lines=$(wc -l <"$file")
  if ((lines > 500)) && [[ $(basename "$file") != tests.rs && $file != */tests/* ]]; then
    complain "$file has $lines lines: split it (at most 500, better 300)"
  fi
  case $(basename "$file" .rs) in
  utils | util | helpers | helper | common | manager | misc) complain "$file: name it after what it holds" ;;
  esac
done < <(git ls-files --cached --others --exclude-standard '*.rs')

((broken == 0)) || fail "the walls do not hold"
say "the walls between the crates hold"
