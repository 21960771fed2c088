#!/usr/bin/env bash
# tools.sh cargo-deny|cargo-fuzz: prints where that program is, installing it into the cache when it is missing.
# tools.sh cluster [--rung3]: puts helm, kubectl, nats-server and, without --rung3, what belongs to a node into
# .state/tools and prints that directory.
# tools.sh gatekeeper: prints a directory with Gatekeeper's program and its resource definitions (crds), for the benchmark.
# tools.sh rivals: prints a directory with the engines that the benchmark compares with: Temporal and its driver, Restate and its driver.
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

deny_version=0.20.2
fuzz_version=0.13.1
gatekeeper_version=v3.23.1

# cargo_tool NAME VERSION: prints where a program of cargo is.
cargo_tool() {
  local dir=$cache/$1-$2
  if [[ ! -x $dir/bin/$1 ]]; then
    mkdir -p "$cache"
    # A lock, so that two callers do not build it twice; cargo itself replaces half an installation.
    exec 9>"$dir.lock"
    flock 9
    # It works for seconds; optimising it fully would take minutes.
    [[ -x $dir/bin/$1 ]] ||
      CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
        CARGO_TARGET_DIR=$dir/target cargo install --locked --quiet --root "$dir" --version "$2" "$1" >&2
    rm -rf "$dir/target"
  fi
  echo "$dir/bin/$1"
}

gatekeeper() {
  local module=github.com/open-policy-agent/gatekeeper/v3@$gatekeeper_version dir=$cache/gatekeeper-$gatekeeper_version source
  if [[ ! -d $dir ]]; then
    mkdir -p "$cache"
    exec 9>"$dir.lock"
    flock 9
    if [[ ! -d $dir ]]; then
      rm -rf "$dir.new" && mkdir "$dir.new"
      CGO_ENABLED=0 GOFLAGS='' GOBIN=$dir.new go install -trimpath -ldflags '-s -w' "$module" >&2
      source=$(cd "$dir.new" && go mod download -json "$module" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
      cp -r "$source/charts/gatekeeper/crds" "$dir.new/crds"
      chmod -R u+w "$dir.new" # the module cache is read-only
      mv "$dir.new" "$dir"
    fi
  fi
  echo "$dir"
}

# Their versions are those in tests/bench/rivals. What is there already is not built again.
rivals() {
  local source=$root/tests/bench/rivals dir=$cache/rivals
  command -v go >/dev/null || fail "go is missing: install it to measure beside Temporal"
  mkdir -p "$dir"
  exec 9>"$dir.lock"
  flock 9
  if ! cmp -s "$source/restate/package-lock.json" "$dir/restate/package-lock.json"; then
    echo "downloading Restate" >&2
    rm -rf "$dir/restate.new" && mkdir "$dir/restate.new"
    cp "$source"/restate/package*.json "$dir/restate.new"
    npm ci --silent --no-audit --no-fund --ignore-scripts --prefix "$dir/restate.new" >&2
    rm -rf "$dir/restate" && mv "$dir/restate.new" "$dir/restate"
    (cd "$dir" && ln -sfn restate/node_modules/@restatedev/restate-server-*/bin/restate-server restate-server)
  fi
  cp "$source/restate/driver.mjs" "$dir/restate"
  echo "compiling Temporal's server and driver" >&2
  (cd "$source/temporal" && CGO_ENABLED=0 GOFLAGS='' go build -trimpath -ldflags '-s -w' -o "$dir/rival-temporal" .) >&2
  echo "$dir"
}

cluster_tools() {
  local from tools=$state/tools program
  from=$("$cluster" path "$@")
  mkdir -p "$tools"
  for program in "$from"/*; do ln -sfn "$program" "$tools/$(basename "$program")"; done
  echo "$tools"
}

case ${1:-} in
cargo-deny) cargo_tool cargo-deny "$deny_version" ;;
cargo-fuzz) cargo_tool cargo-fuzz "$fuzz_version" ;;
cluster) cluster_tools "${@:2}" ;;
gatekeeper) gatekeeper ;;
rivals) rivals ;;
*) fail "usage: tools.sh cargo-deny|cargo-fuzz|cluster [--rung3]|gatekeeper|rivals" ;;
esac
