import { writeFileSync } from 'node:fs';
import { derivedVectors, makeVectors } from './protocol-vectors.js';

/** Writes test/vectors/protocol/*.json and test/vectors/derived.json anew: `npx tsx test/vectors/make-protocol-vectors.ts`. Equal code gives equal bytes. */
const write = (path: string, content: object) =>
  writeFileSync(new URL(path, import.meta.url), `${JSON.stringify(content, null, 2)}\n`);

for (const [name, content] of Object.entries(makeVectors())) write(`protocol/${name}.json`, content);
write('derived.json', derivedVectors());
