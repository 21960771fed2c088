package kube

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tetrarch.dev/tests/cluster/internal/slot"
)

func TestIdentifyTellsCheckoutsApart(t *testing.T) {
	a, errA := Identify("demo", "/one")
	b, errB := Identify("demo", "/two")
	if errA != nil || errB != nil || a.ID == b.ID || !strings.HasPrefix(a.ID, "demo-") {
		t.Errorf("%+v %+v %v %v", a, b, errA, errB)
	}
	for _, bad := range []string{"", "-x", "A", "a/b", "..", strings.Repeat("a", 31)} {
		if _, err := Identify(bad, "/x"); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestSlotsShareNothing(t *testing.T) {
	seen := map[any]int{}
	for number := range slot.Count {
		c := &Cluster{Claim: slot.Claim{Slot: number}}
		for _, own := range []any{c.apiPort(), c.etcdPort(), c.etcdPeerPort(), c.controllerPort(), c.schedulerPort(),
			c.hostIP(), c.nodeIP(), c.podCIDR(), c.serviceCIDR(), c.wire().Link} {
			if other, taken := seen[own]; taken {
				t.Errorf("%v of slot %d is also of slot %d", own, number, other)
			}
			seen[own] = number
		}
		if len(c.wire().Link) > 15 {
			t.Errorf("link name %s is too long", c.wire().Link)
		}
	}
}

func TestCertificatesAndKubeconfigs(t *testing.T) {
	c := &Cluster{Claim: slot.Claim{Name: "x", State: t.TempDir()}}
	if err := c.certify(); err != nil {
		t.Fatal(err)
	}
	if err := c.writeKubeconfigs(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(c.Kubeconfig())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if _, err := c.api("admin"); err != nil {
		t.Error(err)
	}
}

func TestWantedClaims(t *testing.T) {
	class := storageClass
	pending := claim{}
	pending.Status.Phase = "Pending"
	if wanted(pending) {
		t.Error("a claim without a class is not ours")
	}
	pending.Spec.Class = &class
	if !wanted(pending) {
		t.Error("a pending claim of our class is wanted")
	}
	pending.Spec.Volume = "other"
	if wanted(pending) {
		t.Error("a claim that names its volume is not ours")
	}
}

func TestRemoveFilesStaysInsideAndKeepsLogs(t *testing.T) {
	root := t.TempDir()
	state := filepath.Join(root, "repository", ".state", "cluster", "x")
	for _, dir := range []string{"logs", "etcd"} {
		os.MkdirAll(filepath.Join(state, dir), 0o755)
	}
	c := &Cluster{Claim: slot.Claim{ID: "x-test-removal", State: state}}
	if err := removeFiles(c, true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(state, "logs")); err != nil {
		t.Error("the logs are gone")
	}
	if err := removeFiles(c, false); err != nil {
		t.Fatal(err)
	}
	left, _ := os.ReadDir(root)
	if len(left) != 1 {
		t.Errorf("left: %v", left)
	}
	if _, err := os.Stat(filepath.Join(root, "repository", ".state")); !os.IsNotExist(err) {
		t.Error(".state is still there")
	}
}
