import { isNmktError } from '../errors.js';
import { maxShardBytes } from '../learning/examples.js';
import { modelBytes, modelCost } from '../learning/model-cost.js';
import { parameterCount } from '../learning/params.js';
import type { FoldedArena } from '../market/arena/fold.js';
import { stakeToPut } from '../market/stake-terms.js';
import { ARENA_JOB } from '../protocol/arena/job.js';
import type { Snapshot } from '../protocol/dataset.js';
import type { EventOf } from '../protocol/events.js';
import type { NostrEvent } from '../ports.js';
import { candidatesFor, type Candidate, type Recipe } from '../roles/arena/recipe.js';
import { serveArena, type ArenaEnd } from '../roles/arena/trainer.js';
import { validateArena } from '../roles/arena/validator.js';
import type { ServeEnd } from '../roles/trainer.js';
import { ARENA_READING } from './arena-lead.js';
import { awaitDeclared } from './find-job.js';
import { lacksEngine, refuse, servePot, type PotService, type Refusal } from './serve-pot.js';
import type { WorkServer } from './serve-work.js';

/** Every arena that appears, as a trainer with recipes of its own or as a validator. */

type Job = EventOf<'arena-job'>;
type Role = 'trainer' | 'validator';

/** What trainers and validators of an arena have in common. */
function serviceOf(server: WorkServer, role: Role) {
  return {
    parse: (event: NostrEvent) => ARENA_JOB.parse(event),
    reading: ARENA_READING,
    words: ['arena', role] as const,
    command: `serve-${role}` as const,
    refusal: async (job: Job) => {
      const { arena, rail } = job.content;
      const open = { closesAt: arena.finalUntil, open: 'an arena that takes submissions' };
      const asked = { ...open, pays: rail !== 'none', stakeMsat: stakeToPut(job.content, role) };
      return refuse(server, job, asked) ?? (await lacksEngine(server, job));
    },
    codes: { 'no-wallet': 'no-wallet', recipe: 'bad-recipe' } as const,
  };
}

/** Its stages are told as rounds. */
const told = (end: ArenaEnd) => (end.end === 'done' ? { ...end, rounds: end.stages } : end);

export interface Choice {
  readonly recipes: readonly Recipe[];
  /** Of each stage. */
  readonly trainSec: number;
}

const rowsOf = ({ manifest }: Snapshot) => manifest.shards.reduce((sum, { examples }) => sum + examples, 0);

/** All rows, and the largest model that it tries. */
function bytesOf(snapshot: Snapshot, candidates: readonly Candidate[]): number {
  const data = maxShardBytes(snapshot.manifest.schema, rowsOf(snapshot));
  return data + Math.max(...candidates.map(({ spec, hyper }) => modelBytes(modelCost(spec), hyper.batch)));
}

const MISSING: Refusal = ['dataset-missing', 'the data of the job', 'nothing from the relays'];

export function trainInArena(
  server: WorkServer,
  { recipes, trainSec }: Choice,
  event: NostrEvent,
  isNamed: boolean,
): Promise<ServeEnd | null> {
  type Found = { readonly snapshot: Snapshot; readonly candidates: readonly Candidate[] };
  const service: PotService<Job, FoldedArena, Found> = {
    ...serviceOf(server, 'trainer'),
    async prepare(job) {
      const snapshot = await awaitDeclared(server.ports, job.author, job.content.dataset, server.stop);
      if (snapshot === null) return MISSING;
      const { maxParams, maxBytes } = server.bounds;
      try {
        const fitting = candidatesFor(recipes, snapshot.manifest.schema, job.content.arena);
        const candidates = fitting.filter(({ spec }) => parameterCount(spec) <= maxParams);
        if (candidates.length === 0)
          return ['recipe', `one of at most ${maxParams} parameters (--max-params)`, 'larger ones'];
        const bytes = bytesOf(snapshot, candidates);
        if (bytes > maxBytes) return ['max-bytes', `at most ${maxBytes} bytes of memory`, `about ${bytes}`];
        return { snapshot, candidates };
      } catch (error) {
        if (!isNmktError(error, 'bad-recipe')) throw error;
        return ['recipe', error.expected ?? 'a recipe for the job', error.got ?? error.message];
      }
    },
    bytes: (_job, { snapshot, candidates }) => bytesOf(snapshot, candidates),
    work: async (env, found) => told(await serveArena({ ...env, ...found, trainSec })),
  };
  return servePot(server, service, event, isNamed);
}

/** What one model may take to be measured, beside the set. */
const MODEL_BYTES = 2 ** 28;

export function validateInArena(server: WorkServer, event: NostrEvent, isNamed: boolean): Promise<ServeEnd | null> {
  type Found = { readonly snapshot: Snapshot; readonly sets: readonly [Snapshot, Snapshot] };
  const service: PotService<Job, FoldedArena, Found> = {
    ...serviceOf(server, 'validator'),
    async prepare({ author, content }) {
      const snapshot = await awaitDeclared(server.ports, author, content.dataset, server.stop);
      const a = await awaitDeclared(server.ports, author, content.evalA.snapshot, server.stop);
      const b = await awaitDeclared(server.ports, author, content.evalB.snapshot, server.stop);
      return snapshot === null || a === null || b === null ? MISSING : { snapshot, sets: [a, b] };
    },
    bytes: (_job, { sets }) =>
      MODEL_BYTES + Math.max(...sets.map((set) => maxShardBytes(set.manifest.schema, rowsOf(set)))),
    work: async (env, found) => told(await validateArena({ ...env, ...found, opened: new Map() })),
  };
  return servePot(server, service, event, isNamed);
}
