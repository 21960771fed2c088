// Package artifact builds and downloads the programs a cluster is made of, once
// per machine: every part lives in the cache under a key made of its inputs.
package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"tetrarch.dev/tests/cluster/internal/lock"
)

// Cache is a directory of finished artifacts. An artifact is a directory that
// appears by one rename, so it is either absent or complete.
type Cache struct{ Root string }

// DefaultRoot is $TETRARCH_CACHE, or tetrarch below the user's cache directory.
func DefaultRoot() (string, error) {
	if root := os.Getenv("TETRARCH_CACHE"); root != "" {
		return filepath.Abs(root)
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache directory (set TETRARCH_CACHE): %w", err)
	}
	return filepath.Join(base, "tetrarch"), nil
}

// Key is the identity of an artifact: a hash over its inputs in order. Each
// input is preceded by its length, so that ("ab","c") and ("a","bc") differ.
func Key(inputs ...string) string {
	sum := sha256.New()
	for _, input := range inputs {
		fmt.Fprintf(sum, "%d:%s", len(input), input)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

// FileInputs reads the files that take part in a key.
func FileInputs(paths ...string) ([]string, error) {
	var inputs []string
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		inputs = append(inputs, filepath.Base(path), string(content))
	}
	return inputs, nil
}

// Dir is where the artifact is, or will be.
func (c Cache) Dir(name, key string) string {
	return filepath.Join(c.Root, "artifacts", name+"-"+key)
}

// Has tells whether the artifact is finished.
func (c Cache) Has(name, key string) bool {
	_, err := os.Stat(c.Dir(name, key))
	return err == nil
}

// Ensure returns the artifact's directory, running make in a scratch directory
// first when it is absent. A second caller waits for the first one.
func (c Cache) Ensure(name, key string, make func(scratch string) error) (string, error) {
	final := c.Dir(name, key)
	if c.Has(name, key) {
		return final, nil
	}
	held, err := lock.Acquire(filepath.Join(c.Root, "locks", name+"-"+key))
	if err != nil {
		return "", err
	}
	defer held.Release()
	if c.Has(name, key) {
		return final, nil
	}
	// Scratch directories of a builder that was killed: we hold the lock, so nobody uses them.
	stale, _ := filepath.Glob(filepath.Join(c.Root, "artifacts", ".scratch-"+name+"-"+key+"-*"))
	for _, dir := range stale {
		os.RemoveAll(dir)
	}
	if err := os.MkdirAll(filepath.Join(c.Root, "artifacts"), 0o755); err != nil {
		return "", err
	}
	scratch, err := os.MkdirTemp(filepath.Join(c.Root, "artifacts"), ".scratch-"+name+"-"+key+"-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	if err := os.Chmod(scratch, 0o755); err != nil {
		return "", err
	}
	if err := make(scratch); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return final, os.Rename(scratch, final)
}

// writeExecutable writes the content of from to path and makes it executable.
func writeExecutable(path string, from io.Reader) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, from); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}
