// Control groups: one subtree per cluster in every hierarchy of the machine.
// Its processes, and whatever they start (the shims of containerd take care to
// be nobody's children), cannot leave it, so it is how `down` finds them all.

package host

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type hierarchy struct {
	root    string
	unified bool
	cpuset  bool
}

// hierarchies are the mounted ones: one with cgroup v2, about a dozen with v1, both with "hybrid".
func hierarchies() ([]hierarchy, error) {
	file, err := os.Open("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var found []hierarchy
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		fields := strings.Fields(scanner.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[1], "/sys/fs/cgroup") {
			continue
		}
		switch fields[2] {
		case "cgroup":
			found = append(found, hierarchy{root: fields[1], cpuset: strings.Contains(","+fields[3]+",", ",cpuset,")})
		case "cgroup2":
			found = append(found, hierarchy{root: fields[1], unified: true})
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no control groups are mounted below /sys/fs/cgroup")
	}
	return found, nil
}

// MakeGroup makes the cluster's subtree.
func MakeGroup(group string) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range all {
		dir := h.root
		for _, element := range strings.Split(group, "/") {
			if h.unified {
				delegate(dir)
			}
			parent := dir
			dir = filepath.Join(dir, element)
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			if !h.cpuset {
				continue
			}
			// A v1 cpuset begins empty, and no process can enter an empty one.
			for _, setting := range []string{"cpuset.cpus", "cpuset.mems"} {
				value, err := os.ReadFile(filepath.Join(parent, setting))
				if err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(dir, setting), value, 0o644); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// delegate lets the children of a v2 group have all its controllers. Those that
// cannot be passed on (a threaded parent, a busy group) are left out.
func delegate(dir string) {
	controllers, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return
	}
	for _, controller := range strings.Fields(string(controllers)) {
		os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
	}
}

// JoinGroup moves this process.
func JoinGroup(group string) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range all {
		if err := os.WriteFile(filepath.Join(h.root, group, "cgroup.procs"), []byte("0"), 0o644); err != nil {
			return fmt.Errorf("join control group: %w", err)
		}
	}
	return nil
}

// Prefix begins the name of every cluster's group.
const Prefix = "tetrarch-"

// ours keeps a mistake (an empty name is the root group!) from ending the machine's own processes.
func ours(group string) error {
	if !strings.HasPrefix(group, Prefix) || strings.Contains(group, "..") {
		return fmt.Errorf("%q is not a control group of a cluster", group)
	}
	return nil
}

// GroupProcesses are the processes of a subtree.
func GroupProcesses(group string) ([]int, error) {
	all, err := hierarchies()
	if err != nil {
		return nil, err
	}
	pids := map[int]bool{}
	for _, h := range all {
		for _, dir := range subtree(filepath.Join(h.root, group)) {
			content, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			for _, field := range strings.Fields(string(content)) {
				if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
					pids[pid] = true
				}
			}
		}
	}
	var sorted []int
	for pid := range pids {
		sorted = append(sorted, pid)
	}
	sort.Ints(sorted)
	return sorted, nil
}

// KillGroup ends every process of the subtree, as often as new ones appear.
func KillGroup(group string, patience time.Duration) error {
	if err := ours(group); err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		// A frozen container (v1 freezer) would take the signal only after it is thawed.
		thaw(group)
		pids, err := GroupProcesses(group)
		if err != nil || len(pids) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v of group %s are still there %s after SIGKILL", pids, group, patience)
		}
		for _, pid := range pids {
			if pid != os.Getpid() {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}

func thaw(group string) {
	all, _ := hierarchies()
	for _, h := range all {
		for _, dir := range subtree(filepath.Join(h.root, group)) {
			if h.unified {
				os.WriteFile(filepath.Join(dir, "cgroup.freeze"), []byte("0"), 0o644)
			} else if filepath.Base(h.root) == "freezer" {
				os.WriteFile(filepath.Join(dir, "freezer.state"), []byte("THAWED"), 0o644)
			}
		}
	}
}

// RemoveGroup removes the empty subtree. The kernel says "busy" for a moment
// after the last process has ended, so it is tried for a while.
func RemoveGroup(group string, patience time.Duration) error {
	if err := ours(group); err != nil {
		return err
	}
	all, err := hierarchies()
	if err != nil {
		return err
	}
	for _, h := range all {
		root := filepath.Join(h.root, group)
		for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			dirs := subtree(root)
			if len(dirs) == 0 {
				break
			}
			var failed error
			for i := len(dirs) - 1; i >= 0; i-- {
				if err := os.Remove(dirs[i]); err != nil && !errors.Is(err, fs.ErrNotExist) {
					failed = err
				}
			}
			if failed != nil && time.Now().After(deadline) {
				return failed
			}
		}
	}
	return nil
}

// subtree lists a directory and those below it, parents first.
func subtree(root string) []string {
	var dirs []string
	filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			dirs = append(dirs, path)
		}
		return nil
	})
	return dirs
}
