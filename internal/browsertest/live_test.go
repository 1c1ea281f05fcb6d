package browsertest

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sessiond/sessiond/internal/cluster/clustertest"
	"github.com/sessiond/sessiond/internal/cluster/watch"
)

func TestMain(m *testing.M) { clustertest.Main(m) }

// A view holds what the live page shows.
type view struct {
	PageWidth, WindowWidth float64
	Paper                  string // its background
	Tone, Title            string // of the banner
	VMs                    []string
	Nodes                  int // cards
	Rows                   int // of the table
	Covered                string
	Reads                  string // per second
	ReadLatency            string // quantiles
	WriteLatency           string
	Marks                  []string          // labels over the chart of rates
	Steps                  map[string]string // of the last failover: done, next, open or needless
	Events                 []string          // types, the newest first
	Words                  string            // all of the topology's text
}

const lookAtPage = `(() => {
  const text = (id) => document.getElementById(id).textContent;
  return {
    PageWidth: document.documentElement.scrollWidth, WindowWidth: window.innerWidth,
    Paper: getComputedStyle(document.body).backgroundColor,
    Tone: document.getElementById("banner").dataset.tone, Title: text("banner-title"),
    VMs: [...document.querySelectorAll("#vms .vm h3")].map((e) => e.textContent),
    Nodes: document.querySelectorAll("#vms .node").length, Rows: document.querySelectorAll("#nodes tbody tr").length,
    Covered: document.getElementById("slots").dataset.covered ?? "", Reads: text("reads-rate"),
    ReadLatency: text("reads-latency"), WriteLatency: text("writes-latency"),
    Marks: [...document.querySelectorAll("#rate .word")].map((e) => e.textContent),
    Steps: Object.fromEntries(["suspect", "down", "promoted", "covered", "resumed", "back", "rebalanced"]
      .map((k, i) => [k, document.querySelectorAll("#steps li")[i]?.dataset.state ?? ""])),
    Events: [...document.querySelectorAll("#events li")].map((e) => e.dataset.type),
    Words: document.getElementById("vms").innerText,
  };
})()`

// A tab is a browser tab that keeps the page open during the test.
type tab struct {
	t          *testing.T
	ctx        context.Context
	complaints func() []string
}

func (b *tab) look() view {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[view](lookAtPage))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// shows waits until the page shows what is expected.
func (b *tab) shows(what string, holds func(view) bool) {
	b.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var v view
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-tick.C {
		if v = b.look(); holds(v) {
			return
		}
	}
	b.t.Fatalf("not within a minute: %s: %+v", what, v)
}

// shoot takes screenshots in light and dark, at the width of a desktop and of a phone, and checks what must hold at any time.
func (b *tab) shoot(when string) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, chromedp.EmulateViewport(1280, 1600)); err != nil {
		b.t.Fatal(err)
	}
	wellLaidOut(b.t, b.ctx, when+"-tall", livePanels)
	for _, width := range []int64{400, 1280} { // it stays at the last
		for _, scheme := range []string{"dark", "light"} {
			if err := setScheme(b.ctx, scheme); err != nil {
				b.t.Fatal(err)
			}
			if err := chromedp.Do(b.ctx, chromedp.EmulateViewport(width, 900)); err != nil {
				b.t.Fatal(err)
			}
			b.shootOne(fmt.Sprintf("%s-%d-%s", when, width, scheme), scheme)
		}
	}
	if said := b.complaints(); len(said) > 0 {
		b.t.Errorf("%s: the browser says %q", when, said)
	}
}

func (b *tab) shootOne(name, scheme string) {
	b.t.Helper()
	shot, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	path := filepath.Join(screenshots(b.t), "live-"+name+".png")
	if err := os.WriteFile(path, shot, 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.t.Log(path)
	v := b.look()
	if v.PageWidth > v.WindowWidth {
		b.t.Errorf("%s: the page is %g wide in a window of %g", name, v.PageWidth, v.WindowWidth)
	}
	var red, green, blue int
	if _, err := fmt.Sscanf(v.Paper, "rgb(%d, %d, %d)", &red, &green, &blue); err != nil || (red+green+blue > 384) != (scheme == "light") {
		b.t.Errorf("%s: the paper is %s", name, v.Paper)
	}
	wellLaidOut(b.t, b.ctx, name, livePanels)
}

// The page shows a VM's death and return as they happen, without a reload, in light and dark, on a desktop and on a phone.
func TestLivePage(t *testing.T) {
	browser := startBrowser(t, chromium(t))
	real := clustertest.Start(t)
	service := real.StartService(t, clustertest.ServiceOptions{Args: []string{"--failover-assist=500ms"}})
	call(t, service.URL)

	page := &tab{t: t}
	page.ctx, page.complaints = openTab(t, browser, "light", func(url string) bool { return strings.HasPrefix(url, service.URL+"/") })
	if err := chromedp.Do(page.ctx, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(service.URL+"/")); err != nil {
		t.Fatal(err)
	}
	calm := func(v view) bool {
		return v.Tone == "good" && v.Title == "All 16384 slots are covered, and every VM holds one master" && v.Covered == "16384"
	}
	page.shows("the topology and the load", func(v view) bool {
		return calm(v) && strings.Join(v.VMs, " ") == "vm1 vm2 vm3" && v.Nodes == 6 && v.Rows == 6 && v.Reads != "–" && v.Reads != "0"
	})
	page.shoot("1-before")
	began := time.Now()
	page.shows("the instance has watched for long enough to assist", func(view) bool { return time.Since(began) > 8*time.Second })

	// told reports whether the timeline has these events in this order. A slow machine may add others.
	told := func(v view, types ...watch.EventType) bool {
		for _, event := range slices.Backward(v.Events) {
			if len(types) > 0 && event == string(types[0]) {
				types = types[1:]
			}
		}
		return len(types) == 0
	}
	real.PowerOffVM(t, "vm2")
	page.shows("the death", func(v view) bool { return v.Tone != "good" && v.Steps["down"] == "done" })
	page.shows("the promotion, and that writes go on", func(v view) bool {
		return v.Tone == "warn" && v.Covered == "16384" && strings.Contains(v.Title, "redis-5 took over 5461 slots") && strings.Contains(v.Words, "down") &&
			told(v, watch.NodeSuspect, watch.NodeDown, watch.FailoverAsked, watch.Promoted, watch.SlotsCovered, watch.WritesResumed)
	})
	promoted := time.Now()
	page.shoot("2-promoted")

	real.StartVM(t, "vm2")
	page.shows("the return, and that the cluster is out of balance", func(v view) bool {
		return told(v, watch.Promoted, watch.NodeUp) && v.Title == "vm1 holds two masters: rebalance"
	})
	page.shoot("3-back")
	page.shows("the votes of the last election have expired", func(view) bool { return time.Since(promoted) > 8*time.Second })
	real.Failover(t, "redis-2")
	page.shows("the balance", func(v view) bool {
		return calm(v) && told(v, watch.Promoted, watch.NodeUp, watch.Promoted, watch.Rebalanced)
	})
	page.shoot("4-rebalanced")
}

// callers is enough for each shard to have a write in flight at any moment.
const callers = 8

// call puts a light load on the service until the test ends, so that there are rates to show, and writes that wait.
func call(t *testing.T, url string) {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for range callers {
		running.Go(func() { callOn(ctx, t, url) })
	}
	t.Cleanup(func() { stop(); running.Wait() })
}

// callOn creates sessions and reads them.
func callOn(ctx context.Context, t *testing.T, url string) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	id := ""
	for i := 0; ctx.Err() == nil; i++ {
		method, path := http.MethodGet, "/v1/session"
		if id == "" || i%2 == 0 {
			method, path = http.MethodPost, "/v1/sessions"
		}
		r, err := http.NewRequestWithContext(ctx, method, url+path, strings.NewReader("{}"))
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Session-ID", id)
		if answer, err := http.DefaultClient.Do(r); err == nil {
			answer.Body.Close()
			if created := answer.Header.Get("Session-ID"); created != "" {
				id = created
			}
		}
		<-tick.C
	}
}
