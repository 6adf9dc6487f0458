import { sha256, sha256Hex } from '../../src/hash.js';
import type { ContentOf } from '../../src/protocol/events.js';
import { saleKeyHash, saleZHash, wrapKey, wrappedHash } from '../../src/protocol/sale.js';
import { hashOf, type Person } from './job-contents.js';
import type { JobScript } from './job-script.js';

/** What a trainer of a scripted job sells on rail `key-sale`, by fixed secrets; its payment gives `preimage` away. */

export function soldBy(script: JobScript, round: number, shard: number, isWrong = false) {
  const name = `${round}/${shard}`;
  const [preimage, z, key] = [sha256(`preimage ${name}`), sha256(`z ${name}`), sha256(`key ${name}`)];
  const ciphertext = hashOf(`ciphertext ${name}`);
  const wrapped = wrapKey(isWrong ? sha256('another key') : key, { job: script.jobId, ciphertext, preimage, z });
  return {
    ...{ preimage, z, wrapped },
    sale: {
      paymentHash: sha256Hex(preimage),
      ...{ ciphertext, key: saleKeyHash(key), z: saleZHash(z), wrapped: wrappedHash(wrapped) },
    },
  };
}

/** Of the updates with a receipt, but for proven frauds; fewer than the quorum leave the model as it is. */
export function soldOf(script: JobScript, round: number): ContentOf<'sold'> {
  const close = script.at(`close/${round}`, 'close').content;
  const sold = close.accepted.filter(
    ({ shard }) => script.has(`receipt/${round}/${shard}`) && !script.has(`key-fraud/${round}/${shard}`),
  );
  const isCounted = sold.length >= script.at('job', 'job').content.quorum;
  return {
    ...{ round, settlement: script.raw(`settlement/${round}`).id, sold },
    aggregate: isCounted ? hashOf(`model ${round + 1}`) : close.aggregate,
    ...{ lossPpm: 350_000, accuracyPpm: 940_000 },
  };
}

export function keyFraudOf(script: JobScript, round: number, shard: number, who: Person): ContentOf<'key-fraud'> {
  const { preimage, z, wrapped } = soldBy(script, round, shard, true);
  const submission = script.raw(`reveal/${round}/${shard}`).id;
  return { round, shard, trainer: who.pubkey, submission, preimage, z, wrapped };
}
