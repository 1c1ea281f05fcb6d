package cluster

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/sessiond/sessiond/internal/cluster/peer"
)

// A span traces one read or write as a child of the caller's span. It is nil if the caller is not traced; its methods
// then do nothing.
type span struct{ trace.Span }

// startSpan starts a span with the tracer provider of the caller's span, so that none needs to be passed down.
func startSpan(ctx context.Context, name string, slot int) *span {
	caller := trace.SpanFromContext(ctx)
	if !caller.IsRecording() {
		return nil
	}
	tracer := caller.TracerProvider().Tracer("github.com/sessiond/sessiond/internal/cluster")
	_, started := tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("db.system.name", "redis"), attribute.Int("sessiond.slot", slot)))
	return &span{started}
}

// sent records that the command is sent to a node as a master or as a replica.
func (s *span) sent(p *peer.Peer, role string) {
	if s != nil {
		s.AddEvent("sent", trace.WithAttributes(attribute.String("server.address", p.Addr), attribute.String("role", role)))
	}
}

// again records that another round follows. No error of this package contains a key.
func (s *span) again(round int, err error) {
	if s != nil {
		s.AddEvent("again", trace.WithAttributes(attribute.Int("round", round+1), attribute.String("error", err.Error())))
	}
}

func (s *span) end(err error) {
	if s == nil {
		return
	}
	if err != nil {
		s.SetStatus(codes.Error, err.Error())
	}
	s.End()
}
