# shellcheck shell=bash
# Where things are, and steps that show how they get on. The scripts beside it source it.
set -Eeuo pipefail
shopt -s inherit_errexit

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
state=${TETRARCH_STATE:-$root/.state}
logs=$state/logs
# shellcheck disable=SC2034 # for the scripts that source this one
{
  cluster=$root/tests/cluster/cluster.sh
  cache=${TETRARCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tetrarch}
  target=${CARGO_TARGET_DIR:-$root/target}
}
mkdir -p "$logs"
cd "$root"

# say TEXT: one line with the seconds since the script started.
say() { printf '%6s  %s\n' "${SECONDS}s" "$*"; }

fail() {
  say "$*" >&2
  exit 1
}

declare -A started_pid=() started_at=()

# begin NAME COMMAND...: starts a command beside what follows, its output in a log.
begin() {
  local name=$1
  shift
  set -m # a process group of its own, so that an interrupt takes the whole of it along
  "$@" >"$logs/$name.log" 2>&1 </dev/null &
  set +m
  started_pid[$name]=$!
  started_at[$name]=$SECONDS
  trap 'abandon; exit 130' INT TERM
}

# abandon: ends everything that was begun and is not finished.
abandon() {
  local pid
  for pid in "${started_pid[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
}

# finish NAME TITLE: waits for what was begun. Long ones show every 15 seconds what they do; of a failed one the end
# of its log is shown.
finish() {
  local pid=${started_pid[$1]} begin=${started_at[$1]} log=$logs/$1.log shown=$SECONDS waited=$SECONDS status=0
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.1
    if ((SECONDS - shown >= 15)); then
      shown=$SECONDS
      say "… $2 ($((SECONDS - begin)) s): $(tail -n 1 "$log" | tr -dc '[:print:]' | cut -c1-110)"
    fi
  done
  wait "$pid" || status=$?
  unset "started_pid[$1]"
  if ((status != 0)); then
    say "failed after $((SECONDS - begin)) s: $2. The end of ${log#"$root"/}:" >&2
    tail -n "${STEP_TAIL:-40}" "$log" >&2
    return "$status"
  fi
  ((SECONDS - waited < 5)) || say "done in $((SECONDS - begin)) s: $2"
}

# step NAME TITLE COMMAND...: begins and finishes.
step() {
  say "$2"
  begin "$1" "${@:3}"
  finish "$1" "$2"
}

# root_run COMMAND...: runs as root where that is possible.
root_run() {
  if ((EUID == 0)); then
    "$@"
  else
    sudo -n "$@"
  fi
}

# need_disk GIB: says it early when the disk may fill up on the way. It only says so, because less is enough where an earlier
# run has built much of it.
need_disk() {
  local free
  free=$(df --output=avail -BG "$root" | tail -n 1 | tr -dc '[:digit:]')
  ((free >= $1)) || say "only $free GiB are free at $root, and from nothing this takes about $1 GiB: if it ends for want of room, free some and start again"
}

# need_package COMMAND PACKAGE: installs a Debian package when its command is missing.
need_package() {
  command -v "$1" >/dev/null && return
  command -v apt-get >/dev/null || fail "$1 is missing: install it and start again"
  step "apt-$2" "installing the package $2" root_run sh -c "apt-get install -y $2 || (apt-get update && apt-get install -y $2)"
}

# need_rust: the toolchain with clippy and rustfmt, as rust-toolchain.toml asks.
need_rust() {
  command -v cargo >/dev/null || fail "cargo is missing: install Rust with rustup (https://rustup.rs) and start again"
  if command -v rustup >/dev/null && ! { cargo clippy --version && cargo fmt --version; } >/dev/null 2>&1; then
    step rustup "installing clippy and rustfmt" rustup component add clippy rustfmt
  fi
}
