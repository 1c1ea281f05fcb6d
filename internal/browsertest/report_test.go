package browsertest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// REPORT names a report.html to open instead of the example.
const reportVariable = "REPORT"

// A state holds what the report shows.
type state struct {
	PageWidth, WindowWidth float64
	Paper                  string // its background
	Marks                  []mark
	Paths                  int // lines of latency
	Bars                   int
	Rows                   int // of tables
}

// A mark is a mark on the timeline, with the box of its label.
type mark struct {
	Kind, Text               string
	Left, Right, Top, Bottom float64
	Line                     float64 // the length of its line
	Seen                     bool    // nothing lies over the label
}

const look = `(() => {
  window.scrollTo(0, document.getElementById("chart").offsetTop - 20);
  return {
    PageWidth: document.documentElement.scrollWidth, WindowWidth: window.innerWidth,
    Paper: getComputedStyle(document.body).backgroundColor,
    Marks: [...document.querySelectorAll("#chart .mark")].map((g) => {
      const text = g.querySelector("text"), b = text.getBoundingClientRect(), line = g.querySelector("path").getBoundingClientRect();
      const top = document.elementFromPoint((b.left + b.right) / 2, (b.top + b.bottom) / 2);
      return { Kind: g.dataset.kind, Text: text.textContent, Left: b.left, Right: b.right, Top: b.top, Bottom: b.bottom, Line: line.height,
        Seen: top !== null && top.closest(".mark") !== null };
    }),
    Paths: document.querySelectorAll("#chart > svg > path").length, Bars: document.querySelectorAll("#chart rect.answered").length,
    Rows: document.querySelectorAll("tr").length,
  };
})()`

// The report is readable on a desktop and on a phone, in light and dark. It shows the kill, the promotion and the recovery on
// its timeline, raises no errors, and loads nothing.
func TestReport(t *testing.T) {
	browser := chromium(t)
	page := os.Getenv(reportVariable)
	if page == "" {
		page = example(t)
	}
	page, err := filepath.Abs(page)
	if err != nil {
		t.Fatal(err)
	}
	shots := screenshots(t)
	allocator := startBrowser(t, browser)
	for _, width := range []int64{1280, 400} {
		for _, scheme := range []string{"light", "dark"} {
			t.Run(fmt.Sprintf("%d, %s", width, scheme), func(t *testing.T) {
				ctx, complaints := openTab(t, allocator, scheme, func(string) bool { return false })
				err := chromedp.Do(ctx, chromedp.EmulateViewport(width, 900), chromedp.Navigate("file://"+page), chromedp.WaitVisible(chromedp.CSS("#chart .mark")))
				if err != nil {
					t.Fatal(err)
				}
				got, err := chromedp.Run(ctx, chromedp.Evaluate[state](look))
				if err != nil {
					t.Fatal(err)
				}
				shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(shots, fmt.Sprintf("report-%d-%s.png", width, scheme)), shot, 0o644); err != nil {
					t.Fatal(err)
				}
				if said := complaints(); len(said) > 0 {
					t.Errorf("the browser says %q", said)
				}
				check(t, got, scheme)
				wellLaidOut(t, ctx, "the report", reportPanels)
			})
		}
	}
}

func check(t *testing.T, got state, scheme string) {
	t.Helper()
	if got.PageWidth > got.WindowWidth {
		t.Errorf("the page is %g wide in a window of %g", got.PageWidth, got.WindowWidth)
	}
	var r, g, b int
	if _, err := fmt.Sscanf(got.Paper, "rgb(%d, %d, %d)", &r, &g, &b); err != nil || (r+g+b > 384) != (scheme == "light") {
		t.Errorf("the paper is %s", got.Paper)
	}
	if got.Paths < 6 || got.Bars == 0 || got.Rows == 0 {
		t.Errorf("the timeline is not drawn: %+v", got)
	}
	kinds := map[string]int{}
	for i, m := range got.Marks {
		kinds[m.Kind]++
		if m.Left < 0 || m.Right > got.WindowWidth || m.Right-m.Left < 20 || m.Bottom-m.Top < 8 || m.Line < 100 || !m.Seen {
			t.Errorf("mark %+v cannot be seen in a window of %g", m, got.WindowWidth)
		}
		for _, other := range got.Marks[:i] {
			if m.Left < other.Right && other.Left < m.Right && m.Top < other.Bottom-4 && other.Top < m.Bottom-4 {
				t.Errorf("labels %q and %q overlap", m.Text, other.Text)
			}
		}
	}
	for _, kind := range []string{"fault", "promotion", "recovery"} {
		if kinds[kind] == 0 {
			t.Errorf("no mark for the %s: %v", kind, kinds)
		}
	}
}
