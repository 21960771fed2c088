package oci

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func sample() *Image {
	return &Image{
		Name:       "tetrarch/operator:dev",
		Entrypoint: []string{"/operator"},
		User:       NonRoot,
		Entries: []Entry{
			{Path: "/operator", Mode: 0o755, Content: []byte("program")},
			{Path: "/lib/x/libc.so.6", Mode: 0o755, Content: []byte("library")},
			{Path: "/tmp", Dir: true, Mode: 0o777 | os.ModeSticky},
		},
	}
}

func read(t *testing.T, archive []byte) map[string]*tar.Header {
	t.Helper()
	files := map[string]*tar.Header{}
	for reader := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := reader.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, _ := io.ReadAll(reader)
		header.PAXRecords = map[string]string{"content": string(content)}
		files[header.Name] = header
	}
}

func TestTheSameFilesGiveTheSameDigest(t *testing.T) {
	var first, second bytes.Buffer
	a, errA := sample().Write(&first)
	b, errB := sample().Write(&second)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if a != b || !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two writes differ")
	}
	changed := sample()
	changed.Entries[0].Content = []byte("other")
	if c, _ := changed.Write(io.Discard); c == a {
		t.Error("different content has the same digest")
	}
}

func TestLayoutNamesTheImageAndRefersToItsBlobs(t *testing.T) {
	var out bytes.Buffer
	digest, err := sample().Write(&out)
	if err != nil {
		t.Fatal(err)
	}
	files := read(t, out.Bytes())
	var index struct{ Manifests []descriptor }
	if err := json.Unmarshal([]byte(files["index.json"].PAXRecords["content"]), &index); err != nil {
		t.Fatal(err)
	}
	if index.Manifests[0].Digest != digest || index.Manifests[0].Annotations["io.containerd.image.name"] != "docker.io/tetrarch/operator:dev" {
		t.Errorf("index: %+v", index)
	}
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	json.Unmarshal([]byte(files["blobs/sha256/"+digest[7:]].PAXRecords["content"]), &manifest)
	for _, blob := range append(manifest.Layers, manifest.Config) {
		if file := files["blobs/sha256/"+blob.Digest[7:]]; file == nil || file.Size != blob.Size {
			t.Errorf("blob %s is missing or has another size", blob.Digest)
		}
	}
}

func TestLayerHasParentsFixedTimesAndStickyTmp(t *testing.T) {
	layer, err := sample().layer()
	if err != nil {
		t.Fatal(err)
	}
	files := read(t, layer)
	for _, name := range []string{"lib/", "lib/x/", "lib/x/libc.so.6", "operator", "tmp/"} {
		if files[name] == nil {
			t.Fatalf("no %s in the layer", name)
		}
		if !files[name].ModTime.Equal(epoch) {
			t.Errorf("%s has time %s", name, files[name].ModTime)
		}
	}
	if files["tmp/"].Mode != 0o1777 {
		t.Errorf("/tmp has mode %o", files["tmp/"].Mode)
	}
}

func TestNormalize(t *testing.T) {
	for name, want := range map[string]string{
		"nginx":                 "docker.io/library/nginx:latest",
		"tetrarch/operator:dev": "docker.io/tetrarch/operator:dev",
		"ghcr.io/a/b":           "ghcr.io/a/b:latest",
		"localhost:5000/a:1":    "localhost:5000/a:1",
		"localhost/a":           "localhost/a:latest",
	} {
		if got := Normalize(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestParseLibraries(t *testing.T) {
	got, err := parseLibraries("\tlinux-vdso.so.1 (0x7ffd)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x7f)\n\t/lib64/ld-linux-x86-64.so.2 (0x7f)\n")
	want := []string{"/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := parseLibraries("\tlibssl.so.3 => not found\n"); err == nil {
		t.Error("a missing library is no error")
	}
}

func TestProgramOfThisMachineCarriesItsLoader(t *testing.T) {
	program, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Skip(err)
	}
	entries, err := Program(program, "/sh")
	if err != nil || len(entries) < 2 {
		t.Errorf("got %v, %v", entries, err)
	}
}
