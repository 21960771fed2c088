#!/usr/bin/env bash
# install.sh: installs or upgrades the two charts with the images of this checkout, into the cluster that KUBECONFIG names.
# IMAGE_REGISTRY: take the images from there instead of from the node (for a cluster that is not ours).
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

: "${KUBECONFIG:?names the cluster}"
namespace=tetrarch-system
helm=$state/tools/helm

if [[ -n ${IMAGE_REGISTRY:-} ]]; then
  images=(--set "image.registry=$IMAGE_REGISTRY")
else
  tag=$(tests/images.sh tag)
  images=(--set "image.tag=$tag" --set nats.image.repository=tetrarch/nats --set nats.image.tag=dev)
fi

# The definitions are a chart of their own: Helm never upgrades what lies in a chart's crds/ directory.
"$helm" upgrade --install tetrarch-crds charts/tetrarch-crds --namespace "$namespace" --create-namespace --wait
"$helm" upgrade --install tetrarch charts/tetrarch --namespace "$namespace" "${images[@]}" --wait --timeout "${INSTALL_TIMEOUT:-3m}" "$@"
