package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

type healthcheckCmd struct {
	Listen         string        `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"The --listen address of the service (${default})."`
	TLSCertFile    string        `name:"tls-cert-file" placeholder:"FILE" help:"The --tls-cert-file of the service: it speaks TLS."`
	TLSKeyFile     string        `name:"tls-key-file" placeholder:"FILE" help:"The --tls-key-file of the service."`
	ClientCertFile string        `placeholder:"FILE" help:"A client certificate (PEM), if the service has --tls-client-ca-file and that authority has not issued --tls-cert-file."`
	ClientKeyFile  string        `placeholder:"FILE" help:"The private key of --client-cert-file (PEM)."`
	Timeout        time.Duration `default:"2s" env:"-" help:"How long to wait for the answer (${default})."`
}

// Validate checks what the flags say together. kong calls it.
func (h *healthcheckCmd) Validate() error {
	if (h.ClientCertFile == "") != (h.ClientKeyFile == "") {
		return errors.New("--client-cert-file and --client-key-file need each other")
	}
	return nil
}

// Run asks /livez. If the service listens on all addresses, it asks on the loopback address.
func (h *healthcheckCmd) Run(ctx context.Context) error {
	host, port, err := net.SplitHostPort(h.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme, transport, err := h.transport()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/livez", nil)
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("/livez answered %s", answer.Status)
	}
	return nil
}

// transport speaks TLS if the service does. It shows the client certificate, or without one that of the service. It does
// not verify whom it speaks to: it asks this host whether something serves, and sends no secret.
func (h *healthcheckCmd) transport() (scheme string, t *http.Transport, err error) {
	if h.TLSCertFile == "" && h.ClientCertFile == "" {
		return "http", &http.Transport{}, nil
	}
	config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	if key := cmp.Or(h.ClientKeyFile, h.TLSKeyFile); key != "" {
		pair, err := tls.LoadX509KeyPair(cmp.Or(h.ClientCertFile, h.TLSCertFile), key)
		if err != nil {
			return "", nil, fmt.Errorf("the client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return "https", &http.Transport{TLSClientConfig: config}, nil
}
