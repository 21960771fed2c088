#!/usr/bin/env bash
# Renders the charts with the value sets of charts/tests and compares with the manifests kept there; value sets in
# refused/ must be refused by the schema with the word that their first line expects. --update: keep what is rendered now.
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

update=false
[[ ${1:-} != --update ]] || update=true
tools=$(tests/tools.sh cluster --rung3)
failed=0

# verdict NAME STATUS: one line for each case, which tests/run.sh counts.
verdict() {
  if (($2 == 0)); then
    echo "chart case $1 ok"
  else
    echo "chart case $1 failed"
    failed=1
  fi
}

render() { # CHART VALUES
  # The CRDs are compared in full elsewhere: their goldens hold what the chart adds.
  "$tools/helm" template "$1" "charts/$1" --namespace tetrarch-system --values "$2" |
    if [[ $1 == tetrarch-crds ]]; then sed -n '/^# Source/p; /^kind:/p; /^metadata:/,/^spec:/p'; else cat; fi
}

for chart in tetrarch-crds tetrarch; do
  status=0
  "$tools/helm" lint --strict --quiet "charts/$chart" || status=1
  verdict "$chart/lint" "$status"

  for values in charts/tests/"$chart"/*.yaml; do
    golden=${values%.yaml}.golden
    rendered=$(render "$chart" "$values") || { verdict "$chart/$(basename "$values" .yaml)" 1; continue; }
    if $update; then echo "$rendered" >"$golden"; fi
    status=0
    diff -u "$golden" <(echo "$rendered") || status=1
    verdict "$chart/$(basename "$values" .yaml)" "$status"
  done

  for values in charts/tests/"$chart"/refused/*.yaml; do
    [[ -e $values ]] || continue
    expected=$(sed -n '1s/^# expect: //p' "$values") status=0
    if answer=$(render "$chart" "$values" 2>&1); then
      echo "$values was accepted"
      status=1
    elif [[ $answer != *"$expected"* ]]; then
      echo "$values: expected $expected in: $answer"
      status=1
    fi
    verdict "$chart/refused/$(basename "$values" .yaml)" "$status"
  done
done

for base in config/default config/crd; do
  status=0
  "$tools/kubectl" kustomize "$base" >/dev/null || status=1
  verdict "kustomize/$base" "$status"
done

((failed == 0)) || fail "charts differ: if the difference is wanted, run tests/charts.sh --update and review what it changes"
say "charts render as expected"
