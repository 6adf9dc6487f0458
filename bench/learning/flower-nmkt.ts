import { availableParallelism } from 'node:os';
import { CODEC_PRESETS } from '../../src/learning/codec/codec.js';
import { federate, startEngines } from './federation.js';
import { readCase, type Told } from './flower-case.js';

/** nmkt's side of flower.ts, a process of its own as Flower's: FOLDER and `f32` or `int4`; prints one line of JSON. */
const [folder, codec] = process.argv.slice(2) as [string, 'f32' | 'int4'];
const { of, shards, test } = readCase(folder);
const now = (): number => Date.now() / 1000;

const engines = await startEngines(Math.min(availableParallelism(), shards.length));
const beganSec = now();
const before = process.cpuUsage();
const rounds: Told['rounds'][number][] = [];
await federate(engines, {
  ...{ spec: of.spec, hyper: of.hyper, shards, test, rounds: of.rounds, seed: of.seed },
  ...{ rule: 'fedavg', attackers: 0, outer: { name: 'none' }, codec: CODEC_PRESETS[codec] },
  onRound: ({ round, accuracy }) => {
    rounds.push({ round, accuracy, atSec: now() });
    return accuracy >= of.accuracy;
  },
});
const { user, system } = process.cpuUsage(before);
const told: Told = {
  ...{ beganSec, cpuSec: (user + system) / 1e6, rounds },
  versions: `${engines[0]!.id}, Node ${process.versions.node}`,
};
console.log(JSON.stringify(told));
process.exit();
