package lock

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestOnlyOneHolderEvenWhenTheFileIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "lock")
	var wait sync.WaitGroup
	holders := 0
	for i := range 50 {
		wait.Go(func() {
			held, err := Acquire(path)
			if err != nil {
				t.Error(err)
				return
			}
			holders++ // the race detector and the check below see a second holder
			if holders != 1 {
				t.Errorf("%d holders", holders)
			}
			holders--
			if i%2 == 0 {
				held.Remove()
			} else {
				held.Release()
			}
		})
	}
	wait.Wait()
}

func TestRemoveLeavesNothing(t *testing.T) {
	root := t.TempDir()
	held, err := Acquire(filepath.Join(root, "run", "locks", "x"))
	if err != nil {
		t.Fatal(err)
	}
	held.Remove()
	if left, _ := os.ReadDir(root); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}
