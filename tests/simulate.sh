#!/usr/bin/env bash
# Simulates so many seeds of the workflow engine on two threads and prints those that fail, each with its shortest journal.
# SEEDS: how many. FIRST_SEED: the first one. THREADS: how many at once.
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

need_rust
need_package cc gcc
export SEEDS=${SEEDS:-50000} FIRST_SEED=${FIRST_SEED:-0} THREADS=${THREADS:-2}
step simulate-build "compiling the engine, optimised" cargo test --locked --profile simulate -p tetrarch-core --lib --no-run
cargo test --locked --profile simulate --quiet -p tetrarch-core --lib many_seeds -- --ignored --nocapture
