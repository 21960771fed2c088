// The wire between the machine and a node: one veth pair, two routes, and a
// guard that keeps the API server's port from every other network.

package host

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// Wire describes the connection of one node.
type Wire struct {
	Link    string   // name of the machine's end
	HostIP  string   // the machine's address on it
	NodeIP  string   // the node's address
	Prefix  int      // of both addresses
	Routes  []string // networks behind the node: pods and services
	Guarded int      // port that only this machine and the node may reach
	Table   string   // nft table of the guard
	Lock    *os.File // held by the commands that build it
}

// Connect builds the wire into the network namespace that node holds.
func (w Wire) Connect(node int) error {
	prefix := fmt.Sprintf("/%d", w.Prefix)
	machine := [][]string{
		{"ip", "link", "add", w.Link, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(node)},
		{"ip", "addr", "add", w.HostIP + prefix, "dev", w.Link},
		{"ip", "link", "set", w.Link, "up"},
	}
	// No default route on purpose: pods are told "unreachable" at once instead of hanging.
	inside := [][]string{
		{"ip", "link", "set", "lo", "up"},
		{"ip", "addr", "add", w.NodeIP + prefix, "dev", "eth0"},
		{"ip", "link", "set", "eth0", "up"},
	}
	for _, arguments := range machine {
		if err := w.run(arguments...); err != nil {
			return err
		}
	}
	for _, arguments := range inside {
		if err := runIn(node, arguments); err != nil {
			return err
		}
	}
	// Processes of the machine (the API server calling webhooks, tests) reach pods and services over these.
	for _, route := range w.Routes {
		if err := w.run("ip", "route", "add", route, "via", w.NodeIP, "dev", w.Link); err != nil {
			return err
		}
	}
	return w.guard()
}

// run leaves the lock to the command, lest it acts after we were killed and somebody cleaned up.
func (w Wire) run(arguments ...string) error {
	command := exec.Command(arguments[0], arguments[1:]...)
	command.ExtraFiles = inherited(w.Lock)
	return output(command)
}

// guard: the API server listens on every address, because it must answer on
// 127.0.0.1 and on the wire and takes only one address otherwise.
func (w Wire) guard() error {
	rules := fmt.Sprintf(`table inet %s {
	chain input {
		type filter hook input priority -10; policy accept;
		tcp dport %d iifname != { "lo", %q } drop
	}
}
`, w.Table, w.Guarded, w.Link)
	command := exec.Command("nft", "-f", "-")
	command.Stdin = strings.NewReader(rules)
	command.ExtraFiles = inherited(w.Lock)
	return output(command)
}

// Disconnect removes what Connect made on the machine's side, as far as it is there.
func (w Wire) Disconnect() error {
	var failures []error
	if _, err := os.Stat("/sys/class/net/" + w.Link); err == nil {
		if err := output(exec.Command("ip", "link", "del", w.Link)); err != nil && !strings.Contains(err.Error(), "Cannot find device") {
			failures = append(failures, err)
		}
	}
	if tables, err := exec.Command("nft", "list", "tables", "inet").Output(); err == nil && hasLine(string(tables), "table inet "+w.Table) {
		failures = append(failures, output(exec.Command("nft", "delete", "table", "inet", w.Table)))
	}
	return errors.Join(failures...)
}

func hasLine(text, line string) bool {
	for _, candidate := range strings.Split(text, "\n") {
		if strings.TrimSpace(candidate) == line {
			return true
		}
	}
	return false
}

// runIn runs a command in the node's network namespace.
func runIn(node int, arguments []string) error {
	command, err := Command(Spec{Args: arguments, Node: node})
	if err != nil {
		return err
	}
	return output(command)
}

func output(command *exec.Cmd) error {
	if content, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command.Args, " "), err, strings.TrimSpace(string(content)))
	}
	return nil
}

// UnmountBelow detaches whatever is mounted below dir in this namespace, deepest
// first: nothing should be, but a removal must never go through a mount.
func UnmountBelow(dir string) error {
	content, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	lines := strings.Split(string(content), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		fields := strings.Fields(lines[i])
		if len(fields) > 1 && strings.HasPrefix(fields[1], dir+"/") {
			if err := syscall.Unmount(fields[1], syscall.MNT_DETACH); err != nil {
				return fmt.Errorf("unmount %s: %w", fields[1], err)
			}
		}
	}
	return nil
}
