// The start of a cluster, from nothing to a node that is Ready.

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tetrarch.dev/tests/cluster/internal/artifact"
	"tetrarch.dev/tests/cluster/internal/host"
	"tetrarch.dev/tests/cluster/internal/lock"
	"tetrarch.dev/tests/cluster/internal/slot"
)

// Up starts the cluster afresh; what is left of an earlier one of its name is removed first.
func Up(claim slot.Claim, parts *artifact.Parts, options Options, progress *artifact.Progress) (*Cluster, error) {
	if !options.Rung3 && os.Geteuid() != 0 {
		return nil, errors.New("a cluster with a node needs root (control groups, namespaces, mounts); `--rung3` does not")
	}
	held, err := exclusive(claim.ID)
	if err != nil {
		return nil, err
	}
	defer held.Release()
	if err := remove(claim, false); err != nil {
		return nil, err
	}
	claim, err = Slots().Claim(claim, Usable)
	if err != nil {
		return nil, err
	}
	c := &Cluster{Claim: claim, Parts: parts, held: held}
	steps := []struct {
		title string
		work  func() error
		skip  bool
	}{
		{"certificates and configuration", func() error { return c.prepare(options) }, false},
		{"node namespaces and network", c.startNamespaces, options.Rung3},
		{"etcd and kube-apiserver", func() error { return c.startAPI(options) }, false},
		{"kube-controller-manager", func() error { return c.start("kube-controller-manager", c.controllerManager(options)) }, !options.Rung3 || !options.Controllers},
		{"kubelet, scheduler, controllers, proxy, add-ons", func() error { return c.startNode(options) }, options.Rung3},
		{"node Ready and DNS", c.waitNode, options.Rung3},
	}
	for _, step := range steps {
		if step.skip {
			continue
		}
		if err := progress.Step(step.title, step.work); err != nil {
			return nil, fmt.Errorf("%s: %w\n(logs: %s; `cluster.sh down --name %s` removes the rest)", step.title, err, c.file("logs"), c.Name)
		}
	}
	return c, nil
}

// exclusive keeps two invocations from starting or removing one cluster at the same time.
func exclusive(id string) (*lock.Lock, error) {
	return lock.Acquire(filepath.Join(RunRoot(), "locks", id))
}

func (c *Cluster) prepare(options Options) error {
	for _, dir := range []string{c.file("logs"), c.file("node"), c.file("volumes"), c.records(), c.run("specs")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := c.certify(); err != nil {
		return err
	}
	if err := c.writeKubeconfigs(); err != nil {
		return err
	}
	// What was started is what `load` and `restart` use later, whatever the sources have become.
	content, err := json.Marshal(c.Parts)
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.run("parts.json"), content, 0o644); err != nil || options.Rung3 {
		return err
	}
	return c.configureNode()
}

// start runs a program, remembering how, so that it can be started again.
func (c *Cluster) start(name string, spec host.Spec) error {
	spec.Log, spec.Record, spec.Lock = c.log(name), c.record(name), c.lockFile()
	if os.Geteuid() == 0 {
		spec.Group = c.daemons()
		if err := host.MakeGroup(spec.Group); err != nil {
			return err
		}
	}
	content, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.spec(name), content, 0o644); err != nil {
		return err
	}
	return host.Start(spec)
}

// startIn is start inside the node: its network, and its mounts if asked for.
func (c *Cluster) startIn(name string, spec host.Spec, mounts bool) error {
	holder, err := host.ReadRecord(c.record("node"))
	if err != nil {
		return err
	}
	spec.Node, spec.Mounts = holder.Pid, mounts
	return c.start(name, spec)
}

func (c *Cluster) startNamespaces() error {
	if err := host.NoteMachine(machineNote(), nodePlaces()); err != nil {
		return err
	}
	if err := host.MakeGroup(c.daemons()); err != nil {
		return err
	}
	node := c.holder()
	description, err := json.Marshal(node)
	if err != nil {
		return err
	}
	pid, err := host.StartNode(string(description), node)
	if err != nil {
		return err
	}
	return c.wire().Connect(pid)
}

// auditRules record who used which right, without contents: tests find rights that nobody uses.
// What the control plane does itself is left out.
const auditRules = `{
  "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
  "rules": [
    {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
    {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
    {"level": "None"}
  ]
}
`

func (c *Cluster) startAPI(options Options) error {
	if err := os.WriteFile(c.auditPolicy(), []byte(auditRules), 0o644); err != nil {
		return err
	}
	if err := c.start("etcd", c.etcd(options)); err != nil {
		return err
	}
	if err := c.start("kube-apiserver", c.apiserver(options)); err != nil {
		return err
	}
	if !options.Rung3 {
		// It takes a second or two to begin: beside the API server, not after it.
		if err := c.startIn("containerd", c.containerd(), true); err != nil {
			return err
		}
	}
	api, err := c.api("admin")
	if err != nil {
		return err
	}
	return c.wait(patience, []string{"etcd", "kube-apiserver"}, func(ctx context.Context) (bool, error) {
		return true, api.Do(ctx, "GET", "/readyz", nil, nil)
	})
}

func (c *Cluster) startNode(options Options) error {
	volumes, err := c.volumesSpec()
	if err != nil {
		return err
	}
	for name, spec := range map[string]host.Spec{
		"kube-controller-manager": c.controllerManager(options),
		"kube-scheduler":          c.scheduler(),
		"volumes":                 {Args: volumes},
	} {
		if err := c.start(name, spec); err != nil {
			return err
		}
	}
	err = c.wait(patience, []string{"containerd"}, func(context.Context) (bool, error) { return true, c.ctr("version") })
	if err != nil {
		return err
	}
	if err := c.loadPause(); err != nil {
		return err
	}
	coredns, err := c.coredns()
	if err != nil {
		return err
	}
	if err := c.startIn("kubelet", c.kubelet(), true); err != nil {
		return err
	}
	if err := c.startIn("kube-proxy", c.proxy(), false); err != nil {
		return err
	}
	if err := c.applyAddons(); err != nil {
		return err
	}
	if err := c.startIn("coredns", coredns, false); err != nil {
		return err
	}
	return c.startIn("metrics-server", c.metricsServer(), false)
}

func (c *Cluster) waitNode() error {
	api, err := c.api("admin")
	if err != nil {
		return err
	}
	if err := c.wait(patience, []string{"kubelet", "containerd"}, api.NodeReady); err != nil {
		return err
	}
	// Pods of a namespace are refused until its service account exists.
	return c.wait(patience, []string{"kube-controller-manager", "coredns", "kube-proxy"}, func(ctx context.Context) (bool, error) {
		if err := api.Do(ctx, "GET", "/api/v1/namespaces/default/serviceaccounts/default", nil, nil); err != nil {
			return false, err
		}
		return c.answersDNS(), nil
	})
}

// patience is for a machine that is busy with other things; a program that ends is noticed at once.
const patience = 3 * time.Minute

// wait polls until done, and gives up at once when one of the programs has ended.
func (c *Cluster) wait(limit time.Duration, programs []string, done func(context.Context) (bool, error)) error {
	deadline := time.Now().Add(limit)
	begun := time.Now()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		ok, err := done(ctx)
		cancel()
		if ok && err == nil {
			return nil
		}
		for _, program := range programs {
			record, missing := host.ReadRecord(c.record(program))
			// The record is written by the program's own process, a moment after its start.
			if (missing != nil && time.Since(begun) > 5*time.Second) || (missing == nil && ended(record)) {
				return fmt.Errorf("%s has ended:\n%s", program, c.logTail(program))
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not done after %s: %v\n%s", limit, err, c.logTail(programs[0]))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// ended tells whether a program is gone. One look is not enough: while a process of several threads becomes another program,
// its number belongs to a zombie for a moment.
func ended(process host.Process) bool {
	if process.Alive() {
		return false
	}
	time.Sleep(200 * time.Millisecond)
	return !process.Alive()
}

// logTail is the end of a program's log, with the lines that tell of errors preferred.
func (c *Cluster) logTail(program string) string {
	content, err := os.ReadFile(c.log(program))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	var errorsOnly []string
	for _, line := range lines {
		// klog begins an error with E and a fatal one with F.
		if strings.HasPrefix(line, "E") || strings.HasPrefix(line, "F") || strings.Contains(line, "level=error") || strings.Contains(line, "level=fatal") {
			errorsOnly = append(errorsOnly, line)
		}
	}
	if len(errorsOnly) > 0 {
		lines = errorsOnly
	}
	if len(lines) > 8 {
		lines = lines[len(lines)-8:]
	}
	return "    " + strings.Join(lines, "\n    ") + "\n    (" + c.log(program) + ")"
}
