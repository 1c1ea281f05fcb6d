package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/sessiond/sessiond/internal/reread"
)

// A keyPair is a certificate with its chain and its private key, in two PEM files that may change.
type keyPair = reread.Value[*tls.Certificate]

// loadKeyPair reads a certificate and its key. flag names the flag that gave them.
func loadKeyPair(log *slog.Logger, flag, cert, key string) (*keyPair, error) {
	return reread.New(log, func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		return &pair, nil
	}, cert, key)
}

// loadPool reads the certificates of the authorities to trust. flag names the flag that gave them.
func loadPool(log *slog.Logger, flag, file string) (*reread.Value[*x509.CertPool], error) {
	return reread.New(log, func() (*x509.CertPool, error) {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: no certificate in %s", flag, file)
		}
		return pool, nil
	}, file)
}

// tlsFlags say how the service speaks TLS.
type tlsFlags struct {
	TLSCertFile     string `name:"tls-cert-file" placeholder:"FILE" help:"Serve HTTPS with this certificate and its chain (PEM); read again when it changes."`
	TLSKeyFile      string `name:"tls-key-file" placeholder:"FILE" help:"The private key of --tls-cert-file (PEM)."`
	TLSClientCAFile string `name:"tls-client-ca-file" placeholder:"FILE" help:"Let only callers in whose client certificate is from one of these authorities (PEM). The key file can give a certificate the rights of an API key."`
}

// Validate checks what the flags say together. kong calls it.
func (f *tlsFlags) Validate() error {
	if (f.TLSCertFile == "") != (f.TLSKeyFile == "") {
		return errors.New("--tls-cert-file and --tls-key-file need each other")
	}
	if f.TLSClientCAFile != "" && !f.on() {
		return errors.New("--tls-client-ca-file needs --tls-cert-file and --tls-key-file")
	}
	return nil
}

// on reports whether the service speaks TLS.
func (f *tlsFlags) on() bool { return f.TLSCertFile != "" }

// server returns the configuration of the listener, which follows the files; nil for plain HTTP.
func (f *tlsFlags) server(log *slog.Logger) (*tls.Config, error) {
	if !f.on() {
		return nil, nil
	}
	pair, err := loadKeyPair(log, "--tls-cert-file", f.TLSCertFile, f.TLSKeyFile)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.Get(), nil },
	}
	if f.TLSClientCAFile == "" {
		return config, nil
	}
	authorities, err := loadPool(log, "--tls-client-ca-file", f.TLSClientCAFile)
	if err != nil {
		return nil, err
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	mutual := config.Clone()
	mutual.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := config.Clone()
		now.ClientCAs = authorities.Get()
		return now, nil
	}
	return mutual, nil
}
