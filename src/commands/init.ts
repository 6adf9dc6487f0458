import { Option } from 'commander';
import type { Home } from '../config/home.js';
import { formatPubkey } from '../config/identifiers.js';
import { parseKeyText } from '../config/key-text.js';
import type { Layer } from '../config/settings.js';
import { NmktError } from '../errors.js';
import type { Prompt } from '../ports.js';
import { table } from '../terminal/table.js';
import type { CommandModule, Context, Outcome } from './command.js';
import { describeForm } from './describe-key.js';
import { keepFormerKey, keyFileFor, pubkeyOf, requireReplaceable, type ChosenKey, type KeyFile } from './init-key.js';
import { changesFor, givenIn, isEqual, requireEnough, type Choices, type Given } from './init-plan.js';
import { askKey, askRole, askSettings, roles, type Role } from './init-wizard.js';

export const command: CommandModule = {
  configure(program) {
    program
      .option('--new-key', 'make a key if this home has none')
      .option('--encrypt', 'keep the key under a password (NIP-49)')
      .option('--replace-key', "put another key in the place of this home's; the former is kept in HOME/old-keys")
      .addOption(
        new Option('--role <role>', 'what you will do; only the command that is named at the end hangs on it').choices(
          roles,
        ),
      )
      .option('--force', 'ask everything again, and let the environment change what is there')
      .addHelpText(
        'before',
        '$ nmkt init\n$ nmkt init --new-key --relay wss://relay.example --json\n$ nmkt init --key-file bunker.txt --wallet-file wallet.txt --network bitcoin\n',
      )
      .addHelpText('after', HELP);
  },

  async run(_args, options, context) {
    const { deps, progress } = context;
    const home = deps.home();
    const kept = await deps.homeSettings();
    const homeFiles = ['settings.json', 'key', 'wallet'].map((name) => home.path(name));
    const given = givenIn(deps.settings(), homeFiles);
    const isForced = options['force'] === true;
    const isAsked = (origin: string): boolean => isForced || origin.startsWith('--') || origin === options['settings'];
    const { changes, passedOver } = changesFor(kept, given, isAsked);
    const isAsking = context.prompt.canAsk && (kept.relays === undefined || isForced);

    if (isAsking) progress.note(`For ${home.dir}\nEnter takes what is offered.`);
    const named = options['role'] as Role | undefined;
    const role = isAsking ? (named ?? (await askRole(context.prompt))) : named;
    const key = await chosenKey(context, kept, given, options, isAsking);
    const answers = isAsking ? await askSettings(context.prompt, { ...defaultsOf(kept, given, changes), role }) : {};
    const choices: Choices = { ...changes, ...answers };
    if (!isAsking)
      requireEnough({
        hasKey: kept.key !== undefined || key !== null,
        isNewKey: options['newKey'] === true,
        hasRelays: (choices.relays ?? kept.relays?.value) !== undefined,
      });

    const changed = await write(context, { kept, key, choices, options });
    for (const [field, origin] of passedOver)
      progress.note(`${field}: the home keeps its own; ${origin} has another value, which wins while it is set`);
    progress.done(changed.length === 0 ? 'nothing had to change' : `set ${changed.join(', ')}`);
    return show(context, changed, role);
  },
};

const HELP = `
On a terminal it asks for what is missing; elsewhere flags, --settings and the environment (NMKT_KEY, NMKT_KEY_FILE, NMKT_KEY_PASSWORD, NMKT_WALLET,
NMKT_RELAYS, NMKT_NETWORK, NMKT_ENGINE) give everything. A key and a relay are needed, the rest has defaults. Secrets come from files of mode 0600,
the environment or a question that does not show them, never from the command line; a file with bunker://… makes a remote signer the key.
Run again it shows what is there. A value that is named by a flag replaces the home's; a key only with --replace-key or a typed yes.
With --json one document, of the home alone:
  home     its folder; changed: which of key, relays, network, wallet and engine are new
  key      {npub, pubkey, form, bunker} as whoami shows it; npub and pubkey may be null
  relays   [url]; network, engine: names; hasWallet: whether a wallet is set`;

const CUSTOMER = 'nmkt publish-dataset FILE --label COLUMN --job job.json';
const TRAINER = 'nmkt serve-trainer --price 100';
const NEXT = {
  customer: CUSTOMER,
  trainer: TRAINER,
  both: `nmkt doctor, then to buy training: ${CUSTOMER}; to sell it: ${TRAINER}`,
};

/** Null: the home's key stays as it is. */
async function chosenKey(
  { prompt }: Context,
  kept: Layer,
  given: Given,
  options: Readonly<Record<string, unknown>>,
  isAsking: boolean,
): Promise<ChosenKey | null> {
  const { key } = given;
  const mayReplace = options['replaceKey'] === true;
  if (options['newKey'] === true && key?.origin.startsWith('--') === true)
    throw new NmktError('bad-usage', '--new-key and --key-file exclude each other', {
      expected: 'one of the two',
      got: 'both',
      remedy: 'leave one out',
    });
  const isEncrypted = options['encrypt'] === true;
  const chosen = (text: string | null, origin: string): ChosenKey => ({ text, origin, isEncrypted });
  if (options['newKey'] === true && (kept.key === undefined || mayReplace)) return chosen(null, '--new-key');
  // The environment may name another key for one run; it does not give the home that key.
  const isMeant = key !== undefined && (kept.key === undefined || mayReplace || isNamed(key.origin, options));
  if (isMeant) return chosen(key.value, key.origin);
  if (kept.key !== undefined && !mayReplace) {
    const { form } = parseKeyText(kept.key.value, kept.key.origin);
    // A bunker that does not know this home yet is connected to; a plain key may go under a password.
    return form === 'bunker' || (form === 'plain' && isEncrypted) ? chosen(kept.key.value, kept.key.origin) : null;
  }
  if (isAsking || (mayReplace && prompt.canAsk)) return askedKey(prompt, isEncrypted);
  if (mayReplace)
    throw new NmktError('bad-usage', '--replace-key needs the new key', {
      expected: '--key-file FILE, NMKT_KEY or --new-key beside it',
      got: 'none',
      remedy: 'nmkt init --replace-key --new-key',
    });
  return null;
}

async function askedKey(prompt: Prompt, isEncrypted: boolean): Promise<ChosenKey> {
  const text = await askKey(prompt);
  const isPlain = text === null || parseKeyText(text, 'the answer').form === 'plain';
  return {
    text,
    origin: 'the answer',
    isEncrypted: isEncrypted || (isPlain && (await prompt.confirm('Protect it with a password?'))),
  };
}

function isNamed(origin: string, options: Readonly<Record<string, unknown>>): boolean {
  return origin.startsWith('--') || origin === options['settings'];
}

function defaultsOf(kept: Layer, given: Given, changes: Choices) {
  return {
    relays: given.relays?.value ?? kept.relays?.value ?? [],
    network: given.network?.value ?? kept.network?.value ?? 'sandbox',
    engine: given.engine?.value ?? kept.engine?.value ?? 'auto',
    hasWallet: kept.wallet !== undefined,
    isSettled: (field: keyof Choices) => changes[field] !== undefined,
  };
}

interface Plan {
  readonly kept: Layer;
  readonly key: ChosenKey | null;
  readonly choices: Choices;
  readonly options: Readonly<Record<string, unknown>>;
}

/** Key, wallet, settings, in this order, each durable: stopped in between, another run does the rest. @returns what is new */
async function write(context: Context, { kept, key, choices, options }: Plan): Promise<readonly string[]> {
  const { deps } = context;
  const file = key === null ? null : await keyFileFor(context, key);
  const now = kept.key === undefined ? null : await pubkeyOf(context, kept.key.value);
  const isNewKey = file !== null && (kept.key === undefined || !isSame(kept.key.value, now, file));
  const isAnother = isNewKey && kept.key !== undefined && (file.pubkey === null || file.pubkey !== now);
  if (isAnother) await requireReplaceable(context, now, options['replaceKey'] === true);
  const relays = choices.relays ?? kept.relays?.value ?? [];
  const wallet = choices.wallet === undefined ? kept.wallet?.value : (choices.wallet ?? undefined);
  const network = choices.network ?? kept.network?.value ?? 'sandbox';
  const engine = choices.engine ?? kept.engine?.value ?? 'auto';
  const changed = [
    ...(isNewKey ? ['key'] : []),
    ...(isEqual(relays, kept.relays?.value) ? [] : ['relays']),
    ...(network === kept.network?.value ? [] : ['network']),
    ...(wallet === kept.wallet?.value ? [] : ['wallet']),
    ...(engine === kept.engine?.value ? [] : ['engine']),
  ];
  if (changed.length === 0) return changed;
  const home = await deps.lockedHome();
  await requireUnchanged(context, kept);
  if (isAnother) {
    const path = await keepFormerKey(home, kept.key.value, now, deps.clock.nowSec());
    context.progress.note(`the former key is kept in ${path}`);
  }
  const keyText = isNewKey ? file.content : kept.key && `${kept.key.value}\n`;
  await writeHome(home, { keyText, wallet, settings: { relays, network, engine } });
  return changed;
}

/** Equal text, or the same key in the same form: encrypting it twice would only change the salt. */
function isSame(text: string, pubkey: string | null, file: KeyFile): boolean {
  const formOf = (content: string) => /(ncryptsec|bunker|nsec)/.exec(content)?.[1] ?? 'nsec';
  if (text.trim() === file.content.trim()) return true;
  return (
    pubkey !== null && pubkey === file.pubkey && formOf(text) === formOf(file.content) && formOf(text) !== 'bunker'
  );
}

/** Between the first look and the lock another process may have written. */
async function requireUnchanged({ deps }: Context, kept: Layer): Promise<void> {
  if (isEqual(await deps.homeSettings(), kept)) return;
  throw new NmktError('home-locked', 'another process changed this home just now', {
    expected: 'the home as it was when this command began',
    got: 'other settings',
    remedy: 'run the same command again',
  });
}

/** Secrets in files of their own; an older settings.json may have held them. */
async function writeHome(
  home: Home,
  files: { readonly keyText: string | undefined; readonly wallet: string | undefined; readonly settings: object },
): Promise<void> {
  if (files.keyText !== undefined) await home.writeFile('key', files.keyText);
  if (files.wallet !== undefined) await home.writeFile('wallet', `${files.wallet}\n`);
  else await home.removeFile('wallet');
  await home.writeFile('settings.json', `${JSON.stringify(files.settings, undefined, 2)}\n`);
}

async function show({ deps }: Context, changed: readonly string[], role: Role | undefined): Promise<Outcome> {
  const { key: text, relays, network, wallet, engine } = await deps.homeSettings();
  const report = text && (await deps.identityOf(text).report());
  const npub = report?.pubkey ? formatPubkey(report.pubkey) : null;
  const key = report ? { npub, pubkey: report.pubkey, form: report.form, bunker: report.bunker } : null;
  const value = {
    home: deps.home().dir,
    changed,
    key,
    relays: relays?.value ?? [],
    network: network?.value ?? 'sandbox',
    engine: engine?.value ?? 'auto',
    hasWallet: wallet !== undefined,
  };
  return {
    value,
    text: table([
      ['home', value.home],
      ['key', key === null ? 'none yet' : (npub ?? 'not known without its password')],
      ...(report ? describeForm(report).map((line) => ['', line]) : []),
      ...value.relays.map((url) => ['relay', url]),
      ['network', value.network],
      ['wallet', value.hasWallet ? 'set' : 'none: free jobs only'],
      ['engine', value.engine],
    ]),
    isKeptInHome: true,
    next: role === undefined ? NEXT.both : `nmkt doctor, then ${NEXT[role]}`,
  };
}
