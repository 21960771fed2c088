// verify-clean: the proof that `down` leaves nothing behind, after a quiet life,
// after a crash of everything, and after an `up` that was killed half way.

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"tetrarch.dev/tests/cluster/internal/host"
	"tetrarch.dev/tests/cluster/internal/kube"
)

const verifyName = "verify-clean"

func verifyClean(arguments []string) error {
	set, _ := flags("verify-clean")
	quick := set.Bool("quick", false, "only the quiet life")
	set.Parse(arguments)
	claims, err := kube.Slots().List()
	if err != nil {
		return err
	}
	if len(claims) > 0 {
		// Theirs would appear and disappear in the comparison.
		return errors.New("other clusters run on this machine: `cluster.sh down --all` first")
	}
	if err := verify("up, a pod, down", func() error { return liveAnd(nil) }); err != nil || *quick {
		return err
	}
	for _, programs := range [][]string{
		{"node", "kube-apiserver", "etcd", "containerd", "kubelet"},
		{"containerd", "kubelet", "kube-proxy", "node", "kube-apiserver", "etcd", "kube-scheduler", "kube-controller-manager", "coredns", "metrics-server", "volumes"},
	} {
		title := fmt.Sprintf("up, a pod, kill -9 of %d programs, down", len(programs))
		if err := verify(title, func() error { return liveAnd(programs) }); err != nil {
			return err
		}
	}
	for _, after := range []time.Duration{50, 150, 300, 1000, 2500, 3500, 4000, 5000} {
		after *= time.Millisecond
		if err := verify(fmt.Sprintf("up killed after %s, down", after), func() error { return upKilled(after) }); err != nil {
			return err
		}
	}
	// What a killed `up` leaves must not disturb the next one either.
	return verify("up killed after 3s, up, a pod, down", func() error {
		return errors.Join(upKilled(3*time.Second), liveAnd(nil))
	})
}

// verify compares the machine before and after life and a `down`.
func verify(title string, life func() error) error {
	before := host.Snapshot(kube.Traces())
	if err := errors.Join(life(), down([]string{"--name", verifyName})); err != nil {
		return fmt.Errorf("%s: %w", title, err)
	}
	after := host.Snapshot(kube.Traces())
	left, missing := host.Added(before, after), host.Added(after, before)
	if len(left)+len(missing) == 0 {
		fmt.Fprintf(os.Stderr, "CLEAN: %s\n", title)
		return nil
	}
	return fmt.Errorf("%s: left behind:\n  %s\nmissing:\n  %s", title, strings.Join(left, "\n  "), strings.Join(missing, "\n  "))
}

func liveAnd(killed []string) error {
	if err := up([]string{"--name", verifyName}); err != nil {
		return err
	}
	cluster, err := open(verifyName)
	if err != nil {
		return err
	}
	if err := cluster.RunSample(); err != nil {
		return err
	}
	for _, program := range killed {
		if err := cluster.Kill(program); err != nil {
			return err
		}
	}
	return nil
}

func upKilled(after time.Duration) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	command := exec.Command(self, "up", "--name", verifyName)
	if err := command.Start(); err != nil {
		return err
	}
	time.Sleep(after)
	if err := command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	command.Wait()
	return nil
}
