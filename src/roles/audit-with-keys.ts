import { isNmktError } from '../errors.js';
import type { EventId, Sha256 } from '../hash.js';
import { checkOwnSize } from '../learning/own-limits.js';
import { initialParams, paramsHash } from '../learning/params.js';
import { initialisationSeed, seedCommitment } from '../learning/seeds.js';
import type { ParamSet } from '../learning/types.js';
import { countedIn, outcomeOf, type JobState, type RoundState } from '../market/state.js';
import type { DatasetManifest } from '../protocol/dataset.js';
import type { EventOf } from '../protocol/events.js';
import { tagValue } from '../protocol/envelope.js';
import type { NostrEvent, Relays } from '../ports.js';
import type { AuditKeys, Finding } from './audit-format.js';
import { fetchBase } from './base-model.js';
import { judgeRound, openUpdates } from './measure.js';
import { nextModel, rulesOf, type NextModel, type RoundStart } from './next-model.js';
import { artifactLabel, fetchParams, rootLabel } from './round-blobs.js';
import { openableIn } from './sold-keys.js';
import { openDrawnStates, type OpenedStates } from './spot-check.js';

/** An audit comes long after anything was due. */
const LATER = Infinity;

export interface KeyAuditPorts {
  readonly relays: Relays;
  readonly keys: AuditKeys;
  readonly manifest: DatasetManifest;
  /** An event of the job, if it is at hand. */
  raw(id: EventId): NostrEvent | undefined;
  /** What is checked of a round, and of the model, once they are open: nothing without the data. */
  readonly measure?: Measure;
  readonly signal?: AbortSignal;
  onProgress?(text: string): void;
}

export interface OpenedRound {
  readonly base: ParamSet;
  /** Those that open, by shard. */
  readonly updates: ReadonlyMap<number, ParamSet>;
  /** Of the drawn updates that open, the segment and the state before it. */
  readonly drawn: OpenedStates['drawn'];
  /** Null until the round is closed. */
  readonly aggregate: ParamSet | null;
  /** What the rule takes of the customer; null where it takes nothing, and until the round is closed. */
  readonly root: ParamSet | null;
}
export interface Measure {
  round(round: RoundState, opened: OpenedRound): Promise<Finding | null>;
  artifact(artifact: EventOf<'artifact'>, params: ParamSet): Promise<Finding | null>;
}

/** With the audit keys: blobs opened, hashes and Merkle roots checked, acceptance repeated, aggregates recomputed to the byte. */
export async function auditWithKeys(state: JobState, ports: KeyAuditPorts): Promise<Finding | null> {
  const job = state.job!;
  const { keys, measure } = ports;
  const gone = auditHeads(ports);
  if (gone !== null) return gone;
  if (seedCommitment(keys.seed) !== job.content.seedCommitment)
    return { event: job.id, rule: 'seed', detail: 'the seed is not the one the job committed to' };
  checkOwnSize(job.content.model, 1); // a job may ask for any size
  let model: Sha256 = paramsHash(initialParams(job.content.model, initialisationSeed(keys.seed)));
  let outerState: ParamSet | null = null;
  let before: ParamSet | null = null;
  for (const round of state.rounds) {
    ports.onProgress?.(`recomputing round ${round.round + 1} of ${state.rounds.length}`);
    if (round.open.content.base.sha256 !== model)
      return { event: round.open.id, rule: 'base', detail: `the round must start from ${model}` };
    const base = await openBase(state, round, before, ports);
    if ('rule' in base) return base;
    const next = await auditRound(state, round, { base, outerState }, ports);
    if (next !== null && 'rule' in next) return next;
    if (next !== null && countedIn(job.content, round).length > 0) outerState = next.outerState;
    model = outcomeOf(round)?.aggregate ?? model;
    before = base;
  }
  const { artifact } = state;
  if (artifact === null || keys.artifact === null) return null;
  const { weights: pointer, inline } = artifact.content;
  const params = await opened(artifact.id, () =>
    fetchParams(
      ports.relays,
      { pointer, inline, key: keys.artifact!, label: artifactLabel(job.id) },
      job.content.model,
      ports.signal,
    ),
  );
  if ('rule' in params) return params;
  return (await measure?.artifact(artifact, params)) ?? null;
}

/** Every chain must still lead to the last event that the customer saw: none left out, none signed again. */
function auditHeads(ports: KeyAuditPorts): Finding | null {
  for (const { author, event: head } of ports.keys.heads ?? []) {
    for (let id: string | undefined = head; id !== undefined;) {
      const event = ports.raw(id as EventId);
      if (event === undefined)
        return {
          event: id as EventId,
          rule: 'missing',
          detail: `${author} signed it and no relay that answered has it`,
        };
      id = tagValue(event, 'prev');
    }
  }
  return null;
}

/** @param before  the model of the round before, null in the first: where this one is a difference, it is one to that */
async function openBase(
  state: JobState,
  { round, open }: RoundState,
  before: ParamSet | null,
  { keys, relays, signal }: KeyAuditPorts,
): Promise<ParamSet | Finding> {
  const key = keys.rounds.find((entry) => entry.round === round)?.key;
  if (key === undefined) return { event: open.id, rule: 'key', detail: 'the audit keys hold no key to this round' };
  const source = { relays, signal, keyOf: () => key, known: () => Promise.resolve(before ?? undefined) };
  return opened(open.id, () => fetchBase(source, state, round));
}

/** @returns what it makes of its base, null until it is closed; or what is wrong with it */
async function auditRound(
  state: JobState,
  round: RoundState,
  { base, outerState }: Omit<RoundStart, 'root'>,
  ports: KeyAuditPorts,
): Promise<NextModel | Finding | null> {
  const { keys, relays, signal, measure } = ports;
  const { verdict } = round;
  if (verdict === null) return null;
  const byId = new Map(keys.updates.map((update) => [update.submission, update]));
  const lookUp = async (reveal: EventOf<'reveal'>) => {
    const found = byId.get(reveal.id);
    if (found === undefined) throw new RangeError('the audit keys hold no key to this update');
    return found;
  };
  // On rail key-sale nobody but validators can open what was not paid for.
  const openable = openableIn(state, round);
  const opening = await openUpdates(relays, lookUp, state.job!, openable, base, LATER, signal);
  const rowsOf = (shard: number) => ports.manifest.shards[shard]!.examples;
  const states = await openDrawnStates(relays, state, openable, base, opening.sealed, rowsOf, LATER, signal);
  const findings = new Map([...opening.findings, ...states.findings]);
  const params = new Map([...opening.params].filter(([shard]) => !findings.has(shard)));
  const isScored = new Set(verdict.rows.map(({ shard }) => shard));
  const unscored = [...params.keys()].find((shard) => !isScored.has(shard));
  if (unscored !== undefined)
    return { event: verdict.by, rule: 'scores', detail: `the update of shard ${unscored} opens and has no score` };
  const unshown = verdict.rows.find(({ shard, spot }) => spot !== null && states.findings.has(shard));
  if (unshown !== undefined) return { event: unshown.submission, ...states.findings.get(unshown.shard)! };
  const own = await openRoot(state, round, ports);
  if ('rule' in own) return own;
  const { root } = own;
  const from = { base, outerState, root };
  const next = auditEnd(state, round, from, params, findings, ports);
  if (next !== null && 'rule' in next) return next;
  const aggregate = next?.params ?? null;
  return (await measure?.round(round, { base, updates: params, drawn: states.drawn, aggregate, root })) ?? next;
}

/** The fold lets a close name one exactly where the rule needs it. */
async function openRoot(
  { job, jobId }: JobState,
  { round, close }: RoundState,
  { keys, relays, signal }: KeyAuditPorts,
): Promise<{ readonly root: ParamSet | null } | Finding> {
  const pointer = close?.content.root;
  if (pointer === undefined) return { root: null };
  const key = keys.roots?.find((entry) => entry.round === round)?.key;
  if (key === undefined)
    return { event: close!.id, rule: 'key', detail: 'the audit keys hold no key to its root update' };
  const label = rootLabel(jobId, round);
  return opened(close!.id, async () => ({
    root: await fetchParams(relays, { pointer, key, label }, job!.content.model, signal),
  }));
}

/** @returns null until the round makes a model, and where none of its updates counts */
function auditEnd(
  state: JobState,
  round: RoundState,
  from: RoundStart,
  updates: ReadonlyMap<number, ParamSet>,
  findings: Parameters<typeof judgeRound>[2],
  { manifest }: KeyAuditPorts,
): NextModel | Finding | null {
  const { close } = round;
  if (close === null) return null;
  for (const { submission, shard } of close.content.accepted) {
    const finding = findings.get(shard);
    if (finding !== undefined) return { event: submission, rule: finding.rule, detail: finding.detail };
  }
  const again = judgeRound(state.job!, round, findings, round.verdict!.rows);
  const spell = (rows: readonly { readonly submission: EventId }[]) => rows.map((row) => row.submission).join(' ');
  if (spell(again.accepted) !== spell(close.content.accepted))
    return { event: close.id, rule: 'acceptance', detail: 'the accepted updates are not those that pass the rules' };
  const counted = countedIn(state.job!.content, round);
  if (counted.length === 0) return null;
  const next = nextModel(rulesOf(state), from, counted, updates, (shard) => manifest.shards[shard]!.examples);
  const { id: event, content: outcome } = round.sold ?? close;
  const bad = (detail: string): Finding => ({ event, rule: 'aggregate', detail });
  const { name } = rulesOf(state).rule;
  if (next.hash !== outcome.aggregate)
    return bad(`${name} of the accepted updates hashes to ${next.hash}, published was ${outcome.aggregate}`);
  if (next.outerHash !== outcome.outerState)
    return bad(
      `the outer step leaves a state that hashes to ${next.outerHash ?? 'none'}, published was ${outcome.outerState ?? 'none'}`,
    );
  return next;
}

/** What does not open is a finding about the event that announced it. */
export async function opened<T extends object>(event: EventId, open: () => Promise<T>): Promise<T | Finding> {
  try {
    return await open();
  } catch (error) {
    if (isNmktError(error, 'interrupted')) throw error;
    return { event, rule: 'blob', detail: (error as Error).message };
  }
}
