#!/usr/bin/env bash
# From nothing to a finished licence audit: cluster, images, charts, sample, report, second opinion.
# shellcheck source=tests/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"

demo=$state/demo tools=$state/tools
sample=config/samples/licence-audit
namespace=compliance workflow=licence-audit
mkdir -p "$demo"
export PATH=$tools:$PATH
trap abandon EXIT

need_disk 15
need_rust
need_package cc gcc
step licensecheck "looking for the independent tool, licensecheck" "$sample/install-licensecheck.sh"

# A cluster that runs is used as it is: `up` would start it afresh.
cluster_up() {
  "$cluster" status && return
  "$cluster" up
}

say "starting a cluster, and compiling the images beside it (minutes the first time, seconds later)"
begin cluster-up cluster_up
step images-build "compiling the images" tests/images.sh build
step gather "gathering the licence texts of all dependencies in Cargo.lock" \
  "$tools/licence-agents" gather --out "$demo/dataset"
finish cluster-up "starting the cluster"
step tools "collecting helm, kubectl and nats-server" tests/tools.sh cluster
KUBECONFIG=$("$cluster" kubeconfig)
export KUBECONFIG
if [[ -z ${IMAGE_REGISTRY:-} ]]; then
  step images-load "loading the images" tests/images.sh load tetrarch --dataset "$demo/dataset/dataset.json"
fi
step install "installing the charts tetrarch-crds and tetrarch" tests/install.sh

# generation: of the Workflow's spec, empty while there is none.
generation() {
  kubectl get workflows.tetrarch.dev "$workflow" -n "$namespace" -o 'jsonpath={.metadata.generation}' 2>/dev/null || true
}

before=$(generation)
step apply "applying $sample" tests/apply.sh "$sample"
if [[ -n $before ]] && grep -qs '^loaded tetrarch/licence-agents' "$logs/images-load.log"; then
  # Their tag stays the same when the agents are compiled anew, so nothing else would replace them.
  step replace-agents "replacing the agents by the newly compiled ones" \
    kubectl delete pods -n "$namespace" -l app.kubernetes.io/component=agent
fi
if [[ -n $before && $before == "$(generation)" ]]; then
  say "the Workflow is as it was and starts nothing by itself: asking for a further run"
  kubectl tetrarch run "$workflow" -n "$namespace" --watch --timeout 20m
else
  say "the Workflow starts with its first apply: following its run"
  kubectl tetrarch watch "$workflow" -n "$namespace" --timeout 20m
fi

say "saving the report"
kubectl tetrarch get run "$workflow" -n "$namespace" --output >"$demo/report.json"
licence-agents show --report "$demo/report.json" | tee "$demo/report.txt"

say "asking an independent tool (licensecheck of Debian) about the same texts"
licence-agents verify --report "$demo/report.json" --dataset "$demo/dataset" | tee "$demo/verification.txt"

cat <<END

The report is in ${demo#"$root"/}/report.txt, as data in report.json; what the independent tool says in verification.txt.
To look around:

  export KUBECONFIG=$KUBECONFIG PATH=$tools:\$PATH
  kubectl tetrarch tree
  kubectl tetrarch get run $workflow -n $namespace
  kubectl get tetrarch -A
  make down

END
say "demo finished in $SECONDS s"
