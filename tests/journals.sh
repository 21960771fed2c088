#!/usr/bin/env bash
# Records journals of the scenarios that this version has no file of (operator/supervisor/tests/journals); never changes one that is there.
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

need_rust
need_package cc gcc
export PATH=$state/tools:$PATH
command -v nats-server >/dev/null || step tools "collecting nats-server" tests/tools.sh cluster --rung3
step journals "recording journals" \
  cargo test --locked -p tetrarch-supervisor --test journals record -- --ignored --exact
git status --short operator/supervisor/tests/journals
