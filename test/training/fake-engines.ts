import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Native packages as users may have them: broken in every way, or working until they crash. */
export const BROKEN = {
  throws: "throw new Error('the binding is missing\\n  at a line of its own')",
  aborts: 'process.abort()',
  exits: 'process.exit(3)',
  hangs: 'for (;;) ;',
} as const;

const require = createRequire(import.meta.url);
const pathOf = (name: string): string => JSON.stringify(require.resolve(name));

/** A backend `tensorflow` made of the cpu kernels; its products end the process while a file `crash` lies in `folder`, and take 100 MB for good while `hog` does. */
export const working = (folder: string): string => `
const tf = require(${pathOf('@tensorflow/tfjs-core')});
const { MathBackendCPU } = require(${pathOf('@tensorflow/tfjs-backend-cpu')});
tf.registerBackend('tensorflow', () => new MathBackendCPU());
const { existsSync } = require('node:fs');
const taken = [];
const crash = () => {
  if (existsSync(${JSON.stringify(join(folder, 'crash'))})) process.abort();
  if (existsSync(${JSON.stringify(join(folder, 'hog'))})) taken.push(Buffer.alloc(100_000_000, 1));
};
for (const { kernelName, kernelFunc } of tf.getKernelsForBackend('cpu'))
  tf.registerKernel({
    kernelName,
    backendName: 'tensorflow',
    kernelFunc: kernelName === 'BatchMatMul' ? (given) => (crash(), kernelFunc(given)) : kernelFunc,
  });
exports.version = { 'tfjs-node': 'fake' };
`;

export interface Fakes {
  readonly folder: string;
  /** Puts a package there; each load of it appends a byte to \`loads\`. */
  put(name: string, version: string, code: string): void;
  remove(): void;
}

export function fakeEngines(): Fakes {
  const folder = mkdtempSync(join(tmpdir(), 'nmkt-engines-'));
  return {
    folder,
    put(name, version, code) {
      const own = join(folder, 'node_modules', name);
      mkdirSync(own, { recursive: true });
      writeFileSync(join(own, 'package.json'), JSON.stringify({ name, version, main: 'index.cjs' }));
      const count = `require('node:fs').appendFileSync(${JSON.stringify(join(folder, 'loads'))}, '.');`;
      writeFileSync(join(own, 'index.cjs'), `${count}\n${code}\n`);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
