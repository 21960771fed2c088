#!/usr/bin/env bash
# Faults on a real bus with the real programs (tests/faults):
#   faults.sh kills N          kills the bus N times, supervisors and sidecars too; then the same, shorter, with sidecars that are broken
#                              on purpose, which must be noticed
#   faults.sh short            a few kills, as part of `make test`
#   faults.sh power-cut        cuts the power with each setting of sync_interval; needs root and loop devices
#   faults.sh upgrade COMMIT   starts runs with the programs of a commit and finishes them with these
# TETRARCH_FAULTS_PROFILE: profile of the programs, dev by default.
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

profile=${TETRARCH_FAULTS_PROFILE:-dev}
directory=$profile
[[ $profile != dev ]] || directory=debug
programs=$target/$directory
# The whole workspace and a test of it are named so that what `make test` compiled is used again: cargo chooses the features
# of dependencies by what is built, and those of the tests only beside a test.
bins=(--workspace --bin tetrarch-supervisor --bin tetrarch-agent-sidecar --test journals)

build() { cargo build --locked --profile "$profile" "${bins[@]}" --bin tetrarch-faults; }

# keep NAME: a copy of the programs that later builds do not touch.
keep() {
  local kept=$state/programs/$1
  mkdir -p "$kept"
  cp "$programs/tetrarch-supervisor" "$programs/tetrarch-agent-sidecar" "$kept/"
}

# build_broken: sidecars without de-duplication.
build_broken() {
  cargo build --locked --profile "$profile" "${bins[@]}" --features tetrarch-agent-sidecar/fault-no-deduplication
  keep broken
}

# build_commit COMMIT: the programs of a commit, from a work tree of its own and into the same target directory.
build_commit() {
  local tree=$state/upgrade-from
  git worktree remove --force "$tree" 2>/dev/null || rm -rf "$tree"
  git worktree prune
  git worktree add --detach "$tree" "$1"
  (cd "$tree" && CARGO_TARGET_DIR=$target cargo build --locked --profile "$profile" "${bins[@]}")
  keep from
  git worktree remove --force "$tree"
}

need_rust
need_package cc gcc
export PATH=$state/tools:$PATH
command -v nats-server >/dev/null || step tools "collecting nats-server" tests/tools.sh cluster --rung3

faults() { "$programs/tetrarch-faults" --programs "$state/programs/these" "$@"; }

case ${1:-} in
short)
  step faults-build "compiling the programs" build
  keep these
  faults kills --kills 10
  ;;
kills)
  step faults-broken "compiling sidecars that are broken on purpose" build_broken
  step faults-build "compiling the programs" build
  keep these
  faults kills --kills "${2:-200}"
  faults kills --kills 10 --broken-sidecar "$state/programs/broken/tetrarch-agent-sidecar"
  ;;
power-cut)
  step faults-build "compiling the programs" build
  keep these
  faults power-cut --directory "$state/power"
  faults power-cut --directory "$state/power" --lazy
  ;;
upgrade)
  [[ -n ${2:-} ]] || fail "usage: faults.sh upgrade COMMIT"
  step faults-from "compiling the programs of $2" build_commit "$2"
  step faults-build "compiling the programs" build
  keep these
  faults upgrade --from "$state/programs/from"
  ;;
*) fail "usage: faults.sh kills N|short|power-cut|upgrade COMMIT" ;;
esac
