package scs_test

import (
	"io"
	"log"
	"net/http"

	sessiond "github.com/sessiond/sessiond/clients/go"
	"github.com/sessiond/sessiond/clients/go/scs"
)

// An app with a login, a list of devices, and "log out everywhere".
func Example() {
	client, err := sessiond.New(sessiond.Config{URLs: []string{"http://sessiond-1:8080", "http://sessiond-2:8080"}, Key: "the API key"})
	if err != nil {
		log.Fatal(err)
	}
	sessions := scs.New(client)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		user := r.FormValue("user") // once the password was checked
		if err := sessions.Login(r.Context(), user); err != nil {
			sessions.ErrorFunc(w, r, err)
			return
		}
		sessions.Put(r.Context(), "user", user)
	})
	mux.HandleFunc("GET /devices", func(w http.ResponseWriter, r *http.Request) {
		for s, err := range client.List(r.Context(), sessions.GetString(r.Context(), "user")) {
			if err != nil {
				sessions.ErrorFunc(w, r, err)
				return
			}
			io.WriteString(w, s.Handle+" since "+s.CreatedAt.String()+"\n")
		}
	})
	mux.HandleFunc("POST /log-out-everywhere", func(w http.ResponseWriter, r *http.Request) {
		if _, err := client.RevokeUser(r.Context(), sessions.GetString(r.Context(), "user"), ""); err != nil {
			sessions.ErrorFunc(w, r, err)
		}
	})
	log.Fatal(http.ListenAndServe(":4000", sessions.LoadAndSave(mux)))
}
