#!/usr/bin/env bash
# Removes what `make demo` and `make test` made: in the embedded clusters everything, in a cluster of somebody else's
# only the demo's Domain and the two releases.
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

if [[ -n ${KUBECONFIG:-} && -f ${KUBECONFIG:-} && $KUBECONFIG != "$state"/* && -x $state/tools/helm ]]; then
  step remove-samples "removing the demo from the cluster of $KUBECONFIG" \
    "$state/tools/kubectl" delete --ignore-not-found -f config/samples/licence-audit --wait --timeout=3m
  step remove-charts "removing the charts" sh -c "
    '$state/tools/helm' uninstall tetrarch --namespace tetrarch-system --ignore-not-found --wait &&
    '$state/tools/helm' uninstall tetrarch-crds --namespace tetrarch-system --ignore-not-found"
fi
for name in tetrarch test test-api; do
  CLUSTER=embedded step "down-$name" "removing the cluster $name" "$cluster" down --name "$name"
done
rm -rf "$state"
say "everything is removed, in $SECONDS s (the tools built for it stay in $cache)"
