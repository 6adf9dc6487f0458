import { parseKeyText } from '../config/key-text.js';
import { checkRelays, checkWallet, engines, networks } from '../config/settings-values.js';
import { isNmktError } from '../errors.js';
import type { Rung } from '../learning/types.js';
import type { Network, Prompt } from '../ports.js';
import type { Choices } from './init-plan.js';

export const roles = ['customer', 'trainer'] as const;
export type Role = (typeof roles)[number];

/** What is there or was given: the answers that Enter takes. */
export interface Defaults {
  readonly relays: readonly string[];
  readonly network: Network;
  readonly engine: Rung | 'auto';
  readonly hasWallet: boolean;
  readonly role: Role | undefined;
  /** These were given by flag, file or environment and are not asked for again. */
  readonly isSettled: (field: keyof Choices) => boolean;
}

const NETWORK_WORDS: Readonly<Record<Network, string>> = {
  sandbox: 'sandbox   play money on this machine',
  regtest: 'regtest   your own test network',
  simnet: 'simnet    your own test network',
  signet: 'signet    public test coins',
  testnet: 'testnet   public test coins',
  bitcoin: 'bitcoin   real money',
};
const ENGINE_WORDS: Readonly<Record<Rung | 'auto', string>> = {
  auto: 'auto      the fastest that loads',
  node: 'node      tfjs-node, if it is installed',
  webgpu: 'webgpu    a GPU, if webgpu is installed',
  wasm: 'wasm      WebAssembly, repeats bit by bit',
  cpu: 'cpu       plain JavaScript, slow',
};

/** Lines of at most 60 columns: what is asked must fit a small terminal. */
export async function askSettings(prompt: Prompt, defaults: Defaults): Promise<Choices> {
  const { isSettled } = defaults;
  const network = isSettled('network')
    ? {}
    : {
        network: await prompt.choose(
          'Which money?',
          networks.map((value) => ({ value, name: NETWORK_WORDS[value] })),
          defaults.network,
        ),
      };
  const relays = isSettled('relays') ? {} : { relays: await askRelays(prompt, defaults.relays) };
  const wallet = isSettled('wallet') ? {} : await askWallet(prompt, defaults.hasWallet);
  // Whoever buys training only measures models: the fastest engine that loads will do.
  const engine =
    isSettled('engine') || defaults.role === 'customer'
      ? {}
      : {
          engine: await prompt.choose(
            'What trains?',
            engines.map((value) => ({ value, name: ENGINE_WORDS[value] })),
            defaults.engine,
          ),
        };
  return { ...network, ...relays, ...wallet, ...engine };
}

async function askRelays(prompt: Prompt, now: readonly string[]): Promise<readonly string[]> {
  const urlsIn = (text: string) => text.split(/[\s,]+/).filter((url) => url !== '');
  const answer = await prompt.text('Relays (wss://…, spaces between):', now.join(' ') || undefined, (text) => {
    if (urlsIn(text).length === 0) return 'at least one, such as wss://relay.example';
    return complaint(() => checkRelays(urlsIn(text), 'that'));
  });
  return urlsIn(answer);
}

async function askWallet(prompt: Prompt, hasWallet: boolean): Promise<Choices> {
  const how = await prompt.choose(
    'Which wallet? (NIP-47, to pay and be paid)',
    [
      ...(hasWallet ? [{ value: 'keep' as const, name: 'the one that is set' }] : []),
      { value: 'none' as const, name: 'none: free jobs only' },
      { value: 'paste' as const, name: 'paste nostr+walletconnect://…, not shown' },
    ],
    hasWallet ? 'keep' : 'none',
  );
  if (how === 'keep') return {};
  if (how === 'none') return { wallet: null };
  return { wallet: await prompt.secret('Wallet:', (text) => complaint(() => checkWallet(text, 'that'))) };
}

/** What comes next hangs on it, and no more: it is kept nowhere, for one home may do both. */
export async function askRole(prompt: Prompt): Promise<Role> {
  return prompt.choose('What will you do here?', [
    { value: 'customer', name: 'customer  have a model trained, and pay for it' },
    { value: 'trainer', name: 'trainer   train for others, and be paid' },
  ]);
}

/** @returns the text of a key, or null for a new one */
export async function askKey(prompt: Prompt): Promise<string | null> {
  const how = await prompt.choose('Which key?', [
    { value: 'new' as const, name: 'make a new one' },
    { value: 'paste' as const, name: 'paste nsec, ncryptsec or hex, not shown' },
    { value: 'bunker' as const, name: 'a remote signer: paste bunker://…, not shown' },
  ]);
  if (how === 'new') return null;
  return prompt.secret(how === 'bunker' ? 'Bunker:' : 'Key:', (text) => complaint(() => parseKeyText(text, 'that')));
}

/** Short, for it stands below the question. */
function complaint(check: () => unknown): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    if (isNmktError(error)) return `expected ${error.expected ?? 'something else'}`;
    throw error;
  }
}
