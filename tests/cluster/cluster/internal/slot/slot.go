// Package slot hands out the numbers that keep clusters of one machine apart:
// ports, address ranges and link names all follow from the number.
package slot

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// Count is how many clusters fit on one machine.
const Count = 32

// ErrNone is the answer when every slot is taken.
var ErrNone = errors.New("all cluster slots of this machine are taken: run `cluster.sh down --all`")

// Claim says who has a slot. It is all that `down` needs to find what a cluster left.
type Claim struct {
	Slot  int    `json:"slot"`
	ID    string `json:"id"`    // unique on the machine
	Name  string `json:"name"`  // unique in one checkout
	State string `json:"state"` // the directory of its files
}

// Registry is a directory of claims shared by every checkout on the machine.
type Registry struct{ Dir string }

// Locked runs work while no other process uses the registry. The kernel
// releases the lock when its holder is killed.
func (r Registry) Locked(work func() error) error {
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(r.Dir, "lock"), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	return work()
}

// Claim gives id a slot: the one it has, or else a free one, beginning at a
// number that follows from id. usable is asked about slots nobody has claimed
// (their ports may be taken by a stranger).
func (r Registry) Claim(claim Claim, usable func(slot int) bool) (Claim, error) {
	err := r.Locked(func() error {
		claims, err := r.List()
		if err != nil {
			return err
		}
		taken := map[int]bool{}
		for _, other := range claims {
			if other.ID == claim.ID {
				claim.Slot = other.Slot
				return r.write(claim)
			}
			taken[other.Slot] = true
		}
		chosen, err := choose(claim.ID, func(slot int) bool { return !taken[slot] && usable(slot) })
		if err != nil {
			return err
		}
		claim.Slot = chosen
		return r.write(claim)
	})
	return claim, err
}

func choose(id string, free func(int) bool) (int, error) {
	sum := fnv.New32a()
	sum.Write([]byte(id))
	first := int(sum.Sum32() % Count)
	for i := range Count {
		if slot := (first + i) % Count; free(slot) {
			return slot, nil
		}
	}
	return 0, ErrNone
}

// List is every claim on the machine.
func (r Registry) List() ([]Claim, error) {
	files, err := filepath.Glob(filepath.Join(r.Dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var claims []Claim
	for _, file := range files {
		content, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var claim Claim
		if err := json.Unmarshal(content, &claim); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		claims = append(claims, claim)
	}
	return claims, nil
}

// Find is the claim of id, if there is one.
func (r Registry) Find(id string) (Claim, bool, error) {
	claims, err := r.List()
	for _, claim := range claims {
		if claim.ID == id {
			return claim, true, err
		}
	}
	return Claim{}, false, err
}

// Release gives the slot back and then, while the registry is still locked and
// if this was the last claim, runs last.
func (r Registry) Release(claim Claim, last func() error) error {
	return r.Locked(func() error {
		if err := os.Remove(r.file(claim.Slot)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		claims, err := r.List()
		if err != nil || len(claims) > 0 {
			return err
		}
		return last()
	})
}

func (r Registry) file(slot int) string {
	return filepath.Join(r.Dir, strconv.Itoa(slot)+".json")
}

func (r Registry) write(claim Claim) error {
	content, err := json.Marshal(claim)
	if err != nil {
		return err
	}
	scratch := r.file(claim.Slot) + ".new"
	if err := os.WriteFile(scratch, content, 0o644); err != nil {
		return err
	}
	return os.Rename(scratch, r.file(claim.Slot))
}
