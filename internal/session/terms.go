package session

import (
	"context"

	"github.com/sessiond/sessiond/internal/cluster"
)

type termsKey struct{}

// WithTerms puts a request's terms in the context of the calls it makes.
func WithTerms(ctx context.Context, t *cluster.Terms) context.Context {
	return context.WithValue(ctx, termsKey{}, t)
}

// TermsOf are the terms of the context's request; nil if it has none.
func TermsOf(ctx context.Context) *cluster.Terms {
	t, _ := ctx.Value(termsKey{}).(*cluster.Terms)
	return t
}
