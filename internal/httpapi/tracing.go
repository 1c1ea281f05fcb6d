package httpapi

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// A tracer makes one span per request, following OpenTelemetry's conventions for HTTP servers. It replaces otelhttp, which
// would record the URL's path and with it a session's ID. A nil tracer traces nothing.
type tracer struct {
	spans trace.Tracer
	from  propagation.TextMapPropagator
}

func newTracer(provider trace.TracerProvider) *tracer {
	if provider == nil {
		return nil
	}
	return &tracer{
		spans: provider.Tracer("github.com/sessiond/sessiond/internal/httpapi"),
		from:  propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}),
	}
}

// begin starts a request's span, as a child of the caller's if the request names one (W3C Trace Context).
func (t *tracer) begin(ctx context.Context, r *http.Request) (context.Context, trace.Span) {
	if t == nil {
		return ctx, nil
	}
	ctx = t.from.Extract(ctx, propagation.HeaderCarrier(r.Header))
	verb := method(r.Method)
	return t.spans.Start(ctx, verb, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attribute.String("http.request.method", verb)))
}

// endSpan ends the span that begin started, if any.
func endSpan(span trace.Span, r *http.Request, c *call) {
	if span == nil {
		return
	}
	span.SetName(method(r.Method) + " " + c.route)
	span.SetAttributes(
		attribute.String("http.route", c.route), attribute.Int("http.response.status_code", c.status),
		attribute.String("sessiond.request_id", c.requestID), attribute.String("sessiond.tenant", c.tenant),
	)
	if c.handle != "" {
		span.SetAttributes(attribute.String("sessiond.session", c.handle))
	}
	if c.status >= 500 {
		span.SetStatus(codes.Error, c.problem)
	}
	span.End()
}
