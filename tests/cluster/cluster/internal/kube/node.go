// The node: containerd, kubelet and kube-proxy with their configuration. Inside
// its own mount namespace everything is at the customary places.

package kube

import (
	"fmt"
	"os"
	"path/filepath"

	"tetrarch.dev/tests/cluster/internal/host"
)

// pauseImage is the sandbox of every pod, built from ../../pause.
const pauseImage = "docker.io/tetrarch/pause:1"

const containerdSocket = "/run/containerd/containerd.sock"

// nodeTree says where the node's own directories come from: on disk what grows, in memory what does not.
func (c *Cluster) nodeTree() (binds map[string]string, fresh []string) {
	return map[string]string{
		"/var/lib/kubelet":    c.file("node", "kubelet"),
		"/var/lib/containerd": c.file("node", "containerd"),
		"/var/log/pods":       c.file("logs", "pods"),
	}, []string{"/run/containerd", "/var/lib/cni", "/var/log/containers"}
}

// nodePlaces are the directories that must exist on the machine to be mounted over.
func nodePlaces() []string {
	return []string{"/var/lib/kubelet", "/var/lib/containerd", "/var/log/pods", "/run/containerd", "/var/lib/cni", "/var/log/containers"}
}

func (c *Cluster) holder() host.Node {
	binds, fresh := c.nodeTree()
	return host.Node{
		Group:  c.daemons(),
		Record: c.record("node"),
		Ready:  c.run("node-ready"),
		Log:    c.log("node"),
		Binds:  binds,
		Fresh:  fresh,
		Lock:   c.lockFile(),
	}
}

// configureNode writes the files of containerd, CNI and the kubelet.
func (c *Cluster) configureNode() error {
	files := map[string]string{
		"containerd.toml":      c.containerdConfig(),
		"cni/10-pods.conflist": c.cniConfig(),
		"kubelet.yaml":         c.kubeletConfig(),
		// Pods with dnsPolicy Default ask the cluster's DNS too: there is no other they could reach.
		"resolv.conf": "nameserver " + c.nodeIP() + "\n",
	}
	for name, content := range files {
		path := c.file("node", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) containerdConfig() string {
	// restrict_oom_score_adj: without CAP_SYS_RESOURCE runc dies of a negative score
	// with "can't get final child's PID from pipe: EOF".
	return fmt.Sprintf(`version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.nri.v1.nri",
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = %q

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = %q

[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = [%q]
  conf_dir = %q
  max_conf_num = 1

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    SystemdCgroup = false
`, containerdSocket, pauseImage, host.CNIDir(), c.file("node", "cni"))
}

// cniConfig gives each pod its own wire instead of a place on a bridge: traffic
// between pods is routed, so service addresses work without bridge netfilter.
func (c *Cluster) cniConfig() string {
	return fmt.Sprintf(`{
  "cniVersion": "1.0.0",
  "name": "pods",
  "plugins": [{
    "type": "ptp",
    "ipam": {
      "type": "host-local",
      "ranges": [[{"subnet": %q}]],
      "routes": [{"dst": "0.0.0.0/0"}]
    }
  }]
}
`, c.podCIDR())
}

func (c *Cluster) kubeletConfig() string {
	// localStorageCapacityIsolation: the root device of some machines cannot be found by name.
	// imageGC at 100: a disk that others have filled must not cost us images nobody can pull again.
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://%s
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: %q}
authorization: {mode: Webhook}
tlsCertFile: %q
tlsPrivateKeyFile: %q
clusterDomain: cluster.local
clusterDNS: [%s]
resolvConf: %q
cgroupDriver: cgroupfs
cgroupRoot: %q
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
makeIPTablesUtilChains: false
oomScoreAdj: 0
maxPods: 200
serializeImagePulls: false
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard:
  memory.available: 100Mi
  nodefs.available: 1%%
  nodefs.inodesFree: 1%%
  imagefs.available: 1%%
crashLoopBackOff: {maxContainerRestartPeriod: 10s}
nodeStatusUpdateFrequency: 5s
volumePluginDir: /var/lib/kubelet/volume-plugins
enableDebuggingHandlers: true
`, containerdSocket, c.pki("ca.crt"), c.pki("kubelet.crt"), c.pki("kubelet.key"),
		c.dnsServiceIP(), c.file("node", "resolv.conf"), "/"+c.group())
}

func (c *Cluster) containerd() host.Spec {
	// The shim and runc are looked for on the PATH.
	return host.Spec{
		Args: []string{filepath.Join(c.Parts.Containerd, "containerd"), "--config", c.file("node", "containerd.toml")},
		Env:  []string{"PATH=" + c.Parts.Containerd + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}
}

func (c *Cluster) kubelet() host.Spec {
	return c.program("kubelet",
		"--config="+c.file("node", "kubelet.yaml"),
		"--kubeconfig="+c.kubeconfigOf("kubelet"),
		"--hostname-override="+NodeName,
		"--node-ip="+c.nodeIP(),
		"--root-dir=/var/lib/kubelet",
	)
}

func (c *Cluster) proxy() host.Spec {
	return c.program("kube-proxy",
		"--kubeconfig="+c.kubeconfigOf("proxy"),
		"--hostname-override="+NodeName,
		"--proxy-mode=nftables",
		"--cluster-cidr="+c.podCIDR(),
		// These limits are read-only in any network namespace but the machine's own.
		"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s",
		"--oom-score-adj=0",
		"--metrics-bind-address=127.0.0.1:10249", "--healthz-bind-address=127.0.0.1:10256",
	)
}
