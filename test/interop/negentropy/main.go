// Reconciles the events on stdin (one JSON each a line) with a relay by NIP-77, as go-nostr does it, in both directions,
// and prints the ids that it has in the end.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"github.com/nbd-wtf/go-nostr"
	"github.com/nbd-wtf/go-nostr/nip77"
)

type store struct {
	lock   sync.Mutex
	events map[string]*nostr.Event
}

func (s *store) Publish(_ context.Context, event nostr.Event) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.events[event.ID] = &event
	return nil
}

func (s *store) QuerySync(_ context.Context, filter nostr.Filter) ([]*nostr.Event, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	found := []*nostr.Event{}
	for _, event := range s.events {
		if filter.Matches(event) {
			found = append(found, event)
		}
	}
	return found, nil
}

func (s *store) QueryEvents(ctx context.Context, filter nostr.Filter) (chan *nostr.Event, error) {
	found, _ := s.QuerySync(ctx, filter)
	events := make(chan *nostr.Event, len(found))
	for _, event := range found {
		events <- event
	}
	close(events)
	return events, nil
}

func main() {
	own := &store{events: map[string]*nostr.Event{}}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var event nostr.Event
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			panic(err)
		}
		own.events[event.ID] = &event
	}
	ctx := context.Background()
	if err := nip77.NegentropySync(ctx, own, os.Args[1], nostr.Filter{Kinds: []int{1}}, nip77.Both); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for id := range own.events {
		fmt.Println(id)
	}
}
