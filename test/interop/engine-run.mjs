/**
 * A native rung for real: `npm run build && node test/interop/engine-run.mjs webgpu|node FOLDER [--software]`, where FOLDER has the
 * packages (`nmkt doctor` says how to put them there). No network. Trains dense, convolutional, attention and recurrent nets
 * through the engine, on that rung and on wasm, compares weights and losses and prints speeds. Prints SKIP and the reason where
 * the rung does not work; status 1 where numbers differ too much.
 * --software also takes a GPU that computes on the processor, and leaves the large nets out.
 */
import { createRequire } from 'node:module';
import { initialParams } from '../../dist/learning/params.js';
import { prng } from '../../dist/learning/prng.js';
import { createEngine, describeEngines } from '../../dist/training/engine.js';
import { judgeRung } from '../../dist/training/verdict.js';

const [rung, folder] = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const place = { folder, isSoftwareFine: process.argv.includes('--software') };
const STEPS = 20;
/**
 * Of the loss, and of how far the weights went (root mean square). No single weight says anything: Adam's first steps are of
 * the learning rate's size whatever the size of a gradient, so one that is next to zero may go either way. On wasm alone,
 * starting weights changed by 1e-6 of their size bring the widest net of these 4e-2 apart after its 20 steps.
 */
const TOLERANCE = { loss: 1e-3, weights: 1e-1 };
const LEARNING_RATE = 1e-4;
const SEED = new Uint8Array(32);

const image = { task: 'classification', inputs: 784, outputs: 10 };
const text = { task: 'classification', outputs: 65 };
const stack = [
  { kind: 'conv', filters: 8, kernel: [3, 3], strides: [2, 1], padding: 'same', bias: true },
  { kind: 'relu' },
  { kind: 'average-pool', size: [2, 2], strides: [2, 2], padding: 'same' },
  { kind: 'flatten' },
  { kind: 'dense', units: 10, bias: true },
];
const small = [
  { batch: 64, model: { ...image, model: 'mlp', hidden: [128] } },
  { batch: 32, model: { ...image, model: 'cnn', shape: [28, 28, 1], filters: [6, 16], hidden: [120, 84] } },
  { batch: 4, model: { ...text, model: 'gpt', inputs: 32, layers: 2, heads: 2, width: 32 } },
  { batch: 32, model: { ...text, model: 'lstm', inputs: 20, layers: 1, width: 64 } },
  { batch: 32, model: { ...image, model: 'sequential', shape: [28, 28, 1], stack } },
];
const large = [
  { batch: 512, model: { ...image, model: 'mlp', hidden: [2048, 2048] } },
  { batch: 256, model: { ...image, model: 'cnn', shape: [28, 28, 1], filters: [32, 64], hidden: [512] } },
  { batch: 32, model: { ...text, model: 'gpt', inputs: 64, layers: 4, heads: 4, width: 128 } },
];

const say = (line) => process.stdout.write(`${line}\n`);
const { version } = createRequire(import.meta.url)('../../package.json');
say(`nmkt ${version}, Node.js ${process.version}, ${process.platform} ${process.arch}`);

const reports = await describeEngines(undefined, place);
for (const one of reports) say(`rung ${one.rung}: ${one.ok ? one.id : 'not here'} ${one.reason}`);
const own = reports.find((one) => one.rung === rung);
if (!own.ok) {
  say(`SKIP ${rung}: ${own.reason}`);
  process.exit(0);
}
const { gigaflops, wasmGigaflops } = await judgeRung(rung, place);
say(`products of 1024 x 1024: ${rung} ${gigaflops.toFixed(1)} GFLOP/s, wasm ${wasmGigaflops.toFixed(1)} GFLOP/s`);

let isFailed = false;
for (const { model, batch } of place.isSoftwareFine ? small : [...small, ...large]) {
  const name = `${JSON.stringify(model)}, batches of ${batch}`;
  const [own, wasm] = [await trained(rung, model, batch), await trained('wasm', model, batch)];
  const ratio = own.perSecond / wasm.perSecond;
  say(`${name}: ${rung} ${own.perSecond} examples/s, wasm ${wasm.perSecond}, ratio ${ratio.toFixed(2)}`);
  judge('loss', Math.abs(own.loss - wasm.loss) / wasm.loss, TOLERANCE.loss);
  const start = initialParams(model, SEED);
  const farthest = Math.max(...own.weights.map(({ data }, i) => most(data, wasm.weights[i].data)));
  judge('weights', distance(own.weights, wasm.weights) / distance(wasm.weights, start), TOLERANCE.weights, farthest);
}
say(isFailed ? 'FAILED' : 'PASSED');
process.exit(isFailed ? 1 : 0);

function judge(what, difference, allowed, farthest) {
  const isNear = difference <= allowed;
  isFailed ||= !isNear;
  const one = farthest === undefined ? '' : `, the farthest weight by ${farthest.toExponential(1)}`;
  say(
    `  ${isNear ? 'ok  ' : 'FAIL'} ${what}: differ from wasm by ${difference.toExponential(1)} (allowed ${allowed})${one}`,
  );
}

function distance(a, b) {
  const squares = a.flatMap(({ data }, i) => data.reduce((sum, value, j) => sum + (value - b[i].data[j]) ** 2, 0));
  return Math.sqrt(squares.reduce((sum, one) => sum + one, 0));
}

function most(a, b) {
  return a.reduce((most, value, i) => (Math.abs(value - b[i]) <= most ? most : Math.abs(value - b[i])), 0);
}

/** As a job would train it, on made-up data, after a few steps in which a GPU makes its plans. */
async function trained(want, model, batch) {
  const random = prng(SEED, 'interop/webgpu');
  const rows = 4 * batch;
  const isText = model.model === 'gpt' || model.model === 'lstm';
  const most = isText ? model.outputs : 256;
  const examples = {
    rows,
    inputs: model.inputs,
    features: Uint8Array.from({ length: rows * model.inputs }, () => random.below(most)),
    scale: isText ? 1 : 255,
    labels: Int32Array.from({ length: rows }, () => random.below(model.outputs)),
  };
  const seed = SEED;
  const engine = await createEngine({ want, ...place });
  const train = (localSteps) => {
    const hyper = { optimizer: 'adam', learningRate: LEARNING_RATE, batch, localSteps };
    return engine.train({ model, weights: initialParams(model, seed), examples, hyper, seed });
  };
  await train(3);
  const { weights, wallMs } = await train(STEPS);
  const { loss } = await engine.evaluate(model, weights, examples);
  await engine.close();
  return { weights, loss, perSecond: Math.round((STEPS * batch * 1000) / wallMs) };
}
