// go-nostr as a reader: `events` checks id and signature of one event per line and prints what is wrong, `names` decodes one NIP-19
// name per line. It is what nak verifies and decodes with.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/nbd-wtf/go-nostr"
	"github.com/nbd-wtf/go-nostr/nip19"
)

func event(line []byte) string {
	var event nostr.Event
	if err := json.Unmarshal(line, &event); err != nil {
		return err.Error()
	}
	if event.GetID() != event.ID {
		return "wrong id of " + event.ID
	}
	if right, _ := event.CheckSignature(); !right {
		return "wrong signature of " + event.ID
	}
	return "right"
}

func name(line []byte) string {
	kind, value, err := nip19.Decode(string(line))
	if err != nil {
		return err.Error()
	}
	text, _ := json.Marshal(value)
	return kind + " " + string(text)
}

func main() {
	read := map[string]func([]byte) string{"events": event, "names": name}[os.Args[1]]
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fmt.Println(read(lines.Bytes()))
	}
}
