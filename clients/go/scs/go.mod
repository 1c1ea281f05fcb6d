module github.com/sessiond/sessiond/clients/go/scs

go 1.24.0

require (
	github.com/alexedwards/scs/v2 v2.9.0
	github.com/sessiond/sessiond/clients/go v0.0.0
)

replace github.com/sessiond/sessiond/clients/go => ../
