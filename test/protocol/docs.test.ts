import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { EVENT_TYPES, type EventName } from '../../src/protocol/events.js';
import { KINDS } from '../../src/protocol/kinds.js';
import { readVectors, type EventVectors } from './vectors.js';

const files = [...(Object.keys(EVENT_TYPES) as EventName[]), 'snapshot', 'listing', 'artifact-listing', 'offer'];

describe('docs/protocol.md', () => {
  const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
  const blocks = [...page.matchAll(/```json\n(.*?)```/gs)].map(([, text]) => JSON.parse(text!) as unknown);

  it('shows one real event per kind, taken from the vectors', () => {
    for (const name of files) {
      const [first] = readVectors<EventVectors>(name).valid;
      expect(blocks, name).toContainEqual(first!.event);
    }
  });

  it('names every kind and phase', () => {
    for (const { kind, phase } of Object.values(EVENT_TYPES)) {
      expect(page).toContain(String(kind));
      if (phase !== null) expect(page).toContain(`\`${phase}\``);
    }
    for (const kind of Object.values(KINDS)) expect(page).toContain(String(kind));
  });
});
