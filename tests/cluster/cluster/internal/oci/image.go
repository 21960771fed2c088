// Package oci writes container images without an engine: an OCI image layout
// with one reproducible layer, as a tar that `ctr images import` takes.
package oci

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"sort"
	"strings"
	"time"
)

// epoch is the time of everything in an image: the same files give the same digest.
var epoch = time.Unix(0, 0).UTC()

// Entry is a file or directory of the layer.
type Entry struct {
	Path    string // absolute, in the image
	Mode    os.FileMode
	Content []byte // of a file without a Source
	Source  string // of a file: where its content is on this machine
	Dir     bool
}

// Image is what to write.
type Image struct {
	Name       string // as in a pod, for example tetrarch/operator:dev
	Entrypoint []string
	User       string
	Env        []string
	Entries    []Entry
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Write writes the image and returns the digest of its manifest.
func (image *Image) Write(out io.Writer) (string, error) {
	layer, err := image.layer()
	if err != nil {
		return "", err
	}
	blobs := map[string][]byte{}
	layerBlob := addBlob(blobs, "application/vnd.oci.image.layer.v1.tar", layer)
	config, err := json.Marshal(map[string]any{
		"created":      epoch.Format(time.RFC3339),
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config": map[string]any{
			"Entrypoint": image.Entrypoint,
			"User":       image.User,
			"Env":        append([]string{"PATH=/usr/local/bin:/usr/bin:/bin:/"}, image.Env...),
			"WorkingDir": "/",
		},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{layerBlob.Digest}},
	})
	if err != nil {
		return "", err
	}
	const manifestType = "application/vnd.oci.image.manifest.v1+json"
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2,
		"mediaType":     manifestType,
		"config":        addBlob(blobs, "application/vnd.oci.image.config.v1+json", config),
		"layers":        []descriptor{layerBlob},
	})
	if err != nil {
		return "", err
	}
	entry := addBlob(blobs, manifestType, manifest)
	// containerd names the imported image by the first annotation; other importers read the second.
	name := Normalize(image.Name)
	entry.Annotations = map[string]string{
		"io.containerd.image.name":          name,
		"org.opencontainers.image.ref.name": name,
	}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []descriptor{entry}})
	if err != nil {
		return "", err
	}
	blobs["index.json"] = index
	blobs["oci-layout"] = []byte(`{"imageLayoutVersion":"1.0.0"}`)
	return entry.Digest, writeTar(out, blobs)
}

func addBlob(blobs map[string][]byte, mediaType string, content []byte) descriptor {
	sum := fmt.Sprintf("%x", sha256.Sum256(content))
	blobs["blobs/sha256/"+sum] = content
	return descriptor{MediaType: mediaType, Digest: "sha256:" + sum, Size: int64(len(content))}
}

func writeTar(out io.Writer, files map[string][]byte) error {
	archive := tar.NewWriter(out)
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		header := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), ModTime: epoch, Typeflag: tar.TypeReg}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(files[name]); err != nil {
			return err
		}
	}
	return archive.Close()
}

// layer is an uncompressed tar of the entries in the order of their paths, with
// their parent directories. A later entry of the same path wins.
func (image *Image) layer() ([]byte, error) {
	entries := map[string]Entry{}
	for _, entry := range image.Entries {
		for dir := path.Dir(entry.Path); dir != "/"; dir = path.Dir(dir) {
			if _, ok := entries[dir]; !ok {
				entries[dir] = Entry{Path: dir, Dir: true, Mode: 0o755}
			}
		}
		entries[path.Clean(entry.Path)] = entry
	}
	paths := make([]string, 0, len(entries))
	for name := range entries {
		paths = append(paths, name)
	}
	sort.Strings(paths)
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	for _, name := range paths {
		if err := addEntry(archive, entries[name]); err != nil {
			return nil, err
		}
	}
	return layer.Bytes(), archive.Close()
}

func addEntry(archive *tar.Writer, entry Entry) error {
	header := &tar.Header{Name: strings.TrimPrefix(path.Clean(entry.Path), "/"), Mode: unixMode(entry.Mode), ModTime: epoch, Typeflag: tar.TypeReg}
	if entry.Dir {
		header.Typeflag, header.Name = tar.TypeDir, header.Name+"/"
		return archive.WriteHeader(header)
	}
	content := entry.Content
	if entry.Source != "" {
		var err error
		if content, err = os.ReadFile(entry.Source); err != nil {
			return err
		}
	}
	header.Size = int64(len(content))
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(content)
	return err
}

// unixMode keeps the sticky bit, which os.FileMode has elsewhere than tar does.
func unixMode(mode os.FileMode) int64 {
	bits := int64(mode.Perm())
	if mode&os.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}

// Normalize completes an image name as the kubelet's runtime does: without a
// registry host it belongs to docker.io, without a tag it is "latest".
func Normalize(name string) string {
	host, rest, found := strings.Cut(name, "/")
	if !found || (!strings.ContainsAny(host, ".:") && host != "localhost") {
		host, rest = "docker.io", name
		if !found {
			rest = "library/" + name
		}
	}
	if !strings.Contains(rest, "@") && !strings.Contains(path.Base(rest), ":") {
		rest += ":latest"
	}
	return host + "/" + rest
}
