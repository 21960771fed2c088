// Package foreign is a cluster that is not ours: one the user's KUBECONFIG names,
// kind, or minikube. It is checked and used, and never removed - except a kind
// cluster that `up` made itself.
package foreign

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Cluster is one of the three.
type Cluster struct {
	kind   string // kubeconfig, kind, minikube
	config string // the user's KUBECONFIG, for kind kubeconfig
}

// Detect reads the environment; nil means: use the embedded cluster. A
// KUBECONFIG that an embedded `up` printed is no foreign cluster.
func Detect() *Cluster {
	switch os.Getenv("CLUSTER") {
	case "kind":
		return &Cluster{kind: "kind"}
	case "minikube":
		return &Cluster{kind: "minikube"}
	case "embedded":
		return nil
	}
	config := os.Getenv("KUBECONFIG")
	if config == "" || embedded(config) {
		return nil
	}
	return &Cluster{kind: "kubeconfig", config: config}
}

// embedded recognizes our own kubeconfig by its context's name, so that the
// `export KUBECONFIG=...` of one command does not change what the next one does.
func embedded(config string) bool {
	content, err := os.ReadFile(config)
	if err != nil {
		return filepath.Base(filepath.Dir(filepath.Dir(config))) == "cluster"
	}
	return strings.Contains(string(content), `"current-context": "tetrarch-`)
}

// Up verifies that the cluster answers; with CLUSTER=kind it is made when it does not exist.
func (c *Cluster) Up(name string) error {
	if c.kind == "kind" {
		if err := c.ensureKind(name); err != nil {
			return err
		}
	}
	arguments := append(c.kubectl(name), "get", "--raw", "/readyz", "--request-timeout=10s")
	if output, err := exec.Command(arguments[0], arguments[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("the %s cluster does not answer: %w\n%s", c.kind, err, output)
	}
	if c.kind == "kubeconfig" {
		fmt.Printf("export KUBECONFIG=%s\n", c.config)
		return nil
	}
	fmt.Fprintf(os.Stderr, "the %s cluster answers; kubectl's context is its own\n", c.kind)
	return nil
}

func (c *Cluster) kubectl(name string) []string {
	switch c.kind {
	case "kind":
		return []string{"kubectl", "--context", "kind-" + name}
	case "minikube":
		return []string{"kubectl", "--context", "minikube"}
	}
	return []string{"kubectl"}
}

func (c *Cluster) ensureKind(name string) error {
	output, err := exec.Command("kind", "get", "clusters").Output()
	if err != nil {
		return fmt.Errorf("CLUSTER=kind: %w (is kind installed, and its container engine running?)", err)
	}
	for _, existing := range strings.Fields(string(output)) {
		if existing == name {
			return nil
		}
	}
	create := exec.Command("kind", "create", "cluster", "--name", name, "--wait", "120s")
	create.Stdout, create.Stderr = os.Stderr, os.Stderr
	if err := create.Run(); err != nil {
		return err
	}
	return mark(name)
}

// marker notes that a kind cluster is of our making.
func marker(name string) (string, error) {
	root, err := os.UserCacheDir()
	return filepath.Join(root, "tetrarch", "kind", name), err
}

func mark(name string) error {
	file, err := marker(name)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, nil, 0o644)
}

// Down removes a kind cluster that Up made and touches nothing else.
func (c *Cluster) Down(name string) error {
	if c.kind == "kind" {
		file, err := marker(name)
		if err != nil {
			return err
		}
		if _, err := os.Stat(file); err == nil {
			remove := exec.Command("kind", "delete", "cluster", "--name", name)
			remove.Stdout, remove.Stderr = os.Stderr, os.Stderr
			if err := remove.Run(); err != nil {
				return err
			}
			return os.Remove(file)
		}
	}
	fmt.Fprintf(os.Stderr, "the %s cluster is not of our making: left alone\n", c.kind)
	return nil
}

// Kubeconfig prints where the kubeconfig is.
func (c *Cluster) Kubeconfig(string) error {
	path := c.config
	if path == "" {
		path = os.Getenv("KUBECONFIG")
	}
	if path == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return err
		}
		path = filepath.Join(home, ".kube", "config")
	}
	fmt.Println(path)
	return nil
}

// LoadArchive brings an image archive into the cluster if there is a way.
func (c *Cluster) LoadArchive(name, archive string) error {
	var command *exec.Cmd
	switch c.kind {
	case "kind":
		command = exec.Command("kind", "load", "image-archive", archive, "--name", name)
	case "minikube":
		command = exec.Command("minikube", "image", "load", archive)
	default:
		return fmt.Errorf("an image cannot be loaded into the cluster of %s from here: push it to a registry that cluster can pull from, and name it there (`helm --set image.repository=...`)", c.config)
	}
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	return command.Run()
}
