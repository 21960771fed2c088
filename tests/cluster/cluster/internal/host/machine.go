// The few things a node cannot have for itself: kernel settings the kubelet
// writes, and directories that must exist to be mounted over. They are noted
// when the first cluster of the machine starts and put back after the last.

package host

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tunables are set by every kubelet ("protectKernelDefaults" would make it refuse to start instead).
var tunables = []string{
	"vm/overcommit_memory", "vm/panic_on_oom",
	"kernel/panic", "kernel/panic_on_oops",
	"kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
}

type note struct {
	Settings map[string]string `json:"settings"`
	Made     []string          `json:"made"` // directories, deepest first
}

// NoteMachine remembers the settings and makes the directories, unless an earlier cluster did.
func NoteMachine(path string, directories []string) error {
	if _, err := os.Stat(path); err == nil {
		return makeAll(directories)
	}
	before := note{Settings: map[string]string{}}
	for _, name := range tunables {
		if value, err := os.ReadFile(filepath.Join("/proc/sys", name)); err == nil {
			before.Settings[name] = strings.TrimSpace(string(value))
		}
	}
	for _, directory := range directories {
		for ; directory != "/"; directory = filepath.Dir(directory) {
			if _, err := os.Stat(directory); err == nil {
				break
			}
			before.Made = append(before.Made, directory)
		}
	}
	// Written before anything is made, so that a kill in between loses nothing.
	if err := writeJSON(path, before); err != nil {
		return err
	}
	return makeAll(directories)
}

func makeAll(directories []string) error {
	for _, directory := range directories {
		if err := os.MkdirAll(directory, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// RestoreMachine puts back what NoteMachine found. Only when no cluster is left:
// removing a directory would take away what another node has mounted over it.
func RestoreMachine(path string) error {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var before note
	if err := json.Unmarshal(content, &before); err != nil {
		return err
	}
	for name, value := range before.Settings {
		file := filepath.Join("/proc/sys", name)
		if now, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(now)) != value {
			if err := os.WriteFile(file, []byte(value), 0o644); err != nil {
				return err
			}
		}
	}
	for _, directory := range before.Made {
		os.Remove(directory) // fails, rightly, if somebody else uses it by now
	}
	return os.Remove(path)
}
