import { NmktError } from '../errors.js';
import { seedCommitment } from '../learning/seeds.js';
import type { Examples } from '../learning/types.js';
import type { JobState } from '../market/state.js';
import type { ShardGrant } from '../protocol/grant.js';
import { openShardLocator } from '../protocol/locator.js';
import { openShard } from './epoch.js';
import { withChunkFile } from './home-files.js';
import type { TrainerEnv } from './trainer.js';

/** The shard of a grant, opened; one at a time: another one of the same trainer is opened again when its turn comes. */
export async function openedShard(env: TrainerEnv, state: JobState, grant: ShardGrant): Promise<Examples> {
  if (env.shard.opened?.shard !== grant.shard) {
    env.shard.opened = null; // two do not have to fit into memory
    env.shard.opened = { shard: grant.shard, examples: await openGrantedShard(env, state, grant) };
  }
  return env.shard.opened.examples;
}

type Env = Pick<TrainerEnv, 'snapshot' | 'relays' | 'chunks' | 'progress' | 'signal'>;

/** Fetches and opens the shard of a grant. @throws NmktError whose code says which promise it breaks, see `grant-bad` */
export async function openGrantedShard(env: Env, state: JobState, grant: ShardGrant): Promise<Examples> {
  const located = locatedBy(env, grant);
  if (seedCommitment(grant.seed) !== state.job!.content.seedCommitment)
    throw new NmktError('hash-mismatch', 'the seed in the grant is not the one the job committed to', {
      expected: state.job!.content.seedCommitment,
      got: seedCommitment(grant.seed),
      remedy: 'nothing: the grant is refused',
    });
  return openLocated(env, grant, located);
}

/** As `openGrantedShard`, where the job commits to no seed. */
export async function openLocatedShard(env: Env, grant: ShardGrant): Promise<Examples> {
  return openLocated(env, grant, locatedBy(env, grant));
}

function locatedBy({ snapshot: { manifest } }: Env, { locator, blind, shard }: ShardGrant) {
  return openShardLocator(locator, { blind, promised: manifest.locator, shard, count: manifest.shards.length });
}

async function openLocated(env: Env, grant: ShardGrant, located: ReturnType<typeof locatedBy>): Promise<Examples> {
  const { manifest } = env.snapshot;
  const declared = manifest.shards[grant.shard];
  if (declared === undefined || located.pointer.commit !== declared.commit)
    throw new NmktError('wrong-key', 'the locator names another key commitment than the snapshot', {
      expected: declared?.commit ?? `a shard below ${manifest.shards.length}`,
      got: located.pointer.commit,
      remedy: 'nothing: the grant is refused',
    });
  env.progress.update(`fetching shard ${grant.shard}`);
  const examples = await withChunkFile(env.chunks, `shard-${grant.shard}`, located.pointer, (file) =>
    openShard(env.relays, manifest, located, grant.shard, grant.key, {
      signal: env.signal,
      onProgress: (done, total) => env.progress.update(`fetching shard ${grant.shard}: ${done} of ${total} chunks`),
      file,
    }),
  );
  if (examples.rows !== declared.examples)
    throw new NmktError('shape-mismatch', 'the shard holds another number of examples than the snapshot says', {
      expected: `${declared.examples} rows`,
      got: `${examples.rows}`,
      remedy: 'nothing: the grant is refused',
    });
  return examples;
}
