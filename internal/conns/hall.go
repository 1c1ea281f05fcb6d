package conns

import (
	"container/list"
	"net"
	"net/netip"
	"time"
)

// A conn is a connection that was admitted. Gate.mu guards its hall, its places and its end.
type conn struct {
	net.Conn
	gate    *Gate
	address netip.Prefix
	hall    *hall            // where it has a place; nil once it was closed
	silent  [2]*list.Element // its places among the silent of the hall and of its address; nil while it is not silent
	end     *time.Timer      // closes a connection for probes; nil for others
}

// Close gives the place back.
func (c *conn) Close() error {
	c.gate.mu.Lock()
	if c.end != nil {
		c.end.Stop()
	}
	c.hall.remove(c)
	c.gate.mu.Unlock()
	return c.Conn.Close()
}

// A hall holds connections, up to one limit in all and another for each address.
type hall struct {
	all  room
	each int // the limit of each address
	by   map[netip.Prefix]*room
}

// A room holds connections up to a limit.
type room struct {
	limit, taken int
	silent       list.List // of *conn, the one that has been silent for the longest first
}

func newHall(all, each int) hall {
	return hall{all: room{limit: all}, each: each, by: map[netip.Prefix]*room{}}
}

// enter takes a place for a connection, if need be that of a silent one, which is to be closed: one of the same address if the
// address is at its limit.
func (h *hall) enter(c *conn) (closed *conn, ok bool) {
	own := h.by[c.address]
	if own == nil {
		own = &room{limit: h.each}
	}
	for _, r := range []*room{own, &h.all} {
		if r.taken < r.limit {
			continue
		}
		if closed = r.longestSilent(); closed == nil {
			return nil, false
		}
		h.remove(closed)
	}
	h.by[c.address] = own // here, because it may have been empty in between
	c.hall = h
	h.all.taken++
	own.taken++
	c.fallSilent()
	return closed, true
}

func (r *room) longestSilent() *conn {
	if first := r.silent.Front(); first != nil {
		return first.Value.(*conn)
	}
	return nil
}

// remove frees a connection's place. It does nothing if that was done before.
func (h *hall) remove(c *conn) {
	if c.hall == nil {
		return
	}
	c.speak()
	c.hall = nil
	own := h.by[c.address]
	h.all.taken--
	if own.taken--; own.taken == 0 {
		delete(h.by, c.address)
	}
}

// fallSilent enters the connection among the silent ones, unless it has lost its place.
func (c *conn) fallSilent() {
	if c.hall != nil && c.silent[0] == nil {
		c.silent = [2]*list.Element{c.hall.all.silent.PushBack(c), c.hall.by[c.address].silent.PushBack(c)}
	}
}

// speak takes the connection from the silent ones.
func (c *conn) speak() {
	if c.silent[0] != nil {
		c.hall.all.silent.Remove(c.silent[0])
		c.hall.by[c.address].silent.Remove(c.silent[1])
		c.silent = [2]*list.Element{}
	}
}

// AddressOf is what the limits take for one address: an IPv4 address, a /64 of IPv6, since a host has as many addresses in it as it
// likes, or what stands for all remote addresses (host:port) that are neither.
func AddressOf(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip, bits := at.Addr().Unmap().WithZone(""), 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // fails only for other numbers of bits
	return p
}
