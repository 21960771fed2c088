// The add-ons: CoreDNS and metrics-server run as processes beside the kubelet,
// on the node's address. As pods they would need images and a working cluster
// first; this way names resolve and `kubectl top` answers as early as pods do.

package kube

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"

	"tetrarch.dev/tests/cluster/internal/host"
)

//go:embed manifests/addons.yaml
var addonsManifest string

func (c *Cluster) addon(name string, flags ...string) host.Spec {
	return host.Spec{Args: append([]string{filepath.Join(c.Parts.Addons, "addons"), name}, flags...)}
}

// corefile: nothing is cached, so that a new pod's name resolves at once; and a
// foreign name does not exist at once, because pods have no way out of the machine.
// Two server blocks, because in one the template would answer before the kubernetes
// plugin, whatever their order in the file.
func (c *Cluster) corefile() string {
	return fmt.Sprintf(`cluster.local 10.in-addr.arpa {
	bind %[1]s
	errors
	health 127.0.0.1:8080
	ready 127.0.0.1:8181
	kubernetes cluster.local 10.in-addr.arpa {
		kubeconfig %[2]s
		pods insecure
		ttl 1
	}
	loadbalance
}
. {
	bind %[1]s
	errors
	template ANY ANY . {
		rcode NXDOMAIN
	}
}
`, c.nodeIP(), c.kubeconfigOf("coredns"))
}

func (c *Cluster) coredns() (host.Spec, error) {
	path := c.file("node", "Corefile")
	return c.addon("coredns", "-conf", path), os.WriteFile(path, []byte(c.corefile()), 0o644)
}

func (c *Cluster) metricsServer() host.Spec {
	config := c.kubeconfigOf("metrics-server")
	return c.addon("metrics-server",
		"--kubeconfig="+config, "--authentication-kubeconfig="+config, "--authorization-kubeconfig="+config,
		"--bind-address="+c.nodeIP(), "--secure-port=4443",
		"--tls-cert-file="+c.pki("metrics-server.crt"), "--tls-private-key-file="+c.pki("metrics-server.key"),
		"--kubelet-certificate-authority="+c.pki("ca.crt"),
		"--kubelet-preferred-address-types=InternalIP",
		// The resolution must exceed the request timeout, or it refuses to start.
		"--metric-resolution=10s", "--kubelet-request-timeout=5s",
	)
}

// applyAddons writes the add-ons' objects to the API server.
func (c *Cluster) applyAddons() error {
	ca, err := os.ReadFile(c.pki("ca.crt"))
	if err != nil {
		return err
	}
	var manifest bytes.Buffer
	err = template.Must(template.New("addons").Parse(addonsManifest)).Execute(&manifest, map[string]string{
		"DNS":  c.dnsServiceIP(),
		"Node": c.nodeIP(),
		"CA":   base64.StdEncoding.EncodeToString(ca),
	})
	if err != nil {
		return err
	}
	apply := exec.Command(filepath.Join(c.Parts.Kube, "kube"), "kubectl", "--kubeconfig", c.Kubeconfig(),
		"--cache-dir", c.file("node", "kubectl-cache"), "apply", "--server-side", "--validate=false", "-f", "-")
	apply.Stdin = &manifest
	if output, err := apply.CombinedOutput(); err != nil {
		return fmt.Errorf("apply the add-ons: %w\n%s", err, output)
	}
	return nil
}
