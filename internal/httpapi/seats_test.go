package httpapi

import (
	"strconv"
	"testing"

	"github.com/sessiond/sessiond/internal/conns"
)

// One address cannot take every seat, and all together cannot take more than there are. A seat that is left is free again.
func TestSeats(t *testing.T) {
	s := &seats{all: 5, each: 2}
	take := func(addr string) (func(), bool) {
		leave, err := s.take(conns.AddressOf(addr).String())
		return leave, err == nil
	}
	var leave []func()
	for i, want := range []bool{true, true, false, false} {
		left, ok := take("10.0.0.1:" + strconv.Itoa(i))
		if ok != want {
			t.Errorf("seat %d of one address: %t", i+1, ok)
		}
		if ok {
			leave = append(leave, left)
		}
	}
	for host, want := range []bool{true, true, false} {
		left, ok := take("[fd00::" + strconv.Itoa(host+1) + "]:1")
		if ok != want {
			t.Errorf("seat %d of one /64: %t", host+1, ok)
		}
		if ok {
			defer left()
		}
	}
	leave[1]()
	leave = leave[:1]
	for i, want := range []bool{true, true, false} {
		if _, ok := take("[fd00:0:0:" + strconv.Itoa(i+1) + "::1]:1"); ok != want {
			t.Errorf("seat %d of other addresses: %t", i+1, ok)
		}
	}
	leave[0]()
	if _, ok := take("10.0.0.1:9"); !ok {
		t.Error("a seat that was left is not free")
	}
}
