#!/usr/bin/env bash
# Writes every generated file from its one source; with --check only says which are stale.
#   crds/src            -> crds/generated, config/crd/bases, charts/tetrarch-crds/templates, docs/reference
#   config/rbac         -> charts/tetrarch/files
#   charts/*/values.yaml -> the table in charts/*/README.md
#   config/samples/policies -> docs/policy-templates.md
#   operator/kubectl-tetrarch/src/args -> docs/reference/kubectl-tetrarch.md
#   charts/tetrarch     -> config/manager, config/webhook, config/nats, with the chart's defaults
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

check=false
[[ ${1:-} != --check ]] || check=true
need_rust

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# Named beside the whole workspace and one of its tests, so that the dependencies are those that `make test` compiles.
build_generators() { cargo build --locked --workspace --bin crdgen --bin kubectl-tetrarch --test journals; }

generate_crds() {
  crdgen() { "$target/debug/crdgen" "$@"; }
  crdgen "$out/crds/generated"
  crdgen "$out/config/crd/bases"
  crdgen --helm "$out/charts/tetrarch-crds/templates"
  crdgen --markdown "$out/docs/reference"
}

# The first comment of each template is its title and what to know of it.
index_templates() {
  local folder name
  mkdir -p "$out/docs"
  {
    cat <<'HEAD'
<!-- Generated from config/samples/policies by 'make generate'; do not edit. -->
# Policy templates

Each folder holds the policies (`policy.yaml`), a small hierarchy that complies (`hierarchy.yaml`) and what they accept and
refuse (`policy-tests.yaml`). [How to use and test them](policy-testing.md).
HEAD
    for folder in config/samples/policies/*/; do
      name=$(basename "$folder")
      echo
      echo "## [$name](../$folder)"
      echo
      awk '!/^#/ { exit } { sub(/^# /, ""); print }' "${folder}policy.yaml"
      echo
      awk '/^  - name: / { sub(/^  - name: /, ""); name = $0 } /^    expect: / { print "- " name ": " $2 }' "${folder}policy-tests.yaml"
    done
  } >"$out/docs/policy-templates.md"
}

describe_plugin() {
  "$target/debug/kubectl-tetrarch" reference >"$out/docs/reference/kubectl-tetrarch.md"
}

copy_roles() {
  mkdir -p "$out/charts/tetrarch/files"
  local name
  for name in role user_roles; do
    { echo "# Generated from config/rbac/$name.yaml by 'make generate'; do not edit."; grep -v '^# ' "config/rbac/$name.yaml"; } >"$out/charts/tetrarch/files/$name.yaml"
  done
}

tabulate_values() {
  local chart
  for chart in charts/*/Chart.yaml; do
    chart=${chart%Chart.yaml}
    mkdir -p "$out/$chart"
    awk '/<!-- values -->/ { print; exit } { print }' "${chart}README.md" >"$out/${chart}README.md"
    awk -f tests/values_table.awk "${chart}values.yaml" >>"$out/${chart}README.md"
  done
}

# The kustomize bases are the chart's defaults, so that the two ways of installing cannot drift apart.
render_bases() {
  local helm rendered=$out/rendered source base
  helm=$(tests/tools.sh cluster --rung3)/helm
  cp -r charts/tetrarch "$out/chart"
  cp "$out"/charts/tetrarch/files/* "$out/chart/files/"
  "$helm" template tetrarch "$out/chart" --namespace tetrarch-system --output-dir "$rendered" >/dev/null
  mkdir -p "$out"/config/{manager,webhook,nats}
  for source in operator/{deployment,service,service_account,network_policy,pod_disruption_budget} webhook/{configurations,service} nats/{config_map,service,stateful_set,network_policy}; do
    base=${source%/*}
    [[ $base != operator ]] || base=manager
    {
      echo "# Generated from charts/tetrarch/templates/$source.yaml by 'make generate'; do not edit."
      grep -vE '^ *(helm.sh/chart|app.kubernetes.io/managed-by):|^# Source: |^  namespace: tetrarch-system$' "$rendered/tetrarch/templates/$source.yaml" |
        sed '1{/^---$/d}'
    } >"$out/config/$base/${source#*/}.yaml"
  done
  rm -rf "$rendered" "$out/chart"
}

generate_all() {
  build_generators
  generate_crds
  describe_plugin
  index_templates
  copy_roles
  render_bases
  tabulate_values
}

step generate "generating CRDs, chart roles and value tables" generate_all

stale=()
while IFS= read -r file; do
  cmp -s "$out/$file" "$file" || stale+=("$file")
done < <(cd "$out" && find . -type f -printf '%P\n' | LC_ALL=C sort)
# A definition that is no longer generated must not stay behind.
for file in crds/generated/*.yaml config/crd/bases/*.yaml charts/tetrarch-crds/templates/*.yaml docs/reference/*.md; do
  [[ ! -e $file || -e $out/$file ]] || stale+=("$file")
done

if $check; then
  ((${#stale[@]} == 0)) || fail "stale: ${stale[*]}. Run \`make generate\` and commit what it writes"
  say "generated files are up to date"
  exit
fi
for file in "${stale[@]}"; do
  if [[ -e $out/$file ]]; then
    install -D -m 644 "$out/$file" "$file"
    say "wrote $file"
  else
    rm "$file"
    say "removed $file"
  fi
done
say "generated files are up to date"
