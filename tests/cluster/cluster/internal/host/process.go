// Package host is everything a cluster changes on the machine it runs on:
// processes, control groups, namespaces, links and kernel settings.
package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process identifies a process for good: a process number alone is given to
// strangers after its first owner has gone.
type Process struct {
	Pid   int    `json:"pid"`
	Start string `json:"start"` // clock ticks since boot, of /proc/PID/stat
	Boot  string `json:"boot"`
}

// Identify is the process that has this number now.
func Identify(pid int) (Process, error) {
	start, state, err := startTime(pid)
	if err != nil {
		return Process{}, err
	}
	if state == "Z" {
		return Process{}, fmt.Errorf("process %d has ended", pid)
	}
	return Process{Pid: pid, Start: start, Boot: bootID()}, nil
}

// Alive tells whether it still runs (and is no zombie).
func (p Process) Alive() bool {
	now, err := Identify(p.Pid)
	return err == nil && now == p
}

// Signal sends to this process and never to a successor of its number.
func (p Process) Signal(signal syscall.Signal) error {
	if !p.Alive() {
		return os.ErrProcessDone
	}
	return syscall.Kill(p.Pid, signal)
}

// Kill ends it and waits until it is gone.
func (p Process) Kill(patience time.Duration) error {
	if err := p.Signal(syscall.SIGKILL); errors.Is(err, os.ErrProcessDone) {
		return nil
	} else if err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); p.Alive(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d is still there %s after SIGKILL", p.Pid, patience)
		}
	}
	return nil
}

// startTime reads fields 3 and 22 of /proc/PID/stat. The second field is the
// program's name, which may itself hold spaces and parentheses.
func startTime(pid int) (start, state string, err error) {
	content, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", "", err
	}
	_, rest, _ := cutLast(string(content), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return "", "", fmt.Errorf("/proc/%d/stat: unexpected form", pid)
	}
	return fields[19], fields[0], nil
}

func cutLast(text, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(text, separator); i >= 0 {
		return text[:i], text[i+len(separator):], true
	}
	return text, "", false
}

func bootID() string {
	content, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(content))
}

// WriteRecord stores the process so that a later run finds it.
func WriteRecord(path string, process Process) error {
	return writeJSON(path, process)
}

// ReadRecord reads what WriteRecord stored.
func ReadRecord(path string) (Process, error) {
	var process Process
	content, err := os.ReadFile(path)
	if err != nil {
		return process, err
	}
	return process, json.Unmarshal(content, &process)
}

// Records are the recorded processes of a directory, by name.
func Records(dir string) (map[string]Process, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	records := map[string]Process{}
	for _, file := range files {
		process, err := ReadRecord(file)
		if err != nil {
			continue // half a record cannot exist (renamed into place); it was just removed
		}
		records[strings.TrimSuffix(filepath.Base(file), ".json")] = process
	}
	return records, nil
}

func writeJSON(path string, value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	scratch := path + ".new"
	if err := os.WriteFile(scratch, content, 0o644); err != nil {
		return err
	}
	return os.Rename(scratch, path)
}
