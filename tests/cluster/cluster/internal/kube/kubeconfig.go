// Kubeconfig files, with everything inlined so that they can be copied anywhere.

package kube

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
)

// writeKubeconfig writes one for the user whose certificate is called name.
func (c *Cluster) writeKubeconfig(path, name, address string) error {
	encoded := map[string]string{}
	for key, file := range map[string]string{"ca": "ca.crt", "certificate": name + ".crt", "key": name + ".key"} {
		content, err := os.ReadFile(c.pki(file))
		if err != nil {
			return err
		}
		encoded[key] = base64.StdEncoding.EncodeToString(content)
	}
	context := "tetrarch-" + c.Name
	document := map[string]any{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": context,
		"clusters": []any{map[string]any{"name": context, "cluster": map[string]any{
			"server":                     fmt.Sprintf("https://%s:%d", address, c.apiPort()),
			"certificate-authority-data": encoded["ca"],
		}}},
		"users": []any{map[string]any{"name": name, "user": map[string]any{
			"client-certificate-data": encoded["certificate"],
			"client-key-data":         encoded["key"],
		}}},
		"contexts": []any{map[string]any{"name": context, "context": map[string]any{"cluster": context, "user": name}}},
	}
	content, err := json.MarshalIndent(document, "", "  ") // JSON is YAML
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

func (c *Cluster) kubeconfigOf(name string) string { return c.file("pki", name+".kubeconfig") }

// writeKubeconfigs gives the machine's programs 127.0.0.1 and the node's the address on the wire.
func (c *Cluster) writeKubeconfigs() error {
	for _, name := range []string{"controller-manager", "scheduler", "volumes"} {
		if err := c.writeKubeconfig(c.kubeconfigOf(name), name, "127.0.0.1"); err != nil {
			return err
		}
	}
	for _, name := range []string{"kubelet", "proxy", "coredns", "metrics-server"} {
		if err := c.writeKubeconfig(c.kubeconfigOf(name), name, c.hostIP()); err != nil {
			return err
		}
	}
	return c.writeKubeconfig(c.Kubeconfig(), "admin", "127.0.0.1")
}
