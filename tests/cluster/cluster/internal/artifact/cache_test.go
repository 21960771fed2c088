package artifact

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

func TestKeyDependsOnEveryInputAndItsBounds(t *testing.T) {
	if Key("ab", "c") == Key("a", "bc") {
		t.Error("inputs of different bounds have one key")
	}
	if Key("a", "b") == Key("b", "a") {
		t.Error("the order of the inputs does not matter")
	}
	if Key("a") != Key("a") || len(Key("a")) != 16 {
		t.Error("a key is not stable")
	}
}

func TestEnsureMakesOnceForManyCallers(t *testing.T) {
	cache := Cache{Root: t.TempDir()}
	var made atomic.Int32
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			_, err := cache.Ensure("part", "key", func(scratch string) error {
				made.Add(1)
				return os.WriteFile(filepath.Join(scratch, "program"), []byte("x"), 0o755)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	if made.Load() != 1 {
		t.Errorf("made %d times", made.Load())
	}
	if _, err := os.Stat(filepath.Join(cache.Dir("part", "key"), "program")); err != nil {
		t.Error(err)
	}
}

func TestEnsureLeavesNothingOfAFailure(t *testing.T) {
	cache := Cache{Root: t.TempDir()}
	_, err := cache.Ensure("part", "key", func(scratch string) error {
		os.WriteFile(filepath.Join(scratch, "half"), nil, 0o644)
		return errors.New("no")
	})
	if err == nil || cache.Has("part", "key") {
		t.Error("a failed part is in the cache")
	}
	left, _ := os.ReadDir(filepath.Join(cache.Root, "artifacts"))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestEnsureRemovesTheScratchOfAKilledBuilder(t *testing.T) {
	cache := Cache{Root: t.TempDir()}
	stale := filepath.Join(cache.Root, "artifacts", ".scratch-part-key-123")
	if err := os.MkdirAll(stale, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := cache.Ensure("part", "key", func(string) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Error("the scratch directory of a killed builder is still there")
	}
}

func TestRelevantLinesDropsFetchNoise(t *testing.T) {
	log := "+ go build\ngo: downloading a v1\nmain.go:1: broken\n\ngo: downloading b v1\n"
	if got := relevantLines(log, 5); got != "    main.go:1: broken" {
		t.Errorf("got %q", got)
	}
}
