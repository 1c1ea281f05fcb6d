package view

import "testing"

func TestBracketed(t *testing.T) {
	for written, want := range map[string]string{
		"10.0.0.1:6379": "10.0.0.1:6379", "redis-1:6379": "redis-1:6379", "::1:6379": "[::1]:6379", "fd00::a:1:6379": "[fd00::a:1]:6379",
		"[::1]:6379": "[::1]:6379", ":0": ":0", "": "", "host": "host",
	} {
		if got := Bracketed(written); got != want {
			t.Errorf("%q: got %q, want %q", written, got, want)
		}
	}
	nodes, err := parseNodes("07c37dfeb235213a872192d90877d0cd55635b91 fd00::2:6379@16379,redis-2.vm2 myself,master - 0 0 2 connected 0-5460\n")
	if err != nil || nodes[0].Addr != "[fd00::2]:6379" {
		t.Errorf("got %+v, %v", nodes, err)
	}
}
