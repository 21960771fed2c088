// What clusters can leave on a machine, as text lines, to compare before with after.

package host

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
)

// Snapshot lists mounts, links, routes, nft tables, control groups, network
// namespaces, kernel settings, directories and running cluster programs.
func Snapshot(directories []string) []string {
	var lines []string
	add := func(kind, text string) {
		for _, line := range strings.Split(text, "\n") {
			if line = strings.TrimSpace(line); line != "" {
				lines = append(lines, kind+": "+line)
			}
		}
	}
	if content, err := os.ReadFile("/proc/self/mounts"); err == nil {
		add("mount", string(content))
	}
	links, _ := filepath.Glob("/sys/class/net/*")
	add("link", strings.Join(links, "\n"))
	for kind, arguments := range map[string][]string{
		"route":    {"ip", "route", "show"},
		"nft":      {"nft", "list", "tables"},
		"iptables": {"iptables-save"},
		"netns":    {"ip", "netns", "list"},
	} {
		if content, err := exec.Command(arguments[0], arguments[1:]...).Output(); err == nil {
			add(kind, withoutComments(string(content)))
		}
	}
	filepath.WalkDir("/sys/fs/cgroup", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && strings.Contains(path, "/"+Prefix) {
			add("cgroup", path)
		}
		return nil
	})
	for _, name := range tunables {
		if value, err := os.ReadFile(filepath.Join("/proc/sys", name)); err == nil {
			add("setting", name+"="+strings.TrimSpace(string(value)))
		}
	}
	for _, directory := range directories {
		if _, err := os.Stat(directory); err == nil {
			add("directory", directory)
		}
	}
	add("process", strings.Join(clusterProcesses(), "\n"))
	sort.Strings(lines)
	return lines
}

// Added are the lines of after that before does not have.
func Added(before, after []string) []string {
	counts := map[string]int{}
	for _, line := range before {
		counts[line]++
	}
	var added []string
	for _, line := range after {
		if counts[line]--; counts[line] < 0 {
			added = append(added, line)
		}
	}
	return added
}

func withoutComments(text string) string {
	var kept []string
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "#") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}

// clusterProcesses are those that run a program out of a cache of this tool, and
// those in other network namespaces than ours.
func clusterProcesses() []string {
	own, _ := os.Readlink("/proc/self/ns/net")
	var found []string
	programs, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, link := range programs {
		pid := filepath.Base(filepath.Dir(link))
		if pid == "self" || filepath.Join("/proc", pid) == procSelf() {
			continue
		}
		program, err := os.Readlink(link)
		if err != nil {
			continue
		}
		network, _ := os.Readlink(filepath.Join("/proc", pid, "ns/net"))
		if strings.Contains(program, "/artifacts/") || (network != "" && network != own) {
			found = append(found, pid+" "+program)
		}
	}
	return found
}

func procSelf() string {
	self, _ := os.Readlink("/proc/self")
	return filepath.Join("/proc", self)
}
