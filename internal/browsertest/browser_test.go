// Package browsertest opens the live page and a load test report in headless Chromium.
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// SCREENSHOTS names a folder for the screenshots. By default they are test artifacts.
const screenshotsVariable = "SCREENSHOTS"

// limit is how long a tab may be used.
const limit = 5 * time.Minute

// chromium returns the path of the browser, or skips the test.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no chromium: install Debian's package chromium")
	return ""
}

// startBrowser makes a browser available until the test ends.
func startBrowser(t *testing.T, path string) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox)
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	return allocator
}

// openTab opens an empty tab with a colour scheme, light or dark. complaints returns the browser's complaints so far: errors,
// and requests for URLs that may does not permit.
func openTab(t *testing.T, allocator context.Context, scheme string, may func(url string) bool) (ctx context.Context, complaints func() []string) {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	ctx, cancel := context.WithTimeout(ctx, limit)
	t.Cleanup(cancel)
	complaints, err := listen(ctx, may)
	if err != nil {
		t.Fatal(err)
	}
	if err := setScheme(ctx, scheme); err != nil {
		t.Fatal(err)
	}
	return ctx, complaints
}

// setScheme switches the colour scheme, light or dark.
func setScheme(ctx context.Context, scheme string) error {
	byScheme := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, byScheme)
	return err
}

// screenshots returns the folder for screenshots.
func screenshots(t *testing.T) string {
	if folder := os.Getenv(screenshotsVariable); folder != "" {
		return folder
	}
	return t.ArtifactDir()
}

// listen collects errors, console output, and requests that are neither for the page itself nor permitted by may.
func listen(ctx context.Context, may func(url string) bool) (complaints func() []string, err error) {
	var mu sync.Mutex
	var said []string
	say := func(text string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, text)
	}
	err = chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventConsoleAPICalled:
			say("console: " + string(e.Type))
		case *runtime.EventExceptionThrown:
			say(e.ExceptionDetails.Text)
		case *cdplog.EventEntryAdded:
			if !strings.Contains(e.Entry.Text, "ERR_NETWORK_CHANGED") { // cutting a VM off changes this machine's network
				say(e.Entry.Text)
			}
		case *network.EventRequestWillBeSent:
			if e.Type != network.ResourceTypeDocument && e.Request.URL != "data:," && !may(e.Request.URL) {
				say("request: " + e.Request.URL)
			}
		}
	})
	for _, enable := range []cdp.Command[cdp.Empty, cdp.Empty]{cdplog.Enable, runtime.Enable} {
		if err == nil {
			_, err = chromedp.Call(ctx, enable, cdp.Empty{})
		}
	}
	if err == nil {
		_, err = chromedp.Call(ctx, network.Enable, network.EnableParams{})
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(said)
	}, err
}
