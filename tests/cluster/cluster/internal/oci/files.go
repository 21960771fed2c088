// What a dynamically linked program needs around it to run in an empty image.

package oci

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// NonRoot is the user every image runs as by default; the same number as distroless images use.
const NonRoot = "65532"

const (
	passwd = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
	group  = "root:x:0:\nnonroot:x:65532:\nnobody:x:65534:\n"
	// Without it glibc asks neither /etc/hosts nor the resolver in a defined order.
	nsswitch = "passwd: files\ngroup: files\nhosts: files dns\n"
)

var caBundles = []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"}

// Base is the content every image shares: users, name service, roots of trust, a writable /tmp.
func Base() []Entry {
	entries := []Entry{
		{Path: "/tmp", Dir: true, Mode: 0o777 | os.ModeSticky},
		{Path: "/etc/passwd", Mode: 0o644, Content: []byte(passwd)},
		{Path: "/etc/group", Mode: 0o644, Content: []byte(group)},
		{Path: "/etc/nsswitch.conf", Mode: 0o644, Content: []byte(nsswitch)},
	}
	for _, bundle := range caBundles {
		if _, err := os.Stat(bundle); err == nil {
			return append(entries, Entry{Path: "/etc/ssl/certs/ca-certificates.crt", Mode: 0o644, Source: bundle})
		}
	}
	return entries
}

// Program is a program and, if it is linked dynamically, its libraries and loader.
func Program(source, destination string) ([]Entry, error) {
	entries := []Entry{{Path: destination, Mode: 0o755, Source: source}}
	output, err := exec.Command("ldd", source).CombinedOutput()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && strings.Contains(string(output), "not a dynamic executable") {
			return entries, nil
		}
		return nil, fmt.Errorf("ldd %s: %w: %s", source, err, output)
	}
	libraries, err := parseLibraries(string(output))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	for _, library := range libraries {
		// The name asked for is often a link; the image gets the file itself under that name.
		real, err := filepath.EvalSymlinks(library)
		if err != nil {
			return nil, err
		}
		entries = append(entries, Entry{Path: library, Mode: 0o755, Source: real})
	}
	return entries, nil
}

// parseLibraries reads the paths out of ldd's output:
//
//	linux-vdso.so.1 (0x...)                        has no file
//	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)
//	/lib64/ld-linux-x86-64.so.2 (0x...)            is the loader
func parseLibraries(output string) ([]string, error) {
	var libraries []string
	for _, line := range strings.Split(output, "\n") {
		line = strings.TrimSpace(line)
		if strings.Contains(line, "not found") {
			return nil, fmt.Errorf("missing library: %s", line)
		}
		if strings.Contains(line, "statically linked") {
			return nil, nil
		}
		if _, target, found := strings.Cut(line, " => "); found {
			line = target
		}
		if strings.HasPrefix(line, "/") {
			libraries = append(libraries, strings.Fields(line)[0])
		}
	}
	return libraries, nil
}
