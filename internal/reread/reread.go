// Package reread keeps what is made from files up to date while the files change: certificates, passwords. A program that
// uses it needs no restart for a new certificate.
package reread

import (
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// interval is how often the files are looked at, at most.
const interval = time.Second

// A Value is made from files, and made anew once one of them has changed. Its methods may be called concurrently.
type Value[T any] struct {
	files []string
	make  func() (T, error)
	log   *slog.Logger

	mu     sync.Mutex
	value  T         // the last one that could be made; guarded by mu
	looks  []look    // of each file when value was made; guarded by mu
	looked time.Time // guarded by mu
	wrong  string    // why the files make no value now, as it was logged; empty if they do; guarded by mu
}

// A look is what shows that a file has changed, or that a link leads to another one.
type look struct {
	info os.FileInfo // nil if there is no such file
}

func (l look) same(o look) bool {
	if l.info == nil || o.info == nil {
		return l.info == o.info
	}
	return os.SameFile(l.info, o.info) && l.info.Size() == o.info.Size() && l.info.ModTime().Equal(o.info.ModTime())
}

// New makes a value from files. It fails if that fails. The errors of make are logged, so they must hold no secret.
func New[T any](log *slog.Logger, make func() (T, error), files ...string) (*Value[T], error) {
	v := &Value[T]{files: files, make: make, log: log}
	v.looked, v.looks = time.Now(), v.look()
	var err error
	v.value, err = make()
	return v, err
}

// Get returns the value. It looks at the files at most once a second. If they have changed and make no value, it keeps the
// one that it has, and logs why, once.
func (v *Value[T]) Get() T {
	v.mu.Lock()
	defer v.mu.Unlock()
	if time.Since(v.looked) < interval {
		return v.value
	}
	v.looked = time.Now()
	looks := v.look() // before the files are read: a change in between is seen the next time
	if v.wrong == "" && slices.EqualFunc(v.looks, looks, look.same) {
		return v.value
	}
	fresh, err := v.make()
	switch {
	case err == nil:
		v.value, v.looks, v.wrong = fresh, looks, ""
		v.log.Info("files have changed and were read again", "files", strings.Join(v.files, " "))
	case err.Error() != v.wrong:
		v.wrong = err.Error()
		v.log.Error("files have changed and cannot be used; keeping what they held before", "files", strings.Join(v.files, " "), "error", err)
	}
	return v.value
}

func (v *Value[T]) look() []look {
	looks := make([]look, len(v.files))
	for i, file := range v.files {
		if info, err := os.Stat(file); err == nil {
			looks[i].info = info
		}
	}
	return looks
}
