import { NmktError } from '../../errors.js';
import { firstNonFinite, type NamedShape } from '../safetensors.js';
import { badFile } from '../safetensors-header.js';
import type { ParamSet } from '../types.js';

/** Parameters as one vector: all tensors one behind the other, in order of names. */

export function lengthOf(shapes: readonly NamedShape[]): number {
  return shapes.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
}

/** trained - base, rounded once to float32. @throws NmktError `training-failed` where that is beyond float32 */
export function changeOf(base: ParamSet, trained: ParamSet): Float32Array {
  const out = new Float32Array(lengthOf(base));
  let at = 0;
  base.forEach(({ data }, t) => {
    const to = trained[t]!.data;
    for (let i = 0; i < data.length; i++) out[at++] = to[i]! - data[i]!;
  });
  checkRange(out);
  return out;
}

/** @throws NmktError `training-failed` */
export function checkRange(change: Float32Array): void {
  const at = firstNonFinite(change);
  if (at < 0) return;
  throw new NmktError('training-failed', 'the training went further than an update can say', {
    remedy: 'lower the learning rate of the job',
    expected: 'changes within float32',
    got: `${change[at]!} at ${at}`,
  });
}

export function flat(params: ParamSet): Float32Array {
  const out = new Float32Array(lengthOf(params));
  let at = 0;
  for (const { data } of params) {
    out.set(data, at);
    at += data.length;
  }
  return out;
}

export function shaped(like: ParamSet, values: Float32Array): ParamSet {
  let at = 0;
  return like.map(({ name, shape, data }) => {
    const own = values.slice(at, (at += data.length));
    return { name, shape, data: own };
  });
}

/** base + change, each value rounded once to float32. @throws NmktError `bad-blob` where that is beyond float32 */
export function changed(base: ParamSet, change: Float32Array): ParamSet {
  let at = 0;
  return base.map(({ name, shape, data }) => {
    const own = new Float32Array(data.length);
    for (let i = 0; i < data.length; i++) own[i] = data[i]! + change[at++]!;
    const bad = firstNonFinite(own);
    if (bad >= 0)
      throw badFile(`the update leaves the range of float32 in tensor ${name}`, {
        expected: 'finite float32',
        got: `${own[bad]!} at index ${bad}`,
      });
    return { name, shape, data: own };
  });
}
