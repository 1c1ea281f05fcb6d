module github.com/sessiond/sessiond/clients/go/gorilla

go 1.24.0

require (
	github.com/gorilla/sessions v1.4.0
	github.com/sessiond/sessiond/clients/go v0.0.0
)

require github.com/gorilla/securecookie v1.1.2 // indirect

replace github.com/sessiond/sessiond/clients/go => ../
