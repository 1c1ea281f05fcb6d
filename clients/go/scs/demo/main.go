// Command demo is an app whose logins live in sessiond: what the drill of a VM's death runs, and a start for one's own.
//
//	demo --listen 127.0.0.1:4000 --sessiond http://127.0.0.1:8080,http://127.0.0.1:8081
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"strings"

	sessiond "github.com/sessiond/sessiond/clients/go"
	"github.com/sessiond/sessiond/clients/go/scs"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:4000", "where to serve")
	urls := flag.String("sessiond", "http://127.0.0.1:8080", "base URLs of the instances, separated by commas")
	flag.Parse()
	client, err := sessiond.New(sessiond.Config{URLs: strings.Split(*urls, ",")})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(*listen, handler(client)))
}

// handler logs users in and counts what each has done.
func handler(client *sessiond.Client) http.Handler {
	sessions := scs.New(client)
	sessions.ErrorFunc = func(w http.ResponseWriter, _ *http.Request, err error) {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		user := r.FormValue("user")
		if err := sessions.Login(r.Context(), user); err != nil {
			sessions.ErrorFunc(w, r, err)
			return
		}
		sessions.Put(r.Context(), "user", user)
	})
	mux.HandleFunc("POST /add", func(w http.ResponseWriter, r *http.Request) {
		sessions.Put(r.Context(), "count", sessions.GetInt(r.Context(), "count")+1)
	})
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %d", sessions.GetString(r.Context(), "user"), sessions.GetInt(r.Context(), "count"))
	})
	return sessions.LoadAndSave(mux)
}
