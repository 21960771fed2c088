// The programs of the machine a node needs beside those of the cache.

package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Stepper shows the progress of a long step.
type Stepper interface {
	Step(title string, work func() error) error
}

var packages = map[string]string{
	"runc": "runc", "ip": "iproute2", "nft": "nftables", "iptables": "iptables", "conntrack": "conntrack",
}

// CNIDirs are the places where distributions put the network plugins.
var CNIDirs = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}

// RequirePrograms installs what is missing where apt can, and names it elsewhere.
func RequirePrograms(progress Stepper) error {
	var missing []string
	for program, name := range packages {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, name)
		}
	}
	if CNIDir() == "" {
		missing = append(missing, "containernetworking-plugins")
	}
	if len(missing) == 0 {
		return nil
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("the node needs these packages (Debian's names): %s", strings.Join(missing, " "))
	}
	return progress.Step("packages "+strings.Join(missing, " "), func() error {
		install := append([]string{"install", "--yes", "--no-install-recommends"}, missing...)
		if exec.Command(apt, install...).Run() == nil {
			return nil
		}
		if err := output(exec.Command(apt, "update")); err != nil {
			return err
		}
		return output(exec.Command(apt, install...))
	})
}

// CNIDir is where the network plugins are, or empty.
func CNIDir() string {
	for _, dir := range CNIDirs {
		if _, err := os.Stat(filepath.Join(dir, "ptp")); err == nil {
			return dir
		}
	}
	return ""
}
