#!/usr/bin/env bash
# tools.sh cargo-deny: prints where cargo-deny is, installing it into the cache when it is missing.
# tools.sh cluster: puts helm, kubectl and nats-server into .state/tools and prints that directory.
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

deny_version=0.20.2

cargo_deny() {
  local dir=$cache/cargo-deny-$deny_version
  if [[ ! -x $dir/bin/cargo-deny ]]; then
    mkdir -p "$cache"
    # A lock, so that two callers do not build it twice; cargo itself replaces half an installation.
    exec 9>"$dir.lock"
    flock 9
    [[ -x $dir/bin/cargo-deny ]] ||
      CARGO_TARGET_DIR=$dir/target cargo install --locked --quiet --root "$dir" --version "$deny_version" cargo-deny >&2
    rm -rf "$dir/target"
  fi
  echo "$dir/bin/cargo-deny"
}

cluster_tools() {
  local from tools=$state/tools program
  from=$("$cluster" path --rung3)
  mkdir -p "$tools"
  for program in helm kubectl nats-server; do ln -sfn "$from/$program" "$tools/$program"; done
  echo "$tools"
}

case ${1:-} in
cargo-deny) cargo_deny ;;
cluster) cluster_tools ;;
*) fail "usage: tools.sh cargo-deny|cluster" ;;
esac
