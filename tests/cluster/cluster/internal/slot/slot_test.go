package slot

import (
	"fmt"
	"sync"
	"testing"
)

func always(int) bool { return true }

func TestAClaimIsKeptAndFollowsFromTheID(t *testing.T) {
	registry := Registry{Dir: t.TempDir()}
	first, err := registry.Claim(Claim{ID: "a"}, always)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := registry.Claim(Claim{ID: "a"}, func(int) bool { return false })
	if again.Slot != first.Slot {
		t.Errorf("slot changed from %d to %d", first.Slot, again.Slot)
	}
	elsewhere, _ := Registry{Dir: t.TempDir()}.Claim(Claim{ID: "a"}, always)
	if elsewhere.Slot != first.Slot {
		t.Error("the first choice does not follow from the id")
	}
}

func TestClaimsAtOnceGetDifferentSlots(t *testing.T) {
	registry := Registry{Dir: t.TempDir()}
	var wait sync.WaitGroup
	var mutex sync.Mutex
	seen := map[int]string{}
	for i := range Count {
		wait.Go(func() {
			id := fmt.Sprint("cluster-", i)
			claim, err := registry.Claim(Claim{ID: id}, always)
			mutex.Lock()
			defer mutex.Unlock()
			if other, taken := seen[claim.Slot]; taken || err != nil {
				t.Errorf("%s: slot %d, also of %q, %v", id, claim.Slot, other, err)
			}
			seen[claim.Slot] = id
		})
	}
	wait.Wait()
	if _, err := registry.Claim(Claim{ID: "one too many"}, always); err != ErrNone {
		t.Errorf("got %v", err)
	}
}

func TestUnusableSlotsArePassedOver(t *testing.T) {
	registry := Registry{Dir: t.TempDir()}
	claim, err := registry.Claim(Claim{ID: "a"}, func(slot int) bool { return slot == 7 })
	if err != nil || claim.Slot != 7 {
		t.Errorf("got %+v, %v", claim, err)
	}
}

func TestReleaseTellsTheLast(t *testing.T) {
	registry := Registry{Dir: t.TempDir()}
	a, _ := registry.Claim(Claim{ID: "a"}, always)
	b, _ := registry.Claim(Claim{ID: "b"}, always)
	last := 0
	count := func() error { last++; return nil }
	if err := registry.Release(a, count); err != nil || last != 0 {
		t.Error("not the last", err)
	}
	if err := registry.Release(b, count); err != nil || last != 1 {
		t.Error("the last", err)
	}
	if _, found, _ := registry.Find("a"); found {
		t.Error("still there")
	}
}
