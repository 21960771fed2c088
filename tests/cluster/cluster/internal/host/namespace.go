// The node: a process that does nothing but hold a network and a mount namespace.
//
// Everything a node does to a machine - links, nft tables, routes, overlay and
// tmpfs mounts - happens in these two and disappears with their last process.
// kube-proxy could not run twice in one network namespace anyway: the name of
// its nft table is fixed.

package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// HoldCommand is the hidden subcommand that is the holding process.
const HoldCommand = "hold"

// Node says where the parts of the node's own file tree come from.
type Node struct {
	Group  string            `json:"group"`
	Record string            `json:"record"`
	Ready  string            `json:"ready"` // appears when the namespaces are prepared
	Log    string            `json:"log"`
	Binds  map[string]string `json:"binds"` // path in the node: directory of this machine
	Fresh  []string          `json:"fresh"` // paths in the node that are empty at first, in memory
	Lock   *os.File          `json:"-"`     // held by the holder until it is in its group and recorded
}

// StartNode starts the holder and returns its process number.
func StartNode(description string, node Node) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	log, err := os.OpenFile(node.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	command := exec.Command(self, HoldCommand, description)
	command.Stdout, command.Stderr = log, log
	command.ExtraFiles = inherited(node.Lock)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	if err := command.Start(); err != nil {
		return 0, fmt.Errorf("cannot make namespaces (root is needed): %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(node.Ready); err == nil {
			return command.Process.Pid, nil
		}
		select {
		case err := <-ended:
			content, _ := os.ReadFile(node.Log)
			return 0, fmt.Errorf("the node's holder ended: %v\n%s", err, content)
		default:
		}
		if time.Now().After(deadline) {
			return 0, errors.New("the node's holder is not ready after 10s")
		}
	}
}

// Hold is the holder: it prepares the namespaces it was started in and waits for its end.
func Hold(node Node) error {
	if err := JoinGroup(node.Group); err != nil {
		return err
	}
	self, err := Identify(os.Getpid())
	if err != nil {
		return err
	}
	if err := WriteRecord(node.Record, self); err != nil {
		return err
	}
	syscall.Close(inheritedFD) // the lock: from here on `down` finds us
	if err := prepareMounts(node); err != nil {
		return err
	}
	if err := prepareKernel(); err != nil {
		return err
	}
	if err := os.WriteFile(node.Ready, nil, 0o644); err != nil {
		return err
	}
	// A hang-up of the terminal must not end the cluster.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT)
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	<-end
	return nil
}

func prepareMounts(node Node) error {
	// Private first, so that nothing of ours reaches the machine; then shared
	// among ourselves, which the kubelet wants for mount propagation into pods.
	for _, kind := range []uintptr{syscall.MS_PRIVATE, syscall.MS_SHARED} {
		if err := syscall.Mount("none", "/", "", syscall.MS_REC|kind, ""); err != nil {
			return fmt.Errorf("propagation of /: %w", err)
		}
	}
	for path, source := range node.Binds {
		if err := os.MkdirAll(source, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount(source, path, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
			return fmt.Errorf("bind %s: %w", path, err)
		}
	}
	for _, path := range node.Fresh {
		if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "mode=0755"); err != nil {
			return fmt.Errorf("tmpfs %s: %w", path, err)
		}
	}
	return nil
}

// prepareKernel turns this network namespace into a router between its pods and the machine.
func prepareKernel() error {
	for name, value := range map[string]string{
		"ip_forward":             "1",
		"conf/all/rp_filter":     "0",
		"conf/default/rp_filter": "0",
	} {
		if err := os.WriteFile(filepath.Join("/proc/sys/net/ipv4", name), []byte(value), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// joinNamespaces moves the calling thread, which must be locked.
func joinNamespaces(pid int, mounts bool) error {
	network, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return err
	}
	defer network.Close()
	if mounts {
		tree, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", pid))
		if err != nil {
			return err
		}
		defer tree.Close()
		// The kernel refuses to change the mount namespace of a thread that shares
		// its working directory with others, as all threads of a Go program do.
		if err := syscall.Unshare(syscall.CLONE_FS); err != nil {
			return fmt.Errorf("unshare fs: %w", err)
		}
		if err := setns(tree, syscall.CLONE_NEWNS); err != nil {
			return fmt.Errorf("join mount namespace: %w", err)
		}
	}
	if err := setns(network, syscall.CLONE_NEWNET); err != nil {
		return fmt.Errorf("join network namespace: %w", err)
	}
	return nil
}

func setns(file *os.File, kind uintptr) error {
	if _, _, errno := syscall.RawSyscall(sysSetns, file.Fd(), kind, 0); errno != 0 {
		return errno
	}
	return nil
}
