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

	"tetrarch.dev/tests/cluster/internal/lock"
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

func (r Registry) acquire() (*lock.Lock, error) {
	return lock.Acquire(filepath.Join(r.Dir, "lock"))
}

// Claim gives id a slot: the one it has, or else a free one, beginning at a
// number that follows from id. usable is asked about slots nobody has claimed
// (their ports may be taken by a stranger).
func (r Registry) Claim(claim Claim, usable func(slot int) bool) (Claim, error) {
	held, err := r.acquire()
	if err != nil {
		return claim, err
	}
	defer held.Release()
	claims, err := r.List()
	if err != nil {
		return claim, err
	}
	taken := map[int]bool{}
	for _, other := range claims {
		if other.ID == claim.ID {
			claim.Slot = other.Slot
			return claim, r.write(claim)
		}
		taken[other.Slot] = true
	}
	claim.Slot, err = choose(claim.ID, func(slot int) bool { return !taken[slot] && usable(slot) })
	if err != nil {
		return claim, err
	}
	return claim, r.write(claim)
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

// Release gives the slot back. If it was the last one, last runs while the
// registry is still locked, and the registry goes too.
func (r Registry) Release(claim Claim, last func() error) error {
	held, err := r.acquire()
	if err != nil {
		return err
	}
	if err := os.Remove(r.file(claim.Slot)); err != nil && !errors.Is(err, os.ErrNotExist) {
		held.Release()
		return err
	}
	claims, err := r.List()
	if err != nil || len(claims) > 0 {
		held.Release()
		return err
	}
	if err := last(); err != nil {
		held.Release()
		return err
	}
	held.Remove()
	return nil
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
