#!/usr/bin/env bash
# Everything that can be judged without running the software.
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

failed=()
# Functions run under it must return their failures themselves: `set -e` does not hold behind `||`.
check() {
  step "$@" || failed+=("$2")
}

check_shell() {
  git ls-files -z --cached --others --exclude-standard '*.sh' .ci/run | xargs -0 shellcheck -x
}

check_go() {
  local unformatted
  unformatted=$(gofmt -l tests/cluster tests/bench/rivals)
  [[ -z $unformatted ]] || { echo "run gofmt -w on: $unformatted"; return 1; }
  (cd tests/cluster/cluster && go vet ./...)
}

need_rust
need_package cc gcc
need_package shellcheck shellcheck

# These take minutes the first time, so they are built beside the rest.
trap abandon EXIT
begin cargo-deny-install tests/tools.sh cargo-deny
begin tools tests/tools.sh cluster --rung3

check fmt "formatting of the Rust code" cargo fmt --all --check
check fmt-fuzz "formatting of the fuzz targets" cargo fmt --manifest-path tests/fuzz/Cargo.toml --check
check shell "shell scripts" check_shell
check go "Go code of the embedded cluster" check_go
check walls "walls between the crates" tests/walls.sh
check clippy "clippy over the workspace" cargo clippy --quiet --locked --workspace --all-targets -- -D warnings

finish tools "getting helm"
check stale "generated files are up to date" tests/generate.sh --check
check charts "charts: lint, schema, rendered manifests" tests/charts.sh
finish cargo-deny-install "building cargo-deny"
check deny "licences, banned crates and sources" "$(tests/tools.sh cargo-deny)" --locked check --hide-inclusion-graph bans licenses sources

if ((${#failed[@]} > 0)); then
  for title in "${failed[@]}"; do say "failed: $title" >&2; done
  fail "lint failed after $SECONDS s"
fi
say "lint passed in $SECONDS s"
