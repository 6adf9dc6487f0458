import { fromHex, sha256, sha256Hex, type Bytes } from '../../src/hash.js';
import { initialParams } from '../../src/learning/params.js';
import type { ModelSpec } from '../../src/learning/types.js';
import { encodeSealedModel } from '../../src/protocol/arena/submission.js';
import { parseSnapshot } from '../../src/protocol/dataset.js';
import { localSigner } from '../../src/signer.js';
import {
  collectArenaKeys,
  encodeArenaAuditKeys,
  parseArenaAuditKeys,
  type ArenaAuditKeys,
} from '../../src/roles/arena/audit-keys.js';
import { encodeModelFile, publishModelFile } from '../../src/roles/arena/model-file.js';
import { scoreModel } from '../../src/roles/arena/score-model.js';
import { dataCommitment, ownLocator } from '../../src/roles/epoch.js';
import { publishDataset, type Published } from '../../src/roles/publish.js';
import { INPUT, world } from '../roles/publish-world.js';
import {
  ARENA_TERMS,
  saltOf,
  scriptArena,
  type ArenaOptions,
  type ArenaScript,
  type ScriptedModel,
} from './arena-script.js';
import { customer, ENGINE, people, START_SEC } from './job-contents.js';
import { TINY_SCHEMA } from './market-world.js';
import { stubEngine } from './stub-engine.js';

/** Scripted arenas with real data and models, whose submissions open and whose scores were measured. */

export const trainers = people.slice(0, 3);
/** Its id is that of the script's validators. */
export const engine = stubEngine(ENGINE);
const SPEC: ModelSpec = { model: 'logreg', task: 'classification', inputs: 24, outputs: 3, hidden: [] };
const BLOCK = { ...ARENA_TERMS.arena, maxModelBytes: 40_000, interimUntil: START_SEC + 1, finalUntil: START_SEC + 2 };

function setOf({ event, secrets }: Published['record']['a']) {
  const { id: snapshot, manifest } = parseSnapshot(event);
  const [pointer] = ownLocator(manifest, secrets).shards;
  const commitment = dataCommitment(fromHex(secrets.salt), pointer!.sha256);
  return { snapshot, rows: manifest.shards[0]!.examples, commitment };
}

/** The third trainer sends random bytes. `play` gives another arena of the same submissions. */
export async function openedArena() {
  const { network, ports } = world();
  const clock = { ...ports.clock, nowSec: () => START_SEC };
  const { record } = await publishDataset(INPUT, { ...ports, clock, signer: localSigner(customer.secret) });
  const { id: dataset } = parseSnapshot(record.train.event);
  const terms = { dataset, evalA: setOf(record.a), evalB: setOf(record.b) };
  const models = new Map<string, ScriptedModel>();
  const scores = new Map<string, number>();
  const before = scriptArena({ terms, arena: BLOCK, alter: { 'list/0': () => null } });
  const of = { job: before.jobId, terms: before.state.job.content, dateSec: START_SEC };
  for (const stage of [0, 1])
    for (const [i, who] of trainers.entries()) {
      const name = `${who.pubkey}/${stage}`;
      const params = initialParams(SPEC, sha256(name));
      const file: Bytes = i === 2 ? sha256(name) : encodeModelFile({ spec: SPEC, params });
      const placed = await publishModelFile(network.relays(), file, { ...of, stage, secret: sha256('secret', name) });
      const sealing = { ...placed, salt: saltOf(who.pubkey, stage), metrics: { lossPpm: 0, accuracyPpm: null } };
      const sealed = await localSigner(who.secret).encrypt(customer.pubkey, encodeSealedModel(sealing));
      models.set(name, { model: sha256Hex(file), sealed });
      const set = stage === 0 ? INPUT.a : INPUT.b;
      scores.set(name, (await scoreModel(engine, file, { arena: BLOCK, schema: TINY_SCHEMA, set })).scorePpm);
    }
  const score: NonNullable<ArenaOptions['score']> = (trainer, stage) => scores.get(`${trainer}/${stage}`)!;
  const play = (options: ArenaOptions = {}): ArenaScript =>
    scriptArena({ ...{ trainers, terms, arena: BLOCK, models, score }, ...options });
  /** What its customer gives an auditor, as a file says it. */
  const keysOf = async (script: ArenaScript): Promise<ArenaAuditKeys> => {
    const owned = { secrets: record, signer: localSigner(customer.secret) };
    return parseArenaAuditKeys(encodeArenaAuditKeys(await collectArenaKeys(owned, script.state)));
  };
  return { network, score, play, keysOf, secrets: record };
}
