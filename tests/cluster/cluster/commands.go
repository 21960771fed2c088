// The commands that start, show and end clusters.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tetrarch.dev/tests/cluster/internal/foreign"
	"tetrarch.dev/tests/cluster/internal/host"
	"tetrarch.dev/tests/cluster/internal/kube"
	"tetrarch.dev/tests/cluster/internal/slot"
)

const defaultName = "tetrarch"

func flags(command string) (*flag.FlagSet, *string) {
	set := flag.NewFlagSet(command, flag.ExitOnError)
	return set, set.String("name", defaultName, "name of the cluster")
}

func identify(name string) (slot.Claim, error) {
	state, err := stateDir(name)
	if err != nil {
		return slot.Claim{}, err
	}
	return kube.Identify(name, state)
}

func open(name string) (*kube.Cluster, error) {
	claim, err := identify(name)
	if err != nil {
		return nil, err
	}
	return kube.Open(claim)
}

func build(arguments []string) error {
	set, _ := flags("build")
	rung3 := set.Bool("rung3", false, "only what an API-level cluster needs")
	set.Parse(arguments)
	if !*rung3 {
		if err := host.RequirePrograms(progress()); err != nil {
			return err
		}
	}
	_, err := parts(!*rung3)
	return err
}

func up(arguments []string) error {
	set, name := flags("up")
	var options kube.Options
	set.BoolVar(&options.Rung3, "rung3", false, "only etcd and the API server")
	set.BoolVar(&options.Controllers, "controllers", false, "with --rung3: the controller-manager too")
	set.BoolVar(&options.Durable, "durable", false, "let etcd wait for the disk")
	set.Parse(arguments)
	started := time.Now()
	if other := foreign.Detect(); other != nil {
		return other.Up(*name)
	}
	claim, err := identify(*name)
	if err != nil {
		return err
	}
	if !options.Rung3 {
		if err := host.RequirePrograms(progress()); err != nil {
			return err
		}
	}
	made, err := parts(!options.Rung3)
	if err != nil {
		return err
	}
	cluster, err := kube.Up(claim, made, options, progress())
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "cluster %q is up after %s\n", *name, time.Since(started).Round(100*time.Millisecond))
	fmt.Printf("export KUBECONFIG=%s\n", cluster.Kubeconfig())
	return nil
}

func kubeconfig(arguments []string) error {
	set, name := flags("kubeconfig")
	set.Parse(arguments)
	if other := foreign.Detect(); other != nil {
		return other.Kubeconfig(*name)
	}
	cluster, err := open(*name)
	if err != nil {
		return err
	}
	fmt.Println(cluster.Kubeconfig())
	return nil
}

func showPath(arguments []string) error {
	set, _ := flags("path")
	rung3 := set.Bool("rung3", false, "only what an API-level cluster needs")
	set.Parse(arguments)
	made, err := parts(!*rung3)
	if err != nil {
		return err
	}
	fmt.Println(made.Path)
	return nil
}

func status(arguments []string) error {
	set, name := flags("status")
	set.Parse(arguments)
	cluster, err := open(*name)
	if err != nil {
		return err
	}
	lines, healthy := cluster.Status()
	fmt.Println(strings.Join(lines, "\n"))
	if !healthy {
		return errors.New("not everything runs")
	}
	return nil
}

func down(arguments []string) error {
	set, name := flags("down")
	all := set.Bool("all", false, "every embedded cluster of this machine, of other checkouts too")
	keepLogs := set.Bool("keep-logs", false, "keep the logs in the state directory")
	set.Parse(arguments)
	if other := foreign.Detect(); other != nil {
		return other.Down(*name)
	}
	started := time.Now()
	claim, err := identify(*name)
	if err != nil {
		return err
	}
	claims := []slot.Claim{claim}
	if *all {
		if claims, err = kube.Slots().List(); err != nil {
			return err
		}
	}
	var failures []error
	for _, each := range claims {
		if err := kube.Down(each, *keepLogs); err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", each.Name, err))
			continue
		}
		fmt.Fprintf(os.Stderr, "cluster %q is gone after %s\n", each.Name, time.Since(started).Round(10*time.Millisecond))
	}
	return errors.Join(failures...)
}

func node(arguments []string) error {
	set, name := flags("node")
	set.Parse(arguments)
	cluster, err := open(*name)
	if err != nil {
		return err
	}
	command, err := cluster.InNode(set.Args())
	if err != nil {
		return err
	}
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	return command.Run()
}

func kill(arguments []string) error {
	return onProgram("kill", arguments, (*kube.Cluster).Kill)
}

func restart(arguments []string) error {
	return onProgram("restart", arguments, (*kube.Cluster).Restart)
}

func onProgram(command string, arguments []string, act func(*kube.Cluster, string) error) error {
	set, name := flags(command)
	set.Parse(arguments)
	if set.NArg() != 1 {
		return fmt.Errorf("usage: cluster.sh %s [--name NAME] PROGRAM", command)
	}
	cluster, err := open(*name)
	if err != nil {
		return err
	}
	return act(cluster, set.Arg(0))
}

func hold(arguments []string) error {
	var description host.Node
	if err := json.Unmarshal([]byte(arguments[0]), &description); err != nil {
		return err
	}
	return host.Hold(description)
}

func volumes(arguments []string) error {
	port, err := strconv.Atoi(arguments[0])
	if err != nil {
		return err
	}
	pki := arguments[1]
	api, err := kube.NewAPI(port, filepath.Join(pki, "ca.crt"), filepath.Join(pki, "volumes.crt"), filepath.Join(pki, "volumes.key"))
	if err != nil {
		return err
	}
	(&kube.Volumes{API: api, Dir: arguments[2]}).Run(context.Background())
	return nil
}
