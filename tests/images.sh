#!/usr/bin/env bash
# images.sh build [--tests]          compiles what goes into images, and the tools people and tests call
# images.sh load NAME [--tests] [--dataset FILE]
#                                    brings the images into the cluster NAME; the dataset becomes a part of the sample's agents
# images.sh tag                      prints the tag of the three images of the control plane: it changes with their content
# The programs land in .state/tools beside helm and kubectl.
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

tools=$state/tools
control_plane=(tetrarch-operator tetrarch-supervisor tetrarch-agent-sidecar)

build() {
  # One set of packages for the demo and the tests: for another set the same dependencies would be compiled anew, with other features.
  local packages=(-p tetrarch-operator -p tetrarch-supervisor -p tetrarch-agent-sidecar -p kubectl-tetrarch -p licence-agents -p tetrarch-tests)
  mkdir -p "$tools"
  if [[ ${1:-} == --tests ]]; then
    # The sidecar without one protection, with which the tests prove that they notice. Built first and copied, because the
    # sound one takes its place.
    cargo build --locked --profile image --bins "${packages[@]}" --features tetrarch-agent-sidecar/fault-no-deduplication
    cp -f "$target/image/tetrarch-agent-sidecar" "$tools/broken-sidecar"
  fi
  cargo build --locked --profile image --bins "${packages[@]}"
  local program
  for program in "${control_plane[@]}" kubectl-tetrarch licence-agents scripted-agent; do
    [[ ! -x $target/image/$program ]] || ln -sfn "$target/image/$program" "$tools/$program"
  done
}

# load_program CLUSTER PROGRAM TAG [OPTION...]: an image is named like its program, without the project's prefix.
load_program() {
  "$cluster" load --name "$1" --image "tetrarch/${2#tetrarch-}:$3" --binary "$tools/$2" --entrypoint "/$2" "${@:4}"
}

tag() {
  local digests program
  digests=$(for program in "${control_plane[@]}"; do sha256sum <"$tools/$program"; done | sha256sum)
  echo "dev-${digests:0:12}"
}

load() {
  local name=$1 program dataset=() tests=false
  shift
  while (($# > 0)); do
    case $1 in
    --tests) tests=true ;;
    --dataset) dataset=(--file "$2:/data/dataset.json") && shift ;;
    *) fail "load: unknown option $1" ;;
    esac
    shift
  done
  for program in "${control_plane[@]}"; do load_program "$name" "$program" "$(tag)"; done
  load_program "$name" licence-agents dev "${dataset[@]}"
  if $tests; then
    load_program "$name" scripted-agent dev
    load_program "$name" broken-sidecar dev
  fi
  "$cluster" load --name "$name" --image tetrarch/nats:dev --binary "$(readlink -f "$tools/nats-server")" --entrypoint /nats-server
}

case ${1:-} in
build) build "${@:2}" ;;
load) load "${@:2}" ;;
tag) tag ;;
*) fail "usage: images.sh build|load NAME|tag" ;;
esac
