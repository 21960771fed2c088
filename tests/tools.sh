#!/usr/bin/env bash
# tools.sh cargo-deny: prints where cargo-deny is, installing it into the cache when it is missing.
# tools.sh cluster [--rung3]: puts helm, kubectl, nats-server and, without --rung3, what belongs to a node into
# .state/tools and prints that directory.
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
  from=$("$cluster" path "$@")
  mkdir -p "$tools"
  for program in "$from"/*; do ln -sfn "$program" "$tools/$(basename "$program")"; done
  echo "$tools"
}

case ${1:-} in
cargo-deny) cargo_deny ;;
cluster) cluster_tools "${@:2}" ;;
*) fail "usage: tools.sh cargo-deny|cluster [--rung3]" ;;
esac
