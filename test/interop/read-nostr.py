"""rust-nostr as a reader: `events` checks id and signature of one event per line, `names` decodes one NIP-19 name per line."""

import json
import sys

from nostr_sdk import Event, Nip19


def event(line):
    return "right" if Event.from_json(line).verify() else f"wrong: {line[:80]}"


def name(line):
    found = Nip19.from_bech32(line).as_enum()
    if found.is_pubkey():
        return {"npub": found.npub.to_hex()}
    if found.is_event():
        author = found.event.author()
        return {
            "id": found.event.event_id().to_hex(),
            "author": author and author.to_hex(),
            "relays": [str(relay) for relay in found.event.relays()],
        }
    if found.is_addr():
        place = found.coordinate.coordinate()
        return {
            "kind": place.kind().as_u16(),
            "pubkey": place.public_key().to_hex(),
            "identifier": place.identifier(),
            "relays": [str(relay) for relay in found.coordinate.relays()],
        }
    return {}


read = {"events": event, "names": name}[sys.argv[1]]
for line in sys.stdin:
    found = read(line.rstrip("\n"))
    print(found if isinstance(found, str) else json.dumps(found))
