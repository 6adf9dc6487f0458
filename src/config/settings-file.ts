import { existsSync } from 'node:fs';
import { NmktError } from '../errors.js';
import type { Rung } from '../learning/types.js';
import type { Network } from '../ports.js';
import { readTextFile, requirePrivate } from './secret-file.js';
import { checkEngine, checkKey, checkNetwork, checkRelays, checkSats, checkWallet } from './settings-values.js';

/** Any of these fields, no others. */
export interface SettingsFile {
  readonly relays?: readonly string[];
  readonly wallet?: string;
  readonly network?: Network;
  readonly key?: string;
  readonly engine?: Rung | 'auto';
  /** What may be spent over any 24 hours, and by one payment, fees included. */
  readonly maxDaySats?: number;
  readonly maxPaymentSats?: number;
}

const fields = ['relays', 'wallet', 'network', 'key', 'engine', 'maxDaySats', 'maxPaymentSats'] as const;
const secretFields = ['wallet', 'key'] as const;

/**
 * @param options.secrets  `private`: fine in a file of mode 0600; `forbidden`: never (a file that projects commit)
 * @returns undefined when there is no such file
 * @throws  NmktError `bad-settings`, `unsafe-secret-file`
 */
export async function readSettingsFile(
  path: string,
  options: { readonly secrets: 'private' | 'forbidden' },
): Promise<SettingsFile | undefined> {
  if (!existsSync(path)) return undefined;
  const file = await readTextFile(path, 'a settings file');
  const json = parseObject(file.text, path);
  const secret = secretFields.find((name) => name in json);
  if (secret !== undefined && options.secrets === 'forbidden') {
    throw refuse(path, `${secret} may not stand there`, {
      remedy: `move ${secret} to a file of mode 0600 and name it with --settings, or set NMKT_${secret.toUpperCase()}`,
      expected: 'no secrets in a file that is shared with a project',
      got: `the field ${secret}`,
    });
  }
  if (secret !== undefined) requirePrivate(file, path);
  return {
    ...('relays' in json && { relays: checkRelays(json['relays'], path) }),
    ...('wallet' in json && { wallet: checkWallet(json['wallet'], path) }),
    ...('network' in json && { network: checkNetwork(json['network'], path) }),
    ...('key' in json && { key: checkKey(json['key'], path) }),
    ...('engine' in json && { engine: checkEngine(json['engine'], path) }),
    ...('maxDaySats' in json && { maxDaySats: checkSats(json['maxDaySats'], 'maxDaySats', path) }),
    ...('maxPaymentSats' in json && { maxPaymentSats: checkSats(json['maxPaymentSats'], 'maxPaymentSats', path) }),
  };
}

function parseObject(text: string, path: string): Readonly<Record<string, unknown>> {
  const json = parseJson(text, path);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw refuse(path, 'it is not a JSON object', {
      remedy: `write an object such as {"relays":["wss://relay.example"]} into ${path}`,
      expected: 'an object',
      got: Array.isArray(json) ? 'an array' : json === null ? 'null' : typeof json,
    });
  }
  const unknown = Object.keys(json).find((name) => !(fields as readonly string[]).includes(name));
  if (unknown === undefined) return json as Record<string, unknown>;
  throw refuse(path, `unknown field ${JSON.stringify(unknown.slice(0, 40))}`, {
    remedy: `remove the field from ${path} or correct its name`,
    expected: `any of ${fields.join(', ')}`,
    got: unknown.slice(0, 40),
  });
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    // V8's message may quote the text, which may hold a secret: keep only the position.
    const position = /position (\d+)/.exec(String(error))?.[1];
    throw refuse(path, 'it is not JSON', {
      remedy: `correct the JSON in ${path}`,
      expected: 'JSON',
      got: position ? `an unexpected character on line ${lineOf(text, Number(position))}` : 'text that ends too early',
    });
  }
}

function lineOf(text: string, position: number): number {
  return text.slice(0, position).split('\n').length;
}

function refuse(
  path: string,
  what: string,
  detail: { readonly remedy: string; readonly expected: string; readonly got: string },
): NmktError {
  return new NmktError('bad-settings', `${path}: ${what}`, detail);
}
