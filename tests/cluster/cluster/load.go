// The command that brings images into a cluster.

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"tetrarch.dev/tests/cluster/internal/foreign"
	"tetrarch.dev/tests/cluster/internal/oci"
)

type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

var _ flag.Value = (*list)(nil)

func load(arguments []string) error {
	set, name := flags("load")
	image := set.String("image", "", "name of the image, as pods say it")
	binary := set.String("binary", "", "program to put into it")
	entrypoint := set.String("entrypoint", "", "where the program is in the image (default /<its name>)")
	user := set.String("user", oci.NonRoot, "user it runs as")
	archive := set.String("tar", "", "image archive to load as it is")
	var files, env list
	set.Var(&files, "file", "SRC:DST, a further file (repeatable)")
	set.Var(&env, "env", "KEY=VALUE (repeatable)")
	set.Parse(arguments)
	if *archive == "" {
		if *image == "" || *binary == "" {
			return errors.New("load needs --image and --binary, or --tar")
		}
		if *entrypoint == "" {
			*entrypoint = "/" + filepath.Base(*binary)
		}
	}
	if other := foreign.Detect(); other != nil {
		return loadForeign(other, *name, *archive, func() (*oci.Image, error) {
			return describe(*image, *binary, *entrypoint, *user, files, env)
		})
	}
	cluster, err := open(*name)
	if err != nil {
		return err
	}
	if *archive != "" {
		return cluster.LoadArchive(*archive)
	}
	described, err := describe(*image, *binary, *entrypoint, *user, files, env)
	if err != nil {
		return err
	}
	digest, loaded, err := cluster.Load(described)
	if err != nil {
		return err
	}
	if loaded {
		fmt.Fprintf(os.Stderr, "loaded %s (%s)\n", *image, digest)
	} else {
		fmt.Fprintf(os.Stderr, "%s is already loaded (%s)\n", *image, digest)
	}
	return nil
}

func describe(name, binary, entrypoint, user string, files, env []string) (*oci.Image, error) {
	program, err := oci.Program(binary, path.Clean(entrypoint))
	if err != nil {
		return nil, err
	}
	entries := append(oci.Base(), program...)
	for _, file := range files {
		source, destination, found := strings.Cut(file, ":")
		if !found || !path.IsAbs(destination) {
			return nil, fmt.Errorf("--file %s: expected SRC:/DST", file)
		}
		info, err := os.Stat(source)
		if err != nil {
			return nil, err
		}
		if info.Mode()&0o111 != 0 {
			// A further program needs its libraries too.
			more, err := oci.Program(source, destination)
			if err != nil {
				return nil, err
			}
			entries = append(entries, more...)
			continue
		}
		entries = append(entries, oci.Entry{Path: destination, Mode: 0o644, Source: source})
	}
	return &oci.Image{Name: name, Entrypoint: []string{path.Clean(entrypoint)}, User: user, Env: env, Entries: entries}, nil
}

func loadForeign(other *foreign.Cluster, name, archive string, describe func() (*oci.Image, error)) error {
	if archive != "" {
		return other.LoadArchive(name, archive)
	}
	image, err := describe()
	if err != nil {
		return err
	}
	file, err := os.CreateTemp("", "image-*.tar")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if _, err := image.Write(file); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return other.LoadArchive(name, file.Name())
}
