// The command lines of the control plane. Its programs run in the machine's own
// network, on loopback ports of the cluster's slot.

package kube

import (
	"fmt"
	"path/filepath"

	"tetrarch.dev/tests/cluster/internal/host"
)

// Options are what the user chose.
type Options struct {
	Rung3       bool // only etcd and the API server
	Controllers bool // with Rung3: the controller-manager too
	Durable     bool // etcd waits for the disk
}

// program is one of the control plane's binary.
func (c *Cluster) program(name string, flags ...string) host.Spec {
	return host.Spec{Args: append([]string{filepath.Join(c.Parts.Kube, "kube"), name}, flags...)}
}

func (c *Cluster) etcd(options Options) host.Spec {
	client := fmt.Sprintf("http://127.0.0.1:%d", c.etcdPort())
	peer := fmt.Sprintf("http://127.0.0.1:%d", c.etcdPeerPort())
	flags := []string{
		"--name=default",
		"--data-dir=" + c.file("etcd"),
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=default=" + peer,
		"--log-level=warn",
	}
	if !options.Durable {
		// Survives kill -9 (the page cache stays), not a power cut: never in a durability test.
		flags = append(flags, "--unsafe-no-fsync")
	}
	return c.program("etcd", flags...)
}

func (c *Cluster) apiserver(options Options) host.Spec {
	flags := []string{
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", c.etcdPort()),
		fmt.Sprintf("--secure-port=%d", c.apiPort()),
		"--tls-cert-file=" + c.pki("apiserver.crt"), "--tls-private-key-file=" + c.pki("apiserver.key"),
		"--client-ca-file=" + c.pki("ca.crt"),
		"--service-cluster-ip-range=" + c.serviceCIDR(),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.pki("service-accounts.key"),
		"--service-account-signing-key-file=" + c.pki("service-accounts.key"),
		"--kubelet-client-certificate=" + c.pki("apiserver-kubelet.crt"), "--kubelet-client-key=" + c.pki("apiserver-kubelet.key"),
		"--kubelet-certificate-authority=" + c.pki("ca.crt"),
		"--kubelet-preferred-address-types=InternalIP", // the node's name is in no DNS: logs and exec would fail
		"--requestheader-client-ca-file=" + c.pki("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=" + c.pki("front-proxy.crt"), "--proxy-client-key-file=" + c.pki("front-proxy.key"),
		"--enable-aggregator-routing=true",
		"--profiling=false",
		"--audit-policy-file=" + c.auditPolicy(), "--audit-log-path=" + c.log("audit"),
		"--audit-log-maxsize=200", "--audit-log-maxbackup=1",
	}
	if options.Rung3 {
		// A loopback address cannot be an endpoint of the "kubernetes" service; without pods nobody needs it.
		flags = append(flags, "--bind-address=127.0.0.1", "--endpoint-reconciler-type=none")
	} else {
		flags = append(flags, "--bind-address=0.0.0.0", "--advertise-address="+c.hostIP())
	}
	return c.program("kube-apiserver", flags...)
}

func (c *Cluster) controllerManager(options Options) host.Spec {
	config := c.kubeconfigOf("controller-manager")
	flags := []string{
		"--kubeconfig=" + config, "--authentication-kubeconfig=" + config, "--authorization-kubeconfig=" + config,
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", c.controllerPort()),
		"--leader-elect=false",
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + c.pki("service-accounts.key"),
		"--root-ca-file=" + c.pki("ca.crt"),
		"--cluster-signing-cert-file=" + c.pki("ca.crt"), "--cluster-signing-key-file=" + c.pki("ca.key"),
		"--requestheader-client-ca-file=" + c.pki("front-proxy-ca.crt"),
		"--cert-dir=" + c.file("pki", "controller-manager"),
		"--kube-api-qps=200", "--kube-api-burst=300",
		// Autoscaling at the pace of a test: by default a new pod's CPU is ignored for five minutes,
		// and so long is scaling down held back.
		"--horizontal-pod-autoscaler-sync-period=2s",
		"--horizontal-pod-autoscaler-cpu-initialization-period=10s",
		"--horizontal-pod-autoscaler-initial-readiness-delay=2s",
		"--horizontal-pod-autoscaler-downscale-stabilization=15s",
		"--profiling=false",
	}
	return c.program("kube-controller-manager", flags...)
}

func (c *Cluster) scheduler() host.Spec {
	config := c.kubeconfigOf("scheduler")
	return c.program("kube-scheduler",
		"--kubeconfig="+config, "--authentication-kubeconfig="+config, "--authorization-kubeconfig="+config,
		"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", c.schedulerPort()),
		"--leader-elect=false",
		"--requestheader-client-ca-file="+c.pki("front-proxy-ca.crt"),
		"--cert-dir="+c.file("pki", "scheduler"),
		"--kube-api-qps=200", "--kube-api-burst=300",
	)
}
