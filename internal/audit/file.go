package audit

import (
	"io"
	"os"
	"syscall"
)

// File opens a file to append to, which nobody else may read if it is new. "-" stands for stdout, which stays open.
func File(path string, stdout io.Writer) func() (io.WriteCloser, error) {
	return func() (io.WriteCloser, error) {
		if path == "-" {
			return keptOpen{stdout}, nil
		}
		// Not blocking: a FIFO without a reader would keep whoever opens it, which may be the one who handles signals.
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o600)
		if err != nil {
			return nil, err
		}
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			return struct{ io.WriteCloser }{f}, nil // a pipe or a device: it has nothing to sync
		}
		return f, nil
	}
}

type keptOpen struct{ io.Writer }

func (keptOpen) Close() error { return nil }
