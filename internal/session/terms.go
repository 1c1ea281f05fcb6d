package session

import "github.com/sessiond/sessiond/internal/cluster"

// Terms are what one request asks of the store, and what it got: the durability of its writes (Durability, Achieved) and
// who may answer its reads (MasterOnly, FromReplica). [Store] says what each of them means for sessions. Nil asks for the
// store's defaults and learns nothing.
//
// The fields are set before the first call. All calls of one request share one value; no two requests do.
type Terms = cluster.Terms
