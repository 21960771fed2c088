// Package main is `cluster.sh`: the embedded Kubernetes cluster's command line.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"tetrarch.dev/tests/cluster/internal/artifact"
	"tetrarch.dev/tests/cluster/internal/host"
	"tetrarch.dev/tests/cluster/internal/kube"
)

const usage = `usage: cluster.sh COMMAND [--name NAME]

  build [--rung3]                 make or download every part (cached per machine)
  up [--rung3 [--controllers]] [--durable]
                                  start a cluster; --rung3: only etcd and the API server
  load --image NAME --binary FILE [--file SRC:DST]... [--entrypoint PATH] [--user UID] [--env K=V]...
  load --tar FILE                 bring an image into the cluster
  kubeconfig                      print the path of the kubeconfig
  path                            print the directory of kubectl, helm, nats-server, ctr
  status                          what runs
  node COMMAND...                 run a command inside the node (after --)
  kill PROGRAM, restart PROGRAM   for tests of failures: etcd, kube-apiserver, kubelet, ...
  down [--all] [--keep-logs]      remove the cluster and all it made
  smoke [--keep]                  up, check all that tests rely on, down
  verify-clean                    up, down, and compare the machine before and after

NAME is "tetrarch" unless given. With KUBECONFIG set, or CLUSTER=kind|minikube,
"up" checks that cluster instead of starting one.
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err := dispatch(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func dispatch(name string, arguments []string) error {
	commands := map[string]func([]string) error{
		"build": build, "up": up, "load": load, "kubeconfig": kubeconfig, "path": showPath, "status": status,
		"node": node, "kill": kill, "restart": restart, "down": down, "verify-clean": verifyClean, "smoke": runSmoke,
		// These are not for people: the orchestrator starts itself with them.
		host.EnterCommand: func(a []string) error { return host.Enter(a[0]) },
		host.HoldCommand:  hold, kube.VolumesCommand: volumes,
	}
	command, known := commands[name]
	if !known {
		fmt.Fprint(os.Stderr, usage)
		if name == "help" || name == "-h" || name == "--help" {
			return nil
		}
		return fmt.Errorf("no command %q", name)
	}
	return command(arguments)
}

// sourceDir is tests/cluster of the checkout that is being used.
func sourceDir() (string, error) {
	if dir := os.Getenv("TETRARCH_CLUSTER_SOURCE"); dir != "" {
		return filepath.Abs(dir)
	}
	return "", fmt.Errorf("run this through tests/cluster/cluster.sh")
}

// stateDir is ${TETRARCH_STATE:-<repository>/.state}/cluster/<name>.
func stateDir(name string) (string, error) {
	root := os.Getenv("TETRARCH_STATE")
	if root == "" {
		source, err := sourceDir()
		if err != nil {
			return "", err
		}
		root = filepath.Join(source, "..", "..", ".state")
	}
	return filepath.Abs(filepath.Join(root, "cluster", name))
}

func parts(nodeParts bool) (*artifact.Parts, error) {
	source, err := sourceDir()
	if err != nil {
		return nil, err
	}
	root, err := artifact.DefaultRoot()
	if err != nil {
		return nil, err
	}
	builder := artifact.Builder{Cache: artifact.Cache{Root: root}, Source: source, Progress: progress()}
	return builder.Build(nodeParts)
}

// progress goes to standard error: what a command prints for others to read stays clean.
func progress() *artifact.Progress { return artifact.NewProgress(os.Stderr) }
