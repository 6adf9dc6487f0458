import type { Relays } from '../ports.js';

/** The same connections, fewer of them. @param urls  some of those of `relays` */
export function someRelays(relays: Relays, urls: readonly string[]): Relays {
  return {
    urls,
    publish: (event, to = urls, options) => relays.publish(event, to, options),
    fetch: (filters, options) => relays.fetch(filters, { ...options, relays: options?.relays ?? urls }),
    subscribe: (filters, onEvent) => relays.subscribe(filters, onEvent),
    close: () => relays.close(),
  };
}
