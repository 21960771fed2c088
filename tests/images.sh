#!/usr/bin/env bash
# images.sh build [--tests]          compiles what goes into images, and the tools people and tests call
# images.sh load NAME [--tests]      brings the images into the cluster NAME
# images.sh tag                      prints the tag of the three images of the control plane: it changes with their content
# The programs land in .state/tools beside helm and kubectl.
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

tools=$state/tools
control_plane=(tetrarch-operator tetrarch-supervisor tetrarch-agent-sidecar)

build() {
  local packages=(-p tetrarch-operator -p tetrarch-supervisor -p tetrarch-agent-sidecar -p kubectl-tetrarch -p licence-agents)
  [[ ${1:-} != --tests ]] || packages+=(-p tetrarch-tests)
  cargo build --locked --profile image --bins "${packages[@]}"
  mkdir -p "$tools"
  local program
  for program in "${control_plane[@]}" kubectl-tetrarch licence-agents scripted-agent; do
    [[ ! -x $target/image/$program ]] || ln -sfn "$target/image/$program" "$tools/$program"
  done
}

# The image of a Rust program: its name without the project's prefix.
load_program() {
  local name=$1 program=$2 tag=$3
  "$cluster" load --name "$name" --image "tetrarch/${program#tetrarch-}:$tag" --binary "$tools/$program" --entrypoint "/$program"
}

tag() {
  local digests program
  digests=$(for program in "${control_plane[@]}"; do sha256sum <"$tools/$program"; done | sha256sum)
  echo "dev-${digests:0:12}"
}

load() {
  local name=$1 program
  for program in "${control_plane[@]}"; do load_program "$name" "$program" "$(tag)"; done
  load_program "$name" licence-agents dev
  [[ ${2:-} != --tests ]] || load_program "$name" scripted-agent dev
  "$cluster" load --name "$name" --image tetrarch/nats:dev --binary "$(readlink -f "$tools/nats-server")" --entrypoint /nats-server
}

case ${1:-} in
build) build "${@:2}" ;;
load) load "${@:2}" ;;
tag) tag ;;
*) fail "usage: images.sh build|load NAME|tag" ;;
esac
