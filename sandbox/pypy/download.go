package pypy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"shannot-gateway/internal/linux/durable"
)

// Bounds of a download.
const (
	maxArchive   = 512 << 20 // bytes
	maxRedirects = 5
	maxTries     = 5
	idleTime     = 60 * time.Second // without a byte
)

// Progress is told how many bytes of an archive are there, and how many there will be, 0 where that is not known.
type Progress func(name string, done, total int64)

// fetcher downloads archives.
type fetcher struct {
	client   *http.Client
	progress Progress
	pause    time.Duration // before a further try
}

func newFetcher(client *http.Client, progress Progress) *fetcher {
	if client == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.ResponseHeaderTimeout = idleTime
		client = &http.Client{Transport: transport, CheckRedirect: onlySecure}
	}
	if progress == nil {
		progress = func(string, int64, int64) {}
	}
	return &fetcher{client: client, progress: progress, pause: 2 * time.Second}
}

// onlySecure follows no redirect from HTTPS to anything else. The hash would find a changed file, but not who asked.
func onlySecure(r *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return errors.New("too many redirects")
	}
	if via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
		return fmt.Errorf("a redirect leads away from HTTPS, to %s", r.URL.Host)
	}
	return nil
}

// errHash says that a file is not the one that was published.
var errHash = errors.New("its SHA-256 is not the published one")

// fetch downloads an archive to a file of a directory, whose name it returns. What an earlier try has left is gone on
// with. The file has the archive's hash, or there is an error.
func (f *fetcher) fetch(ctx context.Context, dir string, a Archive) (string, error) {
	name := filepath.Join(dir, a.SHA256)
	if checkHash(name, a.SHA256) == nil {
		return name, nil
	}
	d := download{part: name + ".part", archive: a}
	var err error
	for try := range maxTries {
		if try > 0 {
			if err := wait(ctx, f.pause); err != nil {
				return "", err
			}
		}
		var fatal bool
		if fatal, err = f.more(ctx, &d); err == nil {
			if err = checkHash(d.part, a.SHA256); err == nil {
				return name, durable.Rename(d.part, name)
			}
			_ = os.Remove(d.part) // and from the beginning, where it was gone on with: perhaps wrongly
			fatal = d.whole
		}
		if fatal || ctx.Err() != nil {
			break
		}
	}
	return "", fmt.Errorf("download the %s from %s: %w", a.Name, a.URL, err)
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// download is what is known of an archive that is being fetched.
type download struct {
	part    string // the file with what is there of it
	archive Archive
	etag    string // of what is in the file, where this process began it
	whole   bool   // all of it came in one answer
}

// more asks for what is missing of a file. fatal says that another try would end the same.
func (f *fetcher) more(ctx context.Context, d *download) (fatal bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, err := os.OpenFile(d.part, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return true, err
	}
	defer func() { _ = out.Close() }()
	info, err := out.Stat()
	if err != nil {
		return true, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.archive.URL, nil)
	if err != nil {
		return true, err
	}
	have := info.Size()
	if have > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
		if d.etag != "" {
			request.Header.Set("If-Range", d.etag) // all of it, where it is another file by now (RFC 9110, section 13.1.5)
		}
	}
	response, err := f.client.Do(request)
	if err != nil {
		return false, err
	}
	defer func() { _ = response.Body.Close() }()
	switch {
	case response.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return false, out.Truncate(0) // it may be whole: the hash says so, or the next try begins anew
	case response.StatusCode == http.StatusPartialContent && have > 0 && rangeStart(response) == have:
		d.whole = false
	case response.StatusCode == http.StatusPartialContent:
		return false, errors.Join(fmt.Errorf("the server answers %q, which was not asked for", response.Header.Get("Content-Range")), out.Truncate(0))
	case response.StatusCode == http.StatusOK:
		if have, err = 0, out.Truncate(0); err != nil {
			return true, err
		}
		d.whole, d.etag = true, strongETag(response)
	default:
		return response.StatusCode >= 400 && response.StatusCode < 500, fmt.Errorf("the server answers %s", response.Status)
	}
	total := int64(0)
	if response.ContentLength >= 0 {
		total = have + response.ContentLength
	}
	if total > maxArchive {
		return true, fmt.Errorf("it is %d bytes large, and no archive is", total)
	}
	idle := time.AfterFunc(idleTime, cancel)
	defer idle.Stop()
	body := &counted{from: io.LimitReader(response.Body, maxArchive-have+1), count: have, tell: func(n int64) {
		idle.Reset(idleTime)
		f.progress(d.archive.Name, n, total)
	}}
	if _, err := io.Copy(out, body); err != nil {
		return false, err
	}
	if body.count > maxArchive {
		return true, errors.New("it does not end")
	}
	return false, out.Sync()
}

// strongETag is the answer's entity tag, "" where it has none that can be asked for a part of (RFC 9110, section 8.8.3).
func strongETag(r *http.Response) string {
	if etag := r.Header.Get("ETag"); strings.HasPrefix(etag, `"`) {
		return etag
	}
	return ""
}

// rangeStart is where a partial answer begins, -1 where it does not say.
func rangeStart(r *http.Response) int64 {
	text, ok := strings.CutPrefix(r.Header.Get("Content-Range"), "bytes ")
	first, _, ok2 := strings.Cut(text, "-")
	n, err := strconv.ParseInt(first, 10, 64)
	if !ok || !ok2 || err != nil {
		return -1
	}
	return n
}

// counted tells how many bytes have passed.
type counted struct {
	from  io.Reader
	count int64
	tell  func(int64)
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.count += int64(n)
	c.tell(c.count)
	return n, err
}

// checkHash compares a file with a SHA-256.
func checkHash(name, sum string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(f, maxArchive+1)); err != nil {
		return err
	}
	if hex.EncodeToString(h.Sum(nil)) != sum {
		return errHash
	}
	return nil
}
