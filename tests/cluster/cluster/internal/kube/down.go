// The end of a cluster, whatever state it is in: every step looks at what is
// there and is right for a cluster that never finished starting, that was
// killed in any part, or that is already gone.

package kube

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tetrarch.dev/tests/cluster/internal/host"
	"tetrarch.dev/tests/cluster/internal/slot"
)

// killPatience is how long the kernel may take to end processes that have been killed.
const killPatience = 20 * time.Second

// Down removes the cluster and everything it made, except the logs if they are to be kept.
func Down(claim slot.Claim, keepLogs bool) error {
	held, err := exclusive(claim.ID)
	if err != nil {
		return err
	}
	defer held.Remove()
	return remove(claim, keepLogs)
}

// remove is Down for a caller that holds the lock.
func remove(claim slot.Claim, keepLogs bool) error {
	if claimed, found, err := Slots().Find(claim.ID); err != nil {
		return err
	} else if !found {
		// Never started, or down already: but its files may be from before a reboot emptied /run.
		return removeFiles(&Cluster{Claim: claim}, keepLogs)
	} else {
		claim = claimed
	}
	c := &Cluster{Claim: claim}
	if err := c.killAll(); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		if err := errors.Join(c.wire().Disconnect(), host.RemoveGroup(c.group(), killPatience)); err != nil {
			return err
		}
	}
	if err := removeFiles(c, keepLogs); err != nil {
		return err
	}
	// Last of all the claim: as long as it is there, a killed `down` can be repeated.
	return Slots().Release(claim, func() error { return host.RestoreMachine(machineNote()) })
}

// killAll ends first what is recorded, then whatever else is in the cluster's control group.
func (c *Cluster) killAll() error {
	records, err := host.Records(c.records())
	if err != nil {
		return err
	}
	var failures []error
	for _, process := range records {
		failures = append(failures, process.Kill(killPatience))
	}
	if os.Geteuid() == 0 {
		failures = append(failures, host.KillGroup(c.group(), killPatience))
	}
	return errors.Join(failures...)
}

func removeFiles(c *Cluster, keepLogs bool) error {
	for _, dir := range []string{c.State, c.run()} {
		if err := host.UnmountBelow(dir); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(c.run()); err != nil {
		return err
	}
	entries, err := os.ReadDir(c.State)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if keepLogs && entry.Name() == "logs" {
			continue
		}
		if err := os.RemoveAll(c.file(entry.Name())); err != nil {
			return fmt.Errorf("remove state: %w", err)
		}
	}
	// The directories above are ours too if the user did not name them, but others may be in them.
	parent := filepath.Dir(c.State)
	if os.Remove(c.State) == nil && os.Remove(parent) == nil && filepath.Base(filepath.Dir(parent)) == ".state" {
		os.Remove(filepath.Dir(parent))
	}
	return nil
}
