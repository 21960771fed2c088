#!/usr/bin/env bash
# Thin wrapper: builds the orchestrator (standard library only, a second or two)
# once per version of its sources and hands every argument to it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export TETRARCH_CLUSTER_SOURCE=$here
export TETRARCH_CACHE=${TETRARCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tetrarch}
command -v go >/dev/null || { echo "cluster: Go 1.26 or newer is needed to build the embedded cluster" >&2; exit 1; }

key=$(cd "$here/cluster" && find . -name '*.go' -o -name go.mod -o -name '*.yaml' | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c1-16)
program=$TETRARCH_CACHE/orchestrator/$key/cluster
if [[ ! -x $program ]]; then
  mkdir -p "$(dirname "$program")"
  # Built beside its final place and renamed, so that a kill or a second caller never sees half a file.
  (cd "$here/cluster" && CGO_ENABLED=0 GOFLAGS=-mod=mod go build -trimpath -o "$program.$$" .)
  mv -f "$program.$$" "$program"
fi
exec "$program" "$@"
