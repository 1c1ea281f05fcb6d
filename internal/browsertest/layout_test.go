package browsertest

import (
	"context"
	_ "embed"
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

//go:embed layout.js
var layout string

const (
	livePanels   = "#page > section"
	reportPanels = "main > *"

	// widestGap is what may lie between two panels, in pixels.
	widestGap = 24
)

// wellLaidOut fails the test if texts of the page overlap or are cut off, marks go through texts, or panels have a void
// between them.
func wellLaidOut(t *testing.T, ctx context.Context, name, panels string) {
	t.Helper()
	faults, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](fmt.Sprintf("(%s)(%q, %d)", layout, panels, widestGap)))
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults {
		t.Errorf("%s: %s", name, fault)
	}
}
