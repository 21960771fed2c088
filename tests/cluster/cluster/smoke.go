// smoke: starts a cluster, checks what tests rely on, and removes it.

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"tetrarch.dev/tests/cluster/internal/kube"
	"tetrarch.dev/tests/cluster/internal/oci"
	"tetrarch.dev/tests/cluster/internal/smoke"
)

func runSmoke(arguments []string) error {
	set, name := flags("smoke")
	keep := set.Bool("keep", false, "leave the cluster up, to look into a failure")
	set.Parse(arguments)
	if *name == defaultName {
		*name = "smoke"
	}
	if err := up([]string{"--name", *name}); err != nil {
		return err
	}
	err := checkCluster(*name)
	if *keep {
		return err
	}
	return errors.Join(err, down([]string{"--name", *name}))
}

func goBuildProbe(module, program string) error {
	command := exec.Command("go", "build", "-trimpath", "-o", program, "./probe")
	command.Dir = module
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false", "GOWORK=off")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build the probe: %w\n%s", err, output)
	}
	return nil
}

func checkCluster(name string) error {
	cluster, err := open(name)
	if err != nil {
		return err
	}
	source, err := sourceDir()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "probe")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "probe")
	if err := goBuildProbe(filepath.Join(source, "cluster"), program); err != nil {
		return err
	}
	_, _, err = cluster.Load(&oci.Image{
		Name: "tetrarch/probe:1", Entrypoint: []string{"/probe"}, User: oci.NonRoot,
		Entries: append(oci.Base(), oci.Entry{Path: "/probe", Mode: 0o755, Source: program}),
	})
	if err != nil {
		return err
	}
	tested := &smoke.Cluster{
		Kubectl:    filepath.Join(cluster.Parts.Path, "kubectl"),
		Kubeconfig: cluster.Kubeconfig(),
		Process:    cluster.ContainerProcess,
		Certify:    kube.CertifyServer,
	}
	return tested.Run(progress().Step)
}
