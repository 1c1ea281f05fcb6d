package keys

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/sessiond/sessiond/internal/session"
)

// secretFile is the form of the secret file.
type secretFile struct {
	Secrets []struct {
		ID     string `json:"id"`     // for people; noSecret stands for none
		Secret string `json:"secret"` // base64, with padding
	} `json:"secrets"` // newest first
}

// noSecret is the id of what has no secret: sessions from before there were secrets.
const noSecret = "none"

// LoadSecrets reads the secret file, which docs/security.md describes. ids are those of the secrets, newest first.
func LoadSecrets(path string) (secrets *session.Secrets, ids []string, err error) {
	b, err := ReadPrivate(path)
	if err != nil {
		return nil, nil, err
	}
	if secrets, ids, err = parseSecrets(b); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return secrets, ids, nil
}

func parseSecrets(b []byte) (*session.Secrets, []string, error) {
	var f secretFile
	if err := json.UnmarshalRead(bytes.NewReader(b), &f, json.RejectUnknownMembers(true)); err != nil {
		return nil, nil, err
	}
	var list [][]byte
	var ids []string
	for i, s := range f.Secrets {
		secret, err := base64.StdEncoding.Strict().DecodeString(s.Secret)
		switch {
		case err != nil:
			return nil, nil, fmt.Errorf("secret %d: %w", i+1, err)
		case s.ID == "":
			return nil, nil, fmt.Errorf("secret %d has no id", i+1)
		case (s.ID == noSecret) != (len(secret) == 0):
			return nil, nil, fmt.Errorf("secret %d: the id %q, and no other, stands for no secret", i+1, noSecret)
		case i == 0 && s.ID == noSecret && len(f.Secrets) == 1:
			return nil, nil, errors.New("it holds no secret")
		}
		list, ids = append(list, secret), append(ids, s.ID)
	}
	secrets, err := session.NewSecrets(list...)
	return secrets, ids, err
}
