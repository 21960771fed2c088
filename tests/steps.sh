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

# step NAME TITLE COMMAND...: runs a command, its output in a log. Long ones show every 15 seconds what they do;
# a failed one shows the end of its log.
step() {
  local title=$2 log=$logs/$1.log begin=$SECONDS status=0 shown=$SECONDS
  shift 2
  say "$title"
  set -m # a process group of its own, so that an interrupt takes the whole of it along
  "$@" >"$log" 2>&1 </dev/null &
  local pid=$!
  set +m
  trap 'kill -TERM -- -'"$pid"' 2>/dev/null; exit 130' INT TERM
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    if ((SECONDS - shown >= 15)); then
      shown=$SECONDS
      say "… $title ($((SECONDS - begin)) s): $(tail -n 1 "$log" | tr -dc '[:print:]' | cut -c1-110)"
    fi
  done
  wait "$pid" || status=$?
  trap - INT TERM
  if ((status != 0)); then
    say "failed after $((SECONDS - begin)) s: $title. The end of ${log#"$root"/}:" >&2
    tail -n "${STEP_TAIL:-40}" "$log" >&2
    return "$status"
  fi
  ((SECONDS - begin < 5)) || say "done in $((SECONDS - begin)) s: $title"
}

# root_run COMMAND...: runs as root where that is possible.
root_run() {
  if ((EUID == 0)); then
    "$@"
  else
    sudo -n "$@"
  fi
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
