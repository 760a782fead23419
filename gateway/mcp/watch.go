package mcp

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxWatched is how many sessions a client may be told of at a time.
const maxWatched = 64

// watched are the sessions whose changes the client is told of.
type watched struct {
	mu    sync.Mutex
	uris  map[string]string // by the session's id
	begun bool
}

// sessionOf is the id of the session that an address names, "" for another address.
func sessionOf(uri string) string {
	name, ok := strings.CutPrefix(uri, sessionsURI)
	id, err := url.PathUnescape(name)
	if !ok || err != nil {
		return ""
	}
	return id
}

// subscribe begins to tell of a session's changes.
func (s *server) subscribe(ctx context.Context, req *sdk.SubscribeRequest) error {
	id := sessionOf(req.Params.URI)
	if id == "" {
		return fmt.Errorf("only %s{id} changes while you look: read %q again instead", sessionsURI, req.Params.URI)
	}
	if _, err := s.look(ctx, id); err != nil {
		return sdk.ResourceNotFoundError(req.Params.URI)
	}
	w := &s.watched
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, again := w.uris[id]; !again && len(w.uris) >= maxWatched {
		return fmt.Errorf("at most %d sessions are told of at a time; unsubscribe from one", maxWatched)
	}
	if w.uris == nil {
		w.uris = map[string]string{}
	}
	w.uris[id] = req.Params.URI
	if !w.begun {
		w.begun = true
		s.background.Go(func() { s.tellChanges(s.Changed(s.connection)) })
	}
	return nil
}

// unsubscribe ends that.
func (s *server) unsubscribe(_ context.Context, req *sdk.UnsubscribeRequest) error {
	w := &s.watched
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.uris, sessionOf(req.Params.URI))
	return nil
}

// tellChanges tells the client of changes until there are no more. While the client does not read, several become one.
func (s *server) tellChanges(changed <-chan string) {
	for id := range changed {
		ids := map[string]bool{id: true}
		for more := true; more; {
			select {
			case id, ok := <-changed:
				if more = ok; ok {
					ids[id] = true
				}
			default:
				more = false
			}
		}
		for _, uri := range s.watched.of(ids) {
			_ = s.sdk.ResourceUpdated(s.connection, &sdk.ResourceUpdatedNotificationParams{URI: uri}) // the SDK has logged it
		}
	}
}

// of are the addresses of those sessions among ids that the client is told of; "" stands for all.
func (w *watched) of(ids map[string]bool) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var uris []string
	for id, uri := range w.uris {
		if ids[id] || ids[""] {
			uris = append(uris, uri)
		}
	}
	return uris
}
