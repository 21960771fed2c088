// Starting programs so that they survive the shell, are recorded before they
// run their first instruction, and are inside the cluster's groups and namespaces.

package host

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
)

// Spec is a program to run.
type Spec struct {
	Args   []string `json:"args"`
	Env    []string `json:"env,omitempty"`
	Log    string   `json:"log,omitempty"`    // standard output and error; empty: inherited
	Record string   `json:"record,omitempty"` // where its Process is written
	Group  string   `json:"group,omitempty"`  // control group, below every hierarchy's root
	Node   int      `json:"node,omitempty"`   // join the namespaces of this process
	Mounts bool     `json:"mounts,omitempty"` // with Node: the mount namespace too, not only the network
	Lock   *os.File `json:"-"`                // held by the new process until it is in its group and recorded
}

// EnterCommand is the hidden subcommand through which every program starts.
const EnterCommand = "enter"

// Start runs the program in the background, detached from this session.
func Start(spec Spec) error {
	command, err := enter(spec)
	if err != nil {
		return err
	}
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if spec.Log != "" {
		if err := os.MkdirAll(filepath.Dir(spec.Log), 0o755); err != nil {
			return err
		}
		log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			return err
		}
		defer log.Close()
		command.Stdout, command.Stderr = log, log
	}
	if err := command.Start(); err != nil {
		return err
	}
	// Reap it should it end before we do; otherwise a dead program looks alive as a zombie.
	go command.Wait()
	return nil
}

// Command is the program to be run in the foreground by the caller.
func Command(spec Spec) (*exec.Cmd, error) { return enter(spec) }

func enter(spec Spec) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	description, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	command := exec.Command(self, EnterCommand, string(description))
	command.ExtraFiles = inherited(spec.Lock)
	return command, nil
}

// inheritedFD is the number under which a child finds the lock it was given.
const inheritedFD = 3

func inherited(lock *os.File) []*os.File {
	if lock == nil {
		return nil
	}
	return []*os.File{lock}
}

// Enter is the other side: it becomes the program.
func Enter(description string) error {
	var spec Spec
	if err := json.Unmarshal([]byte(description), &spec); err != nil {
		return err
	}
	// The group first: from here on `down` finds this process whatever happens.
	if spec.Group != "" {
		if err := JoinGroup(spec.Group); err != nil {
			return err
		}
	}
	if spec.Record != "" {
		self, err := Identify(os.Getpid())
		if err != nil {
			return err
		}
		if err := WriteRecord(spec.Record, self); err != nil {
			return err
		}
	}
	program, err := exec.LookPath(spec.Args[0])
	if err != nil {
		return err
	}
	// Namespaces belong to the thread; execve makes the calling thread the whole process.
	runtime.LockOSThread()
	syscall.CloseOnExec(inheritedFD)
	if spec.Node != 0 {
		if err := joinNamespaces(spec.Node, spec.Mounts); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s: %w", program, syscall.Exec(program, spec.Args, append(os.Environ(), spec.Env...)))
}
