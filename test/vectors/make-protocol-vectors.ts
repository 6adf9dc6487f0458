import { writeFileSync } from 'node:fs';
import { makeVectors } from './protocol-vectors.js';

/** Writes test/vectors/protocol/*.json anew: `npx tsx test/vectors/make-protocol-vectors.ts`. Equal code gives equal bytes. */
for (const [name, content] of Object.entries(makeVectors()))
  writeFileSync(new URL(`protocol/${name}.json`, import.meta.url), `${JSON.stringify(content, null, 2)}\n`);
