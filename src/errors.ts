/**
 * Every error a user can meet: one row per code here and one in docs/exit-codes.md (a test compares the two).
 * Exit status: 1 our bug, 2 usage or settings, 3 unreachable, 4 refused or failed verification,
 * 5 wrong moment, 6 payment failed or unknown, 7 partly done, 130 interrupted.
 */
interface ErrorRow {
  readonly exit: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 130;
  /** Is running the same command again safe and possibly useful? */
  readonly retry: boolean;
  readonly meaning: string;
}

export const ERRORS = {
  'internal-error': { exit: 1, retry: false, meaning: 'a bug in nmkt' },
  'bad-usage': { exit: 2, retry: false, meaning: 'a flag or argument is missing, unknown or contradicts another' },
  'bad-settings': {
    exit: 2,
    retry: false,
    meaning: 'a settings file, environment variable or nmkt.json is not usable',
  },
  'unsafe-secret-file': { exit: 2, retry: false, meaning: 'a file that holds a secret can be read by others' },
  'bad-key': { exit: 2, retry: false, meaning: 'a private key, npub or other identifier is malformed' },
  'wrong-password': { exit: 2, retry: false, meaning: 'the password does not open the encrypted private key' },
  'bad-dataset': { exit: 2, retry: false, meaning: 'a data file is empty, ragged, unreadable or of an unknown format' },
  'label-missing': { exit: 2, retry: false, meaning: 'the label column or label file is not there' },
  'bad-recipe': { exit: 2, retry: false, meaning: 'a file of recipes for an arena is not usable' },
  'bad-job': { exit: 2, retry: false, meaning: 'a job file or job flag is not usable' },
  'wrong-mode': { exit: 2, retry: false, meaning: 'the job is of another mode than the command is for' },
  'no-wallet': { exit: 2, retry: false, meaning: 'the job pays but no wallet is set' },
  'network-mismatch': {
    exit: 2,
    retry: false,
    meaning: 'wallet, invoice and settings name different bitcoin networks',
  },
  'mainnet-not-confirmed': { exit: 2, retry: false, meaning: 'real bitcoin would move without an explicit yes' },
  'engine-unavailable': { exit: 2, retry: false, meaning: 'no training engine that the job accepts loads here' },
  'relay-unreachable': { exit: 3, retry: true, meaning: 'too few relays answered' },
  'wallet-unreachable': { exit: 3, retry: true, meaning: 'the wallet service did not answer' },
  'bunker-unreachable': { exit: 3, retry: true, meaning: 'the remote signer that holds the key did not answer' },
  timeout: { exit: 3, retry: true, meaning: 'the thing waited for did not happen in time' },
  'port-in-use': { exit: 2, retry: true, meaning: 'another process listens on that port' },
  'disk-full': { exit: 3, retry: true, meaning: 'there is not enough free disk space' },
  'disk-failed': { exit: 3, retry: true, meaning: 'the disk did not take what has to be kept' },
  'bad-event': { exit: 4, retry: false, meaning: 'an event breaks its schema, its signature or its id' },
  'unsupported-version': { exit: 4, retry: false, meaning: 'an event of a protocol version this nmkt does not know' },
  'bad-blob': { exit: 4, retry: false, meaning: 'a blob does not open, or its bytes are not canonical' },
  'hash-mismatch': { exit: 4, retry: false, meaning: 'bytes differ from the hash that was promised' },
  'shape-mismatch': { exit: 4, retry: false, meaning: 'tensor names, shapes or types differ from the model' },
  'too-large': { exit: 4, retry: false, meaning: 'something declares or has a size above a limit' },
  'bad-journal': { exit: 4, retry: false, meaning: 'a line of a local journal is damaged' },
  'bad-backup': { exit: 4, retry: false, meaning: 'a backup file is damaged, cut short or none at all' },
  'home-not-empty': { exit: 4, retry: false, meaning: 'a restore would replace other state of this home' },
  'wrong-key': { exit: 4, retry: false, meaning: 'the key does not open this content' },
  'not-your-job': {
    exit: 4,
    retry: false,
    meaning: 'this key may not act for the author of the job or open its model',
  },
  'over-budget': { exit: 4, retry: false, meaning: 'a budget, cap or exposure limit would be passed' },
  'accuracy-too-low': { exit: 4, retry: false, meaning: 'the model is there but below --min-accuracy' },
  'audit-failed': { exit: 4, retry: false, meaning: 'an event of the job does not follow from the others' },
  'bunker-refused': { exit: 4, retry: false, meaning: 'the remote signer that holds the key said no' },
  'relay-refused': { exit: 4, retry: false, meaning: 'every relay refused the event' },
  'training-failed': {
    exit: 4,
    retry: false,
    meaning: 'training ran out of memory or out of time, or does not repeat to the bit where the job checks bits',
  },
  diverged: {
    exit: 4,
    retry: false,
    meaning: 'a training ran away: its loss is no number, or far above where it began',
  },
  'job-unknown': { exit: 3, retry: true, meaning: 'no relay that answered has this job or dataset' },
  'home-locked': { exit: 5, retry: true, meaning: 'another nmkt process uses this home' },
  'key-in-use': { exit: 5, retry: true, meaning: 'another process signs with the same key' },
  'job-closed': { exit: 5, retry: false, meaning: 'the job is finished, cancelled or lapsed' },
  'dataset-deleted': { exit: 5, retry: false, meaning: 'the dataset was deleted, its keys are gone' },
  'dataset-in-use': { exit: 5, retry: true, meaning: 'a job that is not over still needs the dataset' },
  'not-awarded': { exit: 5, retry: false, meaning: 'the job went to other trainers' },
  'not-ready': { exit: 5, retry: true, meaning: 'the job has not reached that point yet' },
  forked: { exit: 4, retry: false, meaning: 'one author signed two events with the same sequence number' },
  'payment-failed': { exit: 6, retry: true, meaning: 'the wallet refused or failed a payment' },
  'payment-unknown': { exit: 6, retry: true, meaning: 'a payment was sent and its outcome is not known yet' },
  'bad-invoice': { exit: 6, retry: false, meaning: 'an invoice does not match the claim, amount, network or expiry' },
  'partly-done': { exit: 7, retry: true, meaning: 'some parts succeeded, the output says which' },
  interrupted: { exit: 130, retry: true, meaning: 'stopped by a signal; run the same command to go on' },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorDetail {
  /** The next thing to type or to do. */
  readonly remedy: string;
  readonly expected?: string;
  readonly got?: string;
  readonly cause?: unknown;
  /** A result that is still worth printing (exit 4 with the model there, exit 7 with the parts done). */
  readonly value?: unknown;
}

/** The one error class: what happened with the actual values, what to do next, why. */
export class NmktError extends Error {
  readonly code: ErrorCode;
  readonly remedy: string;
  readonly expected: string | undefined;
  readonly got: string | undefined;
  readonly value: unknown;

  constructor(code: ErrorCode, message: string, detail: ErrorDetail) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = 'NmktError';
    this.code = code;
    this.remedy = detail.remedy;
    this.expected = detail.expected;
    this.got = detail.got;
    this.value = detail.value;
  }

  get exitStatus(): number {
    return ERRORS[this.code].exit;
  }
}

export function isNmktError(error: unknown, code?: ErrorCode): error is NmktError {
  return error instanceof NmktError && (code === undefined || error.code === code);
}
