package main

import (
	"net"
	"net/http"
	"time"

	"github.com/sessiond/sessiond/loadtest/stock"
)

// A control serves the plain go-redis handler on a loopback port of this process.
type control struct {
	url     string
	handler *stock.Handler
	server  *http.Server
}

func startControl(cfg stock.Config) (*control, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &control{url: "http://" + listener.Addr().String(), handler: stock.New(cfg)}
	c.server = &http.Server{Handler: c.handler, ReadHeaderTimeout: 10 * time.Second}
	go c.server.Serve(listener) // ends with close
	return c, nil
}

func (c *control) close() {
	c.server.Close()
	c.handler.Close()
}
