// verify-clean: the proof that `down` leaves nothing behind.

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"tetrarch.dev/tests/cluster/internal/host"
	"tetrarch.dev/tests/cluster/internal/kube"
)

func verifyClean(arguments []string) error {
	set, name := flags("verify-clean")
	*name = "verify-clean"
	crash := set.Bool("crash", false, "kill the node, the API server and etcd before going down")
	set.Parse(arguments)
	claims, err := kube.Slots().List()
	if err != nil {
		return err
	}
	if len(claims) > 0 {
		// Theirs would appear and disappear in the comparison.
		return errors.New("other clusters run on this machine: `cluster.sh down --all` first")
	}
	before := host.Snapshot(kube.Traces())
	if err := up([]string{"--name", *name}); err != nil {
		return err
	}
	if *crash {
		cluster, err := open(*name, false)
		if err != nil {
			return err
		}
		for _, program := range []string{"node", "kube-apiserver", "etcd", "containerd", "kubelet"} {
			if err := cluster.Kill(program); err != nil {
				return err
			}
		}
	}
	if err := down([]string{"--name", *name}); err != nil {
		return err
	}
	after := host.Snapshot(kube.Traces())
	left, missing := host.Added(before, after), host.Added(after, before)
	if len(left)+len(missing) == 0 {
		fmt.Fprintln(os.Stderr, "clean: nothing was left behind")
		return nil
	}
	return fmt.Errorf("left behind:\n  %s\ngone:\n  %s", strings.Join(left, "\n  "), strings.Join(missing, "\n  "))
}
