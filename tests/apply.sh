#!/usr/bin/env bash
# apply.sh PATH: applies manifests of a Domain together with what lives in it. The namespace comes from the Domain a moment
# later; until then the API server refuses its content, and after an installation it needs a moment until it asks the webhook, so
# this repeats the apply for a minute.
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

kubectl=$state/tools/kubectl
until answer=$("$kubectl" apply --server-side -f "$1" 2>&1); do
  # Anything else is an error that time does not heal.
  if grep -vE 'serverside-applied$|namespaces "[^"]*" not found|failed calling webhook "[a-z]*\.tetrarch\.dev"' <<<"$answer" | grep -q . || ((SECONDS > 60)); then
    echo "$answer" >&2
    exit 1
  fi
  sleep 1
done
echo "$answer"
