// Package lock is mutual exclusion between processes by files. The kernel
// releases a lock when its holder dies, however it dies.
package lock

import (
	"os"
	"path/filepath"
	"syscall"
)

// Lock is held until Release.
type Lock struct{ file *os.File }

// Acquire waits for the lock.
func Acquire(path string) (*Lock, error) {
	for attempt := 0; ; attempt++ {
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		var file *os.File
		if err == nil {
			file, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o644)
		}
		if (os.IsNotExist(err) || os.IsExist(err)) && attempt < 1000 {
			continue // the directory is just being removed or made by somebody else
		}
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
			file.Close()
			return nil, err
		}
		// While we waited its holder may have removed the file: then we hold a lock nobody else will ever see.
		held, errHeld := file.Stat()
		named, errNamed := os.Stat(path)
		if errHeld == nil && errNamed == nil && os.SameFile(held, named) {
			return &Lock{file}, nil
		}
		file.Close()
	}
}

// File can be passed to a child, which then holds the lock too until it ends or
// closes it: so nobody takes over while a child of a killed parent is half started.
func (l *Lock) File() *os.File { return l.file }

// Release gives the lock up; the file stays.
func (l *Lock) Release() { l.file.Close() }

// Remove gives the lock up and removes its file and, if they are empty, up to
// two directories above it.
func (l *Lock) Remove() {
	path := l.file.Name()
	os.Remove(path)
	if os.Remove(filepath.Dir(path)) == nil {
		os.Remove(filepath.Dir(filepath.Dir(path)))
	}
	l.file.Close()
}
