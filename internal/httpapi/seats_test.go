package httpapi

import (
	"net/http"
	"strconv"
	"testing"
)

// One address cannot take every seat, and all together cannot take more than there are. A seat that is left is free again.
func TestSeats(t *testing.T) {
	s := &seats{all: 5, each: 2}
	take := func(addr string) (func(), bool) {
		leave, err := s.take(addressOf(&http.Request{RemoteAddr: addr}))
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
	for i, want := range []bool{true, true, true, false} {
		if _, ok := take("[fd00::" + strconv.Itoa(i+1) + "]:1"); ok != want {
			t.Errorf("seat %d of other addresses: %t", i+1, ok)
		}
	}
	leave[0]()
	if _, ok := take("10.0.0.1:9"); !ok {
		t.Error("a seat that was left is not free")
	}
}
