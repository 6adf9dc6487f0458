import type { EventName } from '../../src/protocol/events.js';

/** A change of a content's JSON that makes it invalid. */
export type Edit = readonly [name: string, edit: (content: Json) => unknown];

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a hostile author writes any JSON
type Json = any;

export const hugeText = (chars: number) => 'x'.repeat(chars);
const HEX = 'AB'.repeat(32);
const UNSAFE = 2 ** 53;

const set = (field: string, value: unknown, name = `${field}: ${JSON.stringify(value).slice(0, 40)}`): Edit => [
  name,
  (content) => ({ ...content, [field]: value }),
];
const drop = (field: string): Edit => [
  `no ${field}`,
  (content) => Object.fromEntries(Object.entries(content as object).filter(([key]) => key !== field)),
];
const inside = (field: string, key: string, value: unknown): Edit => [
  `${field}.${key}: ${JSON.stringify(value).slice(0, 40)}`,
  (content) => ({ ...content, [field]: { ...content[field], [key]: value } }),
];
/** In the first of a list of objects. */
const first = (list: string, key: string, value: unknown): Edit => [
  `${list}.0.${key}: ${JSON.stringify(value).slice(0, 40)}`,
  (content) => ({
    ...content,
    [list]: content[list].map((row: object, i: number) => (i === 0 ? { ...row, [key]: value } : row)),
  }),
];
const amount = (field: string): Edit[] => [
  set(field, 21_000, `${field} as a number`),
  set(field, '021000', `${field} with a leading zero`),
  set(field, '-1', `${field} below zero`),
  set(field, '2100000000000000001', `${field} above all bitcoin`),
];
const integer = (field: string): Edit[] => [
  set(field, -1),
  set(field, 1.5),
  set(field, UNSAFE, `${field}: 2^53`),
  set(field, '1', `${field} as a string`),
];
const upper = (field: string): Edit => set(field, HEX, `${field} in upper case`);
const tooMany = (field: string, value: unknown, count = 1_025): Edit => [
  `${count} ${field}`,
  (content) => ({ ...content, [field]: Array.from({ length: count }, () => value) }),
];
const id = 'ab'.repeat(32);

const schemaEdits: Edit[] = [
  inside('schema', 'inputs', 5),
  inside('schema', 'outputs', 1),
  inside('schema', 'shape', []),
  inside('schema', 'dtype', 'F64'),
  inside('schema', 'scale', 255),
  inside('schema', 'classes', ['a']),
  inside('schema', 'columns', [{ kind: 'text', name: 'a' }]),
  inside('schema', 'columns', [{ kind: 'categorical', name: 'a', values: ['one'] }]),
  inside('schema', 'target', { name: 'a', mean: '1.0', stdDev: '1.000000000' }),
  inside('schema', 'target', { name: 'a', mean: '-0.000000000', stdDev: '1.000000000' }),
  inside('schema', 'target', { name: 'a', mean: '0.000000000', stdDev: '0.000000000' }),
];
const text = (name: string, outputs: number, of: object, dtype = 'F32'): Edit => [
  name,
  (content) => ({
    ...content,
    schema: { task: 'classification', shape: [8], inputs: 8, dtype, scale: 1, outputs, text: of },
  }),
];
const textEdits: Edit[] = [
  text('a merge of a token that comes later', 257, { tokenizer: 'bpe', merges: 'AQAAYg==' }),
  text('the same merge twice', 258, { tokenizer: 'bpe', merges: 'AGEAYgBhAGI=' }),
  text('half a merge', 257, { tokenizer: 'bpe', merges: 'AGEA' }),
  text('merges in base64 that is not canonical', 257, { tokenizer: 'bpe', merges: 'AGEAYg' }),
  text('more outputs than tokens', 258, { tokenizer: 'bpe', merges: 'AGEAYg==' }),
  text('byte pairs stored in bytes', 257, { tokenizer: 'bpe', merges: 'AGEAYg==' }, 'U8'),
];
const manifestEdits: Edit[] = [
  upper('salt'),
  set('part', 'c'),
  set('listing', 'open'),
  set('name', hugeText(201), 'a name of 201 characters'),
  set('name', 'two\nlines'),
  set('shards', []),
  first('shards', 'size', UNSAFE),
  first('shards', 'examples', 0),
  ...schemaEdits,
];
const artifactEdits: Edit[] = [
  set('key', 'ab', 'a short key'),
  drop('key'),
  inside('model', 'hidden', [4]),
  inside('weights', 'sha256', HEX),
  set('lossPpm', -1),
  first('trainers', 'rounds', -1),
  ...schemaEdits.slice(0, 4),
];

/** Four inputs and three outputs, as the job has them. */
const stack = (name: string, ...layers: object[]): Edit => [
  name,
  (job) => ({ ...job, model: { model: 'sequential', task: 'classification', inputs: 4, outputs: 3, shape: [4], stack: layers } }),
];
const head = { kind: 'dense', units: 3, bias: true };
const layersEdits: Edit[] = [
  stack('no layers'),
  stack('65 layers', ...Array.from({ length: 64 }, () => ({ kind: 'relu' })), head),
  stack('a layer that is off the list', { kind: 'lambda', code: 'x' }, head),
  stack('a dense layer without bias true or false', { kind: 'dense', units: 3 }),
  stack('a dense layer of no units', { kind: 'dense', units: 0, bias: true }, head),
  stack('layers that end in another number of outputs', { ...head, units: 4 }),
  stack('a convolution of what is no image', { kind: 'conv', filters: 1, kernel: [1, 1], strides: [1, 1], padding: 'same', bias: true }, head),
  [
    'a window larger than the image',
    (job) => ({
      ...job,
      model: {
        ...{ model: 'sequential', task: 'classification', inputs: 4, outputs: 3, shape: [2, 2, 1] },
        stack: [{ kind: 'max-pool', size: [3, 1], strides: [1, 1], padding: 'valid' }, { kind: 'flatten' }, head],
      },
    }),
  ],
];

export const badContents: Record<EventName | 'snapshot' | 'listing' | 'artifact-listing' | 'offer', readonly Edit[]> = {
  snapshot: [...manifestEdits, ...textEdits],
  listing: manifestEdits.slice(0, 4),
  'artifact-listing': artifactEdits.slice(0, 4),
  offer: [
    set('role', 'customer'),
    set('role', 'validator', 'another role than its address'),
    set('models', []),
    set('models', ['bert']),
    set('relays', []),
    set('relays', ['https://relay.example']),
    set('expires', 1, 'another time than its expiration'),
    ...amount('leastMsat'),
    drop('tflopMsat'),
    ...integer('throughput'),
  ],
  job: [
    ...amount('maxPriceMsat'),
    set('mode', 'arena'),
    upper('dataset'),
    ['epochs and localSteps', (job) => ({ ...job, hyper: { ...job.hyper, localSteps: 10 } })],
    ['neither epochs nor localSteps', (job) => ({ ...job, hyper: { ...job.hyper, epochs: undefined } })],
    ...['0', '-0.1', '0.10', '1e-3', '.5', 'NaN'].map((rate) => inside('hyper', 'learningRate', rate)),
    inside('hyper', 'learningRate', 0.1),
    ...['0', '1000.5', 0.1].map((mu) => inside('hyper', 'proximal', mu)),
    inside('hyper', 'dropout', '0.1'),
    inside('model', 'hidden', [16]),
    ['mlp without hidden layers', (job) => ({ ...job, model: { ...job.model, model: 'mlp' } })],
    inside('model', 'outputs', 1),
    ...layersEdits,
    set('rounds', 0),
    set('quorum', 3),
    set('relays', []),
    set('relays', ['https://relay.example']),
    set('relays', Array.from({ length: 13 }, () => 'wss://relay.example'), '13 relays'),
    set('acceptedEngines', ['gpu']),
    set('verification', 'spot', 'spot checks without their terms'),
    set('verification', 'trust'),
    set('spot', { ratePpm: 1, everySteps: 1, engine: 'wasm' }, 'terms of spot checks without verification spot'),
    set('deadline', UNSAFE, 'a deadline of 2^53'),
    set('rail', 'none', 'a price on rail none'),
    set('shardsPerTrainer', 1),
    set('newKeyShare', 1_000_001),
    set('payment', 'uniform', 'one price of open bids'),
    set('bids', 'open'),
    set('keyRelease', 'paid'),
    set('minBidPow', 0),
    set('keyRelease', 'staked', 'keyRelease staked without stake'),
    ['a stake of validators without seats for them', (job) => ({ ...job, stake: { trainerMsat: '0', validatorMsat: '1', delegatedPpm: 0, maxDelegated: 0, intervalSec: 1 } })],
    ['an interval of no time', (job) => ({ ...job, stake: { trainerMsat: '1', validatorMsat: '0', delegatedPpm: 0, maxDelegated: 0, intervalSec: 0 } })],
    set('maxHolders', 0),
    set('disputes', { withinSec: 60 }, 'disputes without validators'),
    ['an award by hand with newKeyShare', (job) => ({ ...job, award: 'manual', newKeyShare: 1 })],
    set('title', 'a\u0000b', 'a control character'),
  ],
  bid: [set('lock', null), ...amount('priceMsat'), set('capacity', 0), set('engine', ''), set('engine', hugeText(121), 'a long engine id'), ...integer('expires')],
  'sealed-bid': [upper('commitment'), drop('commitment'), set('sealed', 'AAAA', 'a sealed text too short for NIP-44'), drop('sealed')],
  withdrawn: [set('reason', hugeText(501), 'a reason of 501 characters'), set('reason', null), set('reason', 'a\u007fb')],
  award: [
    set('winners', []),
    first('winners', 'shard', 65_536),
    first('winners', 'grant', HEX),
    first('winners', 'priceMsat', 21_000),
    first('bids', 'outcome', 'lost'),
    first('bids', 'rule', 'ugly'),
    first('bids', 'attempts', -1),
    first('bids', 'shards', 1),
    first('bids', 'stakeMsat', 3),
    set('withheld', 0),
    first('bids', 'opened', {}),
    set('counted', []),
    set('counted', [HEX]),
    inside('rule', 'name', 'mode'),
    drop('rule'),
  ],
  replace: [set('degraded', false), set('reason', 'dislike'), upper('out'), inside('in', 'priceMsat', '01'), drop('in'), ...integer('shard')],
  cancel: [set('reason', 7), drop('reason')],
  ready: [upper('award'), upper('grant'), ...integer('shard')],
  'grant-bad': [set('rule', 'mood'), set('detail', hugeText(501), 'a detail of 501 characters'), drop('award')],
  resign: [set('reason', ['x']), drop('reason')],
  open: [
    set('trainers', []),
    first('trainers', 'trainer', HEX),
    inside('base', 'chunks', -1),
    inside('base', 'size', UNSAFE),
    inside('base', 'ids', [id.slice(1)]),
    set('inline', 'AB==', 'base64 with stray low bits'),
    set('inline', 'A A=', 'base64 with white space'),
    set('inline', hugeText(34_004), 'too much inline'),
    set('difference', { coding: 'xor', to: id, sha256: id, size: 9 }, 'a difference in another coding'),
    set('difference', { coding: 'ordered-words', sha256: id, size: 9 }, 'a difference to nothing'),
    set('difference', { coding: 'ordered-words', to: id, sha256: id, size: -1 }, 'a difference of less than nothing'),
    ...integer('until'),
  ],
  stake: [set('role', 'customer'), set('sigmaPpm', 1_000_001), upper('lock'), ...amount('amountMsat')],
  delegate: [upper('operator'), drop('lock'), ...amount('amountMsat')],
  withdraw: [set('of', HEX), drop('of')],
  slash: [upper('lock'), set('evidence', []), set('evidence', [HEX])],
  'stake-table': [
    first('rows', 'ownMsat', 1_000),
    first('rows', 'role', 'delegator'),
    set('events', [HEX]),
    set('events', Array.from({ length: 401 }, () => id), '401 events'),
    ...integer('interval'),
  ],
  seen: [set('of', 'bids'), set('ids', [HEX]), tooMany('ids', id), ...integer('round')],
  list: [set('degraded', 'yes'), set('until', 'soon'), drop('until'), set('ids', 'all'), tooMany('ids', id), set('round', 100_001)],
  draw: [set('s', 'ab', 'a short s'), upper('s'), upper('list'), set('nonces', []), tooMany('nonces', id, 16)],
  close: [
    upper('aggregate'),
    first('accepted', 'submission', null),
    set('rejected', [{ submission: null, trainer: id, shard: 0, rule: 'lazy', detail: '' }], 'an unknown rule'),
    set('root', id, 'a root update without a pointer'),
    set('lossPpm', -1),
    set('lossPpm', 0.5),
    set('accuracyPpm', UNSAFE),
    drop('accuracyPpm'),
  ],
  void: [set('degraded', null), set('reason', 'rain'), ...integer('round')],
  commit: [upper('commitment'), set('commitment', id.slice(2), 'a short commitment'), drop('open'), ...integer('shard')],
  reveal: [
    upper('salt'),
    set('salt', id.slice(2), 'a short salt'),
    upper('updateHash'),
    set('sealed', 'AAAA', 'a sealed text too short for NIP-44'),
    set('sealed', hugeText(64_001), 'content above 64,000 characters'),
    set('inline', null),
    set('checkpoints', [HEX], 'a checkpoint in upper case'),
    tooMany('checkpoints', id, 128),
    drop('checkpoints'),
  ],
  fraud: [set('ends', []), set('ends', [HEX], 'an end in upper case'), tooMany('ends', id, 129), upper('trainer'), upper('committed'), upper('repeated'), drop('scores'), set('segment', 128), ...integer('shard')],
  complaint: [
    upper('subject'),
    drop('found'),
    set('found', { what: 'score', field: 'mood', ppm: 1 }, 'an unknown number'),
    set('found', { what: 'score', field: 'dPpm', ppm: 0.5 }, 'half a ppm'),
    set('found', { what: 'segment', segment: 128, hash: id }, 'segment 128'),
    set('found', { what: 'segment', segment: 1, hash: HEX }, 'a hash in upper case'),
    set('detail', hugeText(501), 'a detail of 501 characters'),
    ...integer('shard'),
  ],
  'validator-fraud': [
    upper('validator'),
    drop('scores'),
    set('field', 'mood'),
    set('witnesses', []),
    tooMany('witnesses', id, 16),
    ...integer('shard'),
  ],
  dispute: [upper('complaint'), drop('complaint'), ...integer('shard')],
  'dispute-nonce': [upper('nonce'), set('nonce', 'ab', 'a short nonce'), drop('dispute'), ...integer('round')],
  'dispute-draw': [upper('dispute'), set('nonces', []), tooMany('nonces', id, 16), ...integer('round')],
  verdict: [upper('hash'), upper('draw'), set('segment', 128), set('engine', hugeText(121), 'a long engine id'), drop('hash'), ...integer('shard')],
  register: [set('disputeCommitment', 'ab', 'a short commitment for disputes'), upper('nonceCommitment'), drop('nonceCommitment'), set('engine', hugeText(121), 'a long engine id'), ...integer('expires')],
  nonce: [upper('nonce'), set('nonce', 'ab', 'a short nonce'), drop('list'), ...integer('round')],
  'score-commit': [upper('commitment'), drop('list'), set('commitment', id.slice(2), 'a short commitment'), ...integer('round')],
  scores: [
    first('scores', 'dPpm', 0.1),
    first('scores', 'ePpm', UNSAFE),
    first('scores', 'ownBeforePpm', -1),
    first('scores', 'ownSePpm', -1),
    first('scores', 'lossPpm', '600000'),
    first('scores', 'trainer', HEX),
    first('scores', 'spot', { segment: -1, hash: id }),
    first('scores', 'spot', { segment: 0, hash: HEX }),
    first('scores', 'spot', 0),
    set('engine', hugeText(121), 'a long engine id'),
    set('opening', { list: id, commit: id, salt: id.slice(2) }, 'an opening with a short salt'),
    set('opening', null, 'an opening that is null'),
  ],
  settlement: [
    ...amount('totalMsat'),
    first('plan', 'amountMsat', '00'),
    first('plan', 'purpose', 'gift'),
    first('plan', 'payout', HEX),
  ],
  claim: [...amount('amountMsat'), upper('invoiceHash'), drop('invoiceHash'), upper('payout'), set('sealed', '', 'no sealed text'), drop('settlement')],
  'claim-void': [upper('paymentHash'), drop('paymentHash'), set('reason', hugeText(501), 'a reason of 501 characters')],
  receipt: [
    ...amount('amountMsat'),
    upper('preimage'),
    set('invoice', 'LNBCRT210N1XXXXXXXXXXXXX'),
    set('invoice', 'lnbc1'),
    set('invoice', `ln${hugeText(7_088)}`, 'an invoice of 7,090 characters'),
  ],
  received: [...amount('amountMsat'), upper('receipt')],
  'claim-bad': [upper('payout'), drop('rule'), set('rule', 'sealed', 'an invoice with rule sealed'), set('invoice', null, 'no invoice with another rule'), set('rule', 'price', 'another rule')],
  unpaid: [set('degraded', 1), ...amount('amountMsat'), drop('claim')],
  artifact: artifactEdits,
};
