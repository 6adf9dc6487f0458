import { hex } from '../../../src/hash.js';
import type { JobSecrets } from '../../../src/roles/customer-env.js';
import { identityKey, paidPreimage, secretsOfFile, secretsOfJob, unpaidPreimage } from './harvest.js';
import { isLeak, searchFor, type Secret } from './needles.js';
import { doAtEnd, runDir } from './outputs.js';
import { registerSecrets, reportLeaks, type Leak } from './run.js';

/** A market in one process: the secrets of its people, and what lies in their homes. */
export interface SeenWorld {
  readonly name: string;
  readonly secrets: JobSecrets;
  readonly people: readonly {
    readonly name: string;
    readonly secret: Uint8Array;
    readonly files: ReadonlyMap<string, Uint8Array>;
    readonly events: readonly unknown[];
    readonly payouts: readonly unknown[];
  }[];
  /** What its relays hold. */
  events(): readonly unknown[];
  /** Of its wallets. */
  preimages(): readonly { readonly preimage: string; readonly isPaid: boolean }[];
}

/** Looked through when the test, or the file, is over. */
export function watchWorld(world: SeenWorld): void {
  doAtEnd(() => {
    const { secrets, leaks } = leaksOfWorld(world);
    registerSecrets(secrets, true);
    reportLeaks(leaks);
  });
}

/** Of a world that is not looked through itself: what is said in it is. */
export function keepSecretsOf(secrets: JobSecrets): void {
  if (runDir() !== undefined) registerSecrets(secretsOfJob(secrets), true);
}

export function leaksOfWorld(world: SeenWorld): { readonly secrets: Secret[]; readonly leaks: Leak[] } {
  const lines = (values: readonly unknown[]): Buffer => Buffer.from(values.map(json).join('\n'));
  const homes = world.people.flatMap((who) => [
    ...[...who.files].map(([path, bytes]) => ({ path, who: who.name, bytes: Buffer.from(bytes) })),
    { path: 'events.jsonl', who: who.name, bytes: lines(who.events) },
    { path: 'payouts.jsonl', who: who.name, bytes: lines(who.payouts) },
  ]);
  const files = [...homes, { path: 'events.jsonl', who: 'the relays', bytes: lines(world.events()) }];
  const secrets = [
    ...secretsOfJob(world.secrets),
    ...world.people.map(({ secret }) => identityKey(hex(secret))),
    ...files.flatMap(({ path, bytes }) => secretsOfFile(path, bytes)),
    ...world.preimages().map(({ preimage, isPaid }) => (isPaid ? paidPreimage : unpaidPreimage)(preimage)),
  ];
  const search = searchFor(secrets);
  const leaks = files.flatMap(({ path, who, bytes }) =>
    search(bytes)
      .filter((hit) => isLeak(hit, bytes, path, false))
      .map(({ secret, form }) => ({
        ...{ secret: secret.name, form },
        where: `${path} of ${who}, in the world ${world.name}`,
      })),
  );
  return { secrets, leaks };
}

const json = (value: unknown): string =>
  JSON.stringify(value, (_, field: unknown) => (typeof field === 'bigint' ? `${field}` : field));
