// What is known of a cluster without changing anything.

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"tetrarch.dev/tests/cluster/internal/artifact"
	"tetrarch.dev/tests/cluster/internal/host"
	"tetrarch.dev/tests/cluster/internal/slot"
)

// Open is a cluster that has been started before.
func Open(claim slot.Claim) (*Cluster, error) {
	claimed, found, err := Slots().Find(claim.ID)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("there is no cluster %q here: `cluster.sh up --name %s`", claim.Name, claim.Name)
	}
	c := &Cluster{Claim: claimed, Parts: &artifact.Parts{}}
	content, err := os.ReadFile(c.run("parts.json"))
	if err != nil {
		return nil, fmt.Errorf("cluster %q has not finished starting: %w", claim.Name, err)
	}
	return c, json.Unmarshal(content, c.Parts)
}

// Status describes the cluster in a few lines, and whether all of it runs.
func (c *Cluster) Status() (lines []string, healthy bool) {
	healthy = true
	records, _ := host.Records(c.records())
	var names []string
	for name := range records {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		state := "running"
		if !records[name].Alive() {
			state, healthy = "ENDED, see "+c.log(name), false
		}
		lines = append(lines, fmt.Sprintf("  %-24s pid %-7d %s", name, records[name].Pid, state))
	}
	ready := "not answering"
	if api, err := c.api("admin"); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if err := api.Do(ctx, "GET", "/readyz", nil, nil); err == nil {
			ready = "ready"
			if _, err := os.Stat(c.record("node")); err == nil {
				if ok, _ := api.NodeReady(ctx); ok {
					ready = "ready, node Ready"
				} else {
					ready, healthy = "ready, node NOT Ready", false
				}
			}
		} else {
			healthy = false
		}
	}
	head := []string{
		fmt.Sprintf("cluster %s: API %s at https://127.0.0.1:%d", c.Name, ready, c.apiPort()),
		fmt.Sprintf("  slot %d, services %s, pods %s, DNS %s, node %s, machine as seen by pods %s", c.Slot, c.serviceCIDR(), c.podCIDR(), c.dnsServiceIP(), c.nodeIP(), c.hostIP()),
		"  state " + c.State,
	}
	return append(head, lines...), healthy
}

// Restart kills a program of the cluster (if it runs) and starts it as before.
func (c *Cluster) Restart(program string) error {
	held, err := exclusive(c.ID)
	if err != nil {
		return err
	}
	defer held.Release()
	content, err := os.ReadFile(c.spec(program))
	if err != nil {
		known, _ := filepath.Glob(c.spec("*"))
		for i := range known {
			known[i] = strings.TrimSuffix(filepath.Base(known[i]), ".json")
		}
		return fmt.Errorf("no program %q in this cluster, only %s", program, strings.Join(known, ", "))
	}
	var spec host.Spec
	if err := json.Unmarshal(content, &spec); err != nil {
		return err
	}
	if record, err := host.ReadRecord(spec.Record); err == nil {
		if err := record.Kill(killPatience); err != nil {
			return err
		}
	}
	// The old record must not be taken for the new process having ended.
	if err := os.Remove(spec.Record); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := host.Start(spec); err != nil {
		return err
	}
	return c.waitAnswer(program)
}

// waitAnswer waits for the programs others cannot do without: a kubelet that
// does not find containerd at its start gives up.
func (c *Cluster) waitAnswer(program string) error {
	return c.wait(time.Minute, []string{program}, func(ctx context.Context) (bool, error) {
		switch program {
		case "containerd":
			return true, c.ctr("version")
		case "etcd", "kube-apiserver":
			api, err := c.api("admin")
			if err != nil {
				return false, err
			}
			return true, api.Do(ctx, "GET", "/readyz", nil, nil)
		}
		_, err := host.ReadRecord(c.record(program))
		return true, err
	})
}

// Kill ends a program of the cluster at once and leaves it dead: for tests of failures.
func (c *Cluster) Kill(program string) error {
	record, err := host.ReadRecord(c.record(program))
	if err != nil {
		return fmt.Errorf("no program %q in this cluster", program)
	}
	return record.Signal(syscall.SIGKILL)
}

// answersDNS resolves a name through the service address: that needs CoreDNS and kube-proxy.
func (c *Cluster) answersDNS() bool {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, net.JoinHostPort(c.dnsServiceIP(), "53"))
	}}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	addresses, err := resolver.LookupHost(ctx, "kubernetes.default.svc.cluster.local.")
	return err == nil && len(addresses) == 1 && addresses[0] == c.apiServiceIP()
}
