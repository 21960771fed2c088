// Images: from a program of this machine into the node's containerd.

package kube

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"tetrarch.dev/tests/cluster/internal/host"
	"tetrarch.dev/tests/cluster/internal/oci"
)

// ctrCommand runs containerd's client in the node, where the socket is.
func (c *Cluster) ctrCommand(arguments ...string) (*exec.Cmd, error) {
	program := filepath.Join(c.Parts.Containerd, "ctr")
	return c.InNode(append([]string{program, "--address", containerdSocket, "--namespace", "k8s.io"}, arguments...))
}

// InNode is a command to be run inside the node's namespaces.
func (c *Cluster) InNode(arguments []string) (*exec.Cmd, error) {
	holder, err := host.ReadRecord(c.record("node"))
	if err != nil || !holder.Alive() {
		return nil, fmt.Errorf("cluster %q has no running node (`cluster.sh up --name %s`)", c.Name, c.Name)
	}
	return host.Command(host.Spec{Args: arguments, Node: holder.Pid, Mounts: true})
}

func (c *Cluster) ctr(arguments ...string) error {
	command, err := c.ctrCommand(arguments...)
	if err != nil {
		return err
	}
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("ctr %s: %w\n%s", strings.Join(arguments, " "), err, output)
	}
	return nil
}

// Load brings an image into the node; it tells whether that was needed.
func (c *Cluster) Load(image *oci.Image) (digest string, loaded bool, err error) {
	var archive bytes.Buffer
	digest, err = image.Write(&archive)
	if err != nil {
		return "", false, err
	}
	name := oci.Normalize(image.Name)
	present, err := c.hasImage(name, digest)
	if err != nil || present {
		return digest, false, err
	}
	return digest, true, c.importArchive(&archive)
}

// LoadArchive brings a finished image archive (OCI or docker) into the node.
func (c *Cluster) LoadArchive(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return c.importArchive(file)
}

func (c *Cluster) importArchive(archive io.Reader) error {
	command, err := c.ctrCommand("images", "import", "--no-unpack=false", "-")
	if err != nil {
		return err
	}
	command.Stdin = archive
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("import image: %w\n%s", err, output)
	}
	return nil
}

// hasImage tells whether the name already stands for this very manifest.
func (c *Cluster) hasImage(name, digest string) (bool, error) {
	command, err := c.ctrCommand("images", "list", "name=="+name)
	if err != nil {
		return false, err
	}
	output, err := command.Output()
	return err == nil && strings.Contains(string(output), digest), err
}

// ContainerProcess is the process of a container.
func (c *Cluster) ContainerProcess(container string) (int, error) {
	command, err := c.ctrCommand("tasks", "list")
	if err != nil {
		return 0, err
	}
	output, err := command.Output()
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(output), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == container {
			return strconv.Atoi(fields[1])
		}
	}
	return 0, fmt.Errorf("no container %s on the node", container)
}

// loadPause makes the sandbox image of all pods.
func (c *Cluster) loadPause() error {
	_, _, err := c.Load(&oci.Image{
		Name:       pauseImage,
		Entrypoint: []string{"/pause"},
		User:       "65535:65535",
		Entries:    []oci.Entry{{Path: "/pause", Mode: 0o755, Source: filepath.Join(c.Parts.Pause, "pause")}},
	})
	return err
}
