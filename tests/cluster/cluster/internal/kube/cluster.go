// Package kube is one cluster: its addresses, its programs, its start and its end.
package kube

import (
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"

	"tetrarch.dev/tests/cluster/internal/artifact"
	"tetrarch.dev/tests/cluster/internal/host"
	"tetrarch.dev/tests/cluster/internal/lock"
	"tetrarch.dev/tests/cluster/internal/slot"
)

// NodeName is the one node's name in every cluster.
const NodeName = "node-1"

// Cluster knows where everything of one cluster is. All numbers follow from the slot.
type Cluster struct {
	slot.Claim
	Parts *artifact.Parts
	held  *lock.Lock // while it is being started
}

var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?$`)

// Identify names a cluster: the same name in two checkouts means two clusters.
func Identify(name, state string) (slot.Claim, error) {
	if !validName.MatchString(name) {
		return slot.Claim{}, fmt.Errorf("cluster name %q: use at most 30 of a-z, 0-9 and '-'", name)
	}
	state, err := filepath.Abs(state)
	if err != nil {
		return slot.Claim{}, err
	}
	return slot.Claim{Name: name, State: state, ID: fmt.Sprintf("%s-%x", name, sha256.Sum256([]byte(state)))[:len(name)+7]}, nil
}

// RunRoot holds the registry, the process records and the sockets. It is short,
// because a unix socket's path has at most 107 bytes, and shared by all checkouts.
func RunRoot() string {
	if os.Geteuid() == 0 {
		return "/run/tetrarch"
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "tetrarch")
	}
	return fmt.Sprintf("/tmp/tetrarch-%d", os.Geteuid())
}

// Slots is the machine's registry of clusters.
func Slots() slot.Registry { return slot.Registry{Dir: filepath.Join(RunRoot(), "slots")} }

// Traces are places outside the state directory that a forgotten cluster would show up in.
func Traces() []string { return append(nodePlaces(), Slots().Dir+"/0.json", machineNote()) }

func machineNote() string { return filepath.Join(RunRoot(), "machine.json") }

// file is a path below the cluster's state directory.
func (c *Cluster) file(elements ...string) string {
	return filepath.Join(append([]string{c.State}, elements...)...)
}

func (c *Cluster) run(elements ...string) string {
	return filepath.Join(append([]string{RunRoot(), c.ID}, elements...)...)
}

// Kubeconfig is the administrator's.
func (c *Cluster) Kubeconfig() string { return c.file("kubeconfig") }

func (c *Cluster) records() string              { return c.run("processes") }
func (c *Cluster) record(program string) string { return filepath.Join(c.records(), program+".json") }
func (c *Cluster) spec(program string) string   { return c.run("specs", program+".json") }
func (c *Cluster) auditPolicy() string          { return c.file("audit-policy.json") }
func (c *Cluster) log(program string) string    { return c.file("logs", program+".log") }

// group holds everything of the cluster; the daemons are in one child, the kubelet makes another for the pods.
func (c *Cluster) group() string   { return host.Prefix + c.ID }
func (c *Cluster) daemons() string { return c.group() + "/daemons" }

const (
	portBase     = 21000 // below the range the kernel gives to outgoing connections
	portsPerSlot = 8
)

func portOf(slot, index int) int { return portBase + slot*portsPerSlot + index }

func (c *Cluster) apiPort() int        { return portOf(c.Slot, 0) }
func (c *Cluster) etcdPort() int       { return portOf(c.Slot, 1) }
func (c *Cluster) etcdPeerPort() int   { return portOf(c.Slot, 2) }
func (c *Cluster) controllerPort() int { return portOf(c.Slot, 3) }
func (c *Cluster) schedulerPort() int  { return portOf(c.Slot, 4) }

// The networks of slot S: 10.231.S.0/30 is the wire, 10.232.S.0/24 the pods, 10.233.S.0/24 the services.
func (c *Cluster) hostIP() string      { return fmt.Sprintf("10.231.%d.1", c.Slot) }
func (c *Cluster) nodeIP() string      { return fmt.Sprintf("10.231.%d.2", c.Slot) }
func (c *Cluster) podCIDR() string     { return fmt.Sprintf("10.232.%d.0/24", c.Slot) }
func (c *Cluster) serviceCIDR() string { return fmt.Sprintf("10.233.%d.0/24", c.Slot) }
func (c *Cluster) apiServiceIP() string {
	return fmt.Sprintf("10.233.%d.1", c.Slot)
}
func (c *Cluster) dnsServiceIP() string { return fmt.Sprintf("10.233.%d.10", c.Slot) }

func (c *Cluster) wire() host.Wire {
	return host.Wire{
		Link:    fmt.Sprintf("tetrarch%d", c.Slot),
		HostIP:  c.hostIP(),
		NodeIP:  c.nodeIP(),
		Prefix:  30,
		Routes:  []string{c.podCIDR(), c.serviceCIDR()},
		Guarded: c.apiPort(),
		Table:   fmt.Sprintf("tetrarch%d", c.Slot),
		Lock:    c.lockFile(),
	}
}

func (c *Cluster) lockFile() *os.File {
	if c.held == nil {
		return nil
	}
	return c.held.File()
}

// Usable tells whether a stranger has one of the slot's ports.
func Usable(number int) bool {
	for index := range portsPerSlot {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", portOf(number, index)))
		if err != nil {
			return false
		}
		listener.Close()
	}
	return true
}
