import type { ErrorCode } from '../../src/errors.js';

/** How a call ends: done, or an error with its code and what to do. The status follows from the code. */
export type Ending = 'done' | readonly [code: ErrorCode, remedy: string | RegExp];

export interface CommandRows {
  /** A whole call; `TAKEN` is a port on which somebody listens. Nothing below `$PWD` but the files of `FILES`. */
  readonly call: readonly string[];
  /** The name alone. `serves`: it would not end. */
  readonly bare: Ending | 'serves';
  /** The call with a relay that refuses connections, and nobody to ask. */
  readonly offline: Ending;
  /** The call without any relay. */
  readonly unset: Ending;
  /** Flags that ask on a terminal, typed where there is none: status 2, and the way that needs none. */
  readonly asks?: readonly [words: readonly string[], ...Exclude<Ending, string>];
  /** What a person might type after each own option that takes a value; `free`: every text is one. */
  readonly wrong: Readonly<Record<string, 'free' | readonly [value: string, ...Exclude<Ending, string>]>>;
  /** Words and environment with which a wrong value is looked at at all, where that is not the call. */
  readonly wrongCall?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const JOB = 'f'.repeat(64);
const KEY = 'c0ffee'.padEnd(64, '1');
const help = (name: string) => ['bad-usage', `nmkt ${name} --help`] as const;
const number = (flag: string) => ['zzz', 'bad-usage', new RegExp(`^${flag} N, with N from \\d`)] as const;
const count = (flag: string) => ['-1', 'bad-usage', new RegExp(`${flag} as a whole number`)] as const;
const id = ['zzz', 'bad-key', /copy the whole identifier/] as const;
const job = ['zzz', 'bad-job', 'nmkt post-job --print-defaults'] as const;
const column = (flag: string) => ['zzz', 'bad-usage', `name one of the columns after ${flag}`] as const;
const duration = (flag: string) => ['soon', 'bad-usage', `${flag} 15m`] as const;
const noFile = ['nothing/here', 'bad-dataset', 'check the path'] as const;
const noRelay = ['bad-usage', /--relay wss:.*nmkt init.*nmkt sandbox --dir sb/] as const;
const silent = ['relay-unreachable', /check the network, or name another relay with --relay URL/] as const;
const portTaken = ['port-in-use', /--port, or 0 for a free one/] as const;

export const FILES = ['iris.csv', 'job.json', 'file', 'folder/'];

/** Of flags that say how a file becomes examples. */
const data: CommandRows['wrong'] = {
  '--label': ['zzz', 'label-missing', '--label "species"'],
  '--labels': ['iris.csv', 'bad-usage', /leave the file of labels out/],
  '--test': noFile,
  '--test-labels': ['iris.csv', 'bad-usage', /add --test PATH/],
  '--eval-fraction': number('--eval-fraction'),
  '--task': ['zzz', 'bad-usage', /leave out --task/],
  '--features': column('--features'),
  '--drop': column('--drop'),
  '--categorical': column('--categorical'),
  '--numeric': column('--numeric'),
  '--tokenizer': ['zzz', 'bad-usage', '--tokenizer char'],
  '--vocabulary': number('--vocabulary'),
  '--context': number('--context'),
  '--image-size': ['zzz', 'bad-usage', '--image-size 28x28'],
  '--max-bytes': number('--max-bytes'),
};

export const rows: Readonly<Record<string, CommandRows>> = {
  'publish-dataset': {
    call: ['iris.csv', '--label', 'species'],
    bare: help('publish-dataset'),
    offline: ['relay-unreachable', /run the same command again, or add a relay with --relay/],
    unset: noRelay,
    wrong: {
      ...data,
      '--shards': number('--shards'),
      '--partition': ['zzz', 'bad-usage', '--partition dirichlet'],
      '--labels-per-shard': number('--labels-per-shard'),
      '--alpha': number('--alpha'),
      '--partition-column': column('--partition-column'),
      '--copies': number('--copies'),
      '--name': 'free',
      '--expires': number('--expires'),
      '--job': ['nothing/here', 'bad-job', 'nmkt post-job --print-defaults'],
      '--max-sats': number('--max-sats'),
    },
  },
  check: {
    call: [JOB],
    bare: help('check'),
    offline: silent,
    unset: noRelay,
    wrong: {},
  },
  'delete-dataset': {
    call: [JOB],
    bare: help('delete-dataset'),
    offline: silent,
    unset: noRelay,
    wrong: {},
  },
  award: {
    call: [JOB],
    bare: help('award'),
    offline: silent,
    unset: noRelay,
    wrong: { '--bid': id, '--max-sats': 'free' },
  },
  offers: {
    call: [],
    bare: noRelay,
    offline: silent,
    unset: noRelay,
    wrong: {
      '--role': ['zzz', 'bad-usage', '--role trainer'],
      '--engine': 'free',
      '--model': ['zzz', 'bad-usage', '--model logreg'],
      '--params': number('--params'),
      '--max-price-sats': number('--max-price-sats'),
      '--min-throughput': number('--min-throughput'),
    },
  },
  'post-job': {
    call: ['--dataset', JOB],
    bare: ['bad-job', 'nmkt publish-dataset FILE, then nmkt post-job --dataset SNAPSHOT'],
    offline: silent,
    unset: noRelay,
    wrong: {
      '--title': 'free',
      '--dataset': id,
      '--model': job,
      '--size': job,
      '--hidden': job,
      '--rounds': job,
      '--trainers': job,
      '--shards-per-trainer': job,
      '--bids': job,
      '--payment': job,
      '--new-key-share': job,
      '--epochs': job,
      '--local-steps': job,
      '--batch': job,
      '--optimizer': job,
      '--learning-rate': job,
      '--momentum': job,
      '--weight-decay': job,
      '--clip-norm': job,
      '--proximal': job,
      '--warmup-steps': job,
      '--decay': job,
      '--aggregation': job,
      '--attackers': job,
      '--outer': job,
      '--outer-learning-rate': job,
      '--outer-momentum': job,
      '--outer-beta1': job,
      '--outer-beta2': job,
      '--outer-tau': job,
      '--codec': job,
      '--keep': job,
      '--feedback': job,
      '--max-price-sats': job,
      '--validators': job,
      '--validator-fee-sats': job,
      '--budget-sats': job,
      '--rail': job,
      '--payout-floor-sats': job,
      '--award': job,
      '--bid-window': job,
      '--ready-timeout': job,
      '--round-timeout': job,
      '--reveal-timeout': job,
      '--claim-within': job,
      '--pay-within': job,
      '--deadline': job,
      '--quorum': job,
      '--max-replacements': job,
      '--accepted-engines': job,
      '--verification': job,
      '--spot-rate': job,
      '--segments': job,
      '--audit': job,
      '--access': job,
      '--max-sats': number('--max-sats'),
    },
  },
  'collect-model': {
    call: [JOB, '--out', 'm'],
    bare: help('collect-model'),
    offline: silent,
    unset: noRelay,
    wrong: {
      '--out': ['file', 'bad-usage', 'name a folder after --out'],
      '--min-accuracy': number('--min-accuracy'),
      '--timeout': duration('--timeout'),
      '--max-sats': number('--max-sats'),
    },
  },
  cancel: {
    call: [JOB],
    bare: help('cancel'),
    offline: silent,
    unset: noRelay,
    wrong: { '--reason': 'free', '--max-sats': number('--max-sats') },
  },
  predict: {
    call: ['folder', 'iris.csv'],
    bare: help('predict'),
    offline: ['bad-usage', 'name the folder that nmkt collect-model wrote, or a model.json'],
    unset: ['bad-usage', 'name the folder that nmkt collect-model wrote, or a model.json'],
    wrong: { '--labels': 'free', '--max-bytes': number('--max-bytes'), '--limit': number('--limit') },
  },
  generate: {
    call: ['folder', '--prompt', 'a'],
    bare: help('generate'),
    offline: ['bad-usage', 'name the folder that nmkt collect-model wrote, or a model.json'],
    unset: ['bad-usage', 'name the folder that nmkt collect-model wrote, or a model.json'],
    wrong: {
      '--prompt': 'free',
      '--length': number('--length'),
      '--temperature': number('--temperature'),
      '--seed': number('--seed'),
    },
  },
  inspect: {
    call: ['iris.csv', '--label', 'species'],
    bare: help('inspect'),
    offline: 'done',
    unset: 'done',
    wrong: {
      ...data,
      '--model': job,
      '--size': job,
      '--hidden': job,
      '--batch': job,
      '--job': ['nothing/here', 'bad-job', 'nmkt post-job --print-defaults'],
      '--max-params': number('--max-params'),
      '--max-memory': number('--max-memory'),
    },
  },
  train: {
    call: ['iris.csv', '--label', 'species', '--out', 'm', '--epochs', '1'],
    bare: help('train'),
    offline: 'done',
    unset: 'done',
    wrong: {
      '--out': ['file', 'bad-usage', 'name a folder after --out'],
      ...data,
      '--model': job,
      '--size': job,
      '--hidden': job,
      '--batch': job,
      '--optimizer': job,
      '--learning-rate': job,
      '--momentum': job,
      '--weight-decay': job,
      '--clip-norm': job,
      '--warmup-steps': job,
      '--decay': job,
      '--epochs': job,
      '--local-steps': ['zzz', 'bad-usage', 'leave one out'],
      '--job': ['nothing/here', 'bad-job', 'nmkt post-job --print-defaults'],
      '--checkpoint-every': number('--checkpoint-every'),
      '--threads': number('--threads'),
    },
  },
  'serve-trainer': {
    call: ['--price', '100', '--once', '--timeout', '1s'],
    bare: help('serve-trainer'),
    offline: ['timeout', /./],
    unset: noRelay,
    wrong: {
      '--price': number('--price'),
      '--price-per-gflop': number('--price-per-gflop'),
      '--price-per-job': number('--price-per-job'),
      '--shards': number('--shards'),
      '--job': id,
      '--timeout': duration('--timeout'),
      '--max-params': number('--max-params'),
      '--max-bytes': number('--max-bytes'),
      '--max-minutes': number('--max-minutes'),
      '--parallel': number('--parallel'),
      '--max-exposure': number('--max-exposure'),
      '--allow': id,
      '--deny': id,
      '--threads': number('--threads'),
    },
  },
  'serve-validator': {
    call: ['--once', '--timeout', '1s'],
    bare: noRelay,
    offline: ['timeout', /./],
    unset: noRelay,
    wrong: {
      '--fee': number('--fee'),
      '--job': id,
      '--timeout': duration('--timeout'),
      '--max-params': number('--max-params'),
      '--max-bytes': number('--max-bytes'),
      '--max-minutes': number('--max-minutes'),
      '--allow': id,
      '--deny': id,
      '--threads': number('--threads'),
    },
  },
  bid: {
    call: [JOB, '--price', '100'],
    bare: help('bid'),
    offline: silent,
    unset: noRelay,
    wrong: { '--price': number('--price'), '--shards': number('--shards') },
  },
  earnings: { call: [], bare: 'done', offline: 'done', unset: 'done', wrong: {} },
  resign: { call: [JOB], bare: help('resign'), offline: silent, unset: noRelay, wrong: { '--reason': 'free' } },
  init: {
    call: ['--new-key'],
    asks: [['--encrypt'], 'bad-usage', /--key-password-file.*NMKT_KEY_PASSWORD/],
    bare: ['bad-usage', 'nmkt init --new-key --relay wss://relay.example'],
    offline: 'done',
    unset: ['bad-usage', 'nmkt init --new-key --relay wss://relay.example'],
    wrong: { '--role': ['zzz', 'bad-usage', 'nmkt init --help'] },
  },
  status: { call: [JOB], bare: 'done', offline: silent, unset: noRelay, wrong: {} },
  audit: {
    call: [JOB],
    bare: help('audit'),
    offline: silent,
    unset: noRelay,
    wrong: {
      '--keys': ['nothing/here', 'bad-usage', /leave out --keys/],
      '--level': ['zzz', 'bad-usage', '--level keys'],
      '--dump': ['nothing/here', 'bad-usage', 'name another file with --dump'],
      '--from-dump': ['nothing/here', 'bad-usage', 'leave out --relay'],
    },
  },
  rating: {
    call: [KEY],
    bare: ['bad-usage', 'nmkt rating NPUB, or nmkt rating --all'],
    offline: silent,
    unset: noRelay,
    wrong: { '--trust': id, '--as': id, '--from-dump': ['nothing/here', 'bad-usage', /./] },
  },
  explain: {
    call: [JOB],
    bare: help('explain'),
    offline: silent,
    unset: noRelay,
    wrong: { '--job': id, '--trust': id, '--as': id, '--from-dump': ['nothing/here', 'bad-usage', /./] },
  },
  doctor: { call: [], bare: 'done', offline: 'done', unset: 'done', wrong: {} },
  whoami: { call: [], bare: 'done', offline: 'done', unset: 'done', wrong: {} },
  completion: { call: ['bash'], bare: help('completion'), offline: 'done', unset: 'done', wrong: {} },
  backup: {
    call: ['x.bak'],
    env: { NMKT_KEY: KEY },
    bare: help('backup'),
    asks: [['--password'], 'bad-usage', /--password-file|NMKT_BACKUP_PASSWORD/],
    offline: 'done',
    unset: 'done',
    wrong: { '--password-file': ['nothing/here', 'bad-settings', /./] },
  },
  restore: {
    call: ['x.bak'],
    bare: help('restore'),
    offline: ['bad-usage', 'name another file'],
    unset: ['bad-usage', 'name another file'],
    wrong: { '--password-file': 'free' },
  },
  demo: {
    call: ['--data', 'nothing.csv'],
    bare: 'serves',
    offline: ['bad-dataset', 'check the path'],
    unset: ['bad-dataset', 'check the path'],
    wrong: {
      '--trainers': number('--trainers'),
      '--rounds': number('--rounds'),
      '--model': ['zzz', 'bad-usage', 'nmkt demo --model mlp'],
      '--data': noFile,
      '--label': ['zzz', 'bad-usage', 'nmkt demo --data FILE --label COLUMN'],
      '--test': ['zzz', 'bad-usage', 'nmkt demo --data FILE --label COLUMN'],
      '--price': number('--price'),
      '--dir': ['file', 'bad-settings', /check the path/],
    },
    wrongCall: [],
  },
  plan: {
    call: ['job.json', '--data', 'iris.csv', '--label', 'species'],
    bare: help('plan'),
    offline: 'done',
    unset: 'done',
    wrong: {
      ...data,
      '--data': noFile,
      '--shards': number('--shards'),
      '--partition': ['zzz', 'bad-usage', '--partition dirichlet'],
      '--labels-per-shard': number('--labels-per-shard'),
      '--alpha': number('--alpha'),
      '--partition-column': column('--partition-column'),
      '--rounds': job,
      '--throughput': number('--throughput'),
      '--relays': number('--relays'),
    },
  },
  simulate: {
    call: ['job.json', '--data', 'iris.csv', '--label', 'species', '--training', 'stub', '--trainers', '2'],
    bare: help('simulate'),
    offline: 'done',
    unset: 'done',
    wrong: {
      ...data,
      '--trainers': number('--trainers'),
      '--seats': number('--seats'),
      '--attack': ['zzz', 'bad-usage', '--attack signflip:0.3'],
      '--training': ['zzz', 'bad-usage', '--training stub'],
      '--data': noFile,
      '--partition': ['zzz', 'bad-usage', '--partition dirichlet'],
      '--labels-per-shard': number('--labels-per-shard'),
      '--alpha': number('--alpha'),
      '--partition-column': column('--partition-column'),
      '--rounds': job,
      '--seed': number('--seed'),
      '--out': ['file', 'bad-usage', 'name a folder after --out'],
    },
  },
  sandbox: {
    call: ['--dir', 'sb', '--port', 'TAKEN'],
    bare: help('sandbox'),
    offline: portTaken,
    unset: portTaken,
    wrong: {
      '--dir': ['file', 'bad-settings', /check the path/],
      '--trainers': count('--trainers'),
      '--validators': count('--validators'),
      '--sats': count('--sats'),
      '--port': count('--port'),
    },
  },
  relay: {
    call: ['--memory', '--port', 'TAKEN'],
    bare: 'serves',
    offline: portTaken,
    unset: portTaken,
    wrong: {
      '--port': ['zzz', 'bad-usage', 'nmkt relay --port 7447'],
      '--host': ['999.1.1.1', 'bad-settings', /nmkt relay --host 127.0.0.1 --port 7447/],
      '--dir': ['folder', 'bad-usage', /nmkt relay --memory/],
      '--allow': ['zzz', 'bad-key', /copy the whole identifier/],
      '--allow-file': ['nothing/here', 'bad-settings', /correct nothing/],
      '--quota-bytes': ['-1', 'bad-usage', /--quota-bytes N, with N from 1/],
      '--quota-events': ['-1', 'bad-usage', /--quota-events N, with N from 1/],
      '--rate': ['-1', 'bad-usage', /--rate N, with N from 1/],
      '--public-url': ['zzz', 'bad-usage', /nmkt relay --public-url wss:/],
    },
  },
};

/** Options of every command, with a value that none of them takes. */
export const sharedWrong: Readonly<Record<string, 'free' | readonly [string, ...Exclude<Ending, string>]>> = {
  '--home': ['file', 'bad-settings', /--home DIR or NMKT_HOME/],
  '--settings': ['nothing/here', 'bad-settings', /./],
  '--relay': ['http://relay.example', 'bad-settings', 'correct relays in --relay'],
  '--network': ['zzz', 'bad-settings', 'correct network in --network'],
  '--key-file': ['nothing/here', 'bad-settings', /./],
  // Read only when a key is under a password.
  '--key-password-file': 'free',
  '--wallet-file': ['nothing/here', 'bad-settings', /./],
  '--engine': ['zzz', 'bad-settings', 'correct engine in --engine'],
};
