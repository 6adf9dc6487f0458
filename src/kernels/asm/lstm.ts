// A long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate) over a whole sequence: of its steps in
// JavaScript, half of the time went into calling kernels. Gates stand side by side as in Keras: input, forget, candidate,
// output, `units` of each. Tensors are [batch, time, ...], states before the first step [batch, units]; strides are bytes.

import { high64, join32 } from './exp';
import { gemm } from './gemm';
import { loadLanes, storeLanes } from './lanes';
import { sigmoid64, tanh64 } from './unary';

/** In place: `gates` comes with the sums of input and bias. */
export function lstm(
  batch: i32,
  time: i32,
  units: i32,
  hard: bool,
  gates: usize,
  recurrent: usize,
  h0: usize,
  c0: usize,
  h: usize,
  c: usize,
  scratch: usize,
): void {
  const width = (<usize>units) << 2;
  const row = <usize>time * width;
  for (let t = 0; t < time; t++) {
    const hBefore = t == 0 ? h0 : h - width;
    const cBefore = t == 0 ? c0 : c - width;
    const columns = 4 * units;
    gemm(
      batch,
      columns,
      units,
      hBefore,
      t == 0 ? units : time * units,
      1,
      recurrent,
      columns,
      1,
      gates,
      time * columns,
      true,
      scratch,
    );
    lstmStep(gates, row << 2, cBefore, t == 0 ? width : row, batch, units, hard, c, h, row);
    gates += width << 2;
    h += width;
    c += width;
  }
}

/**
 * From the gradients by h and c to `dz`, that by the sums of the gates. `dhNext` and `dcNext`, [batch, units], end as the
 * gradients by h0 and c0.
 */
export function lstmGradient(
  batch: i32,
  time: i32,
  units: i32,
  hard: bool,
  gates: usize,
  recurrent: usize,
  c0: usize,
  c: usize,
  dh: usize,
  dc: usize,
  dhNext: usize,
  dcNext: usize,
  dz: usize,
  scratch: usize,
): void {
  const width = (<usize>units) << 2;
  const row = <usize>time * width;
  const columns = 4 * units;
  memory.fill(dhNext, 0, <usize>batch * width);
  memory.fill(dcNext, 0, <usize>batch * width);
  for (let t = time - 1; t >= 0; t--) {
    const now = <usize>t * width;
    const before = t == 0 ? c0 : c + now - width;
    const from = gates + (now << 2);
    const to = dz + (now << 2);
    lstmStepGradient(
      from,
      row << 2,
      before,
      t == 0 ? width : row,
      c + now,
      dh + now,
      dc + now,
      row,
      dhNext,
      dcNext,
      batch,
      units,
      hard,
      to,
    );
    gemm(batch, units, columns, to, time * columns, 1, recurrent, 1, columns, dhNext, units, false, scratch);
  }
}

/** In place: sums become gates. c = f * (c before) + i * g, h = o * tanh(c). */
function lstmStep(
  gates: usize,
  gateStride: usize,
  before: usize,
  beforeStride: usize,
  batch: i32,
  units: i32,
  hard: bool,
  c: usize,
  h: usize,
  stride: usize,
): void {
  const width = (<usize>units) << 2;
  for (let row = 0; row < batch; row++) {
    for (let j: usize = 0; j < width; j += 16) {
      const at = gates + j;
      const left = width - j;
      const i = gate(loadLanes(at, left), hard);
      const f = gate(loadLanes(at + width, left), hard);
      const g = tanh32(loadLanes(at + 2 * width, left));
      const o = gate(loadLanes(at + 3 * width, left), hard);
      const cell = f32x4.add(f32x4.mul(f, loadLanes(before + j, left)), f32x4.mul(i, g));
      storeLanes(at, i, left);
      storeLanes(at + width, f, left);
      storeLanes(at + 2 * width, g, left);
      storeLanes(at + 3 * width, o, left);
      storeLanes(c + j, cell, left);
      storeLanes(h + j, f32x4.mul(o, tanh32(cell)), left);
    }
    gates += gateStride;
    before += beforeStride;
    c += stride;
    h += stride;
  }
}

/**
 * From the gradients by h and c, each the sum of that from outside (`dh`, `dc`, at `stride`) and from the next step
 * (`dhNext`, `dcNext`, rows side by side), to those by the sums of the gates; `dcNext` becomes that for the step before.
 */
function lstmStepGradient(
  gates: usize,
  gateStride: usize,
  before: usize,
  beforeStride: usize,
  c: usize,
  dh: usize,
  dc: usize,
  stride: usize,
  dhNext: usize,
  dcNext: usize,
  batch: i32,
  units: i32,
  hard: bool,
  dz: usize,
): void {
  const width = (<usize>units) << 2;
  const one = f32x4.splat(1);
  for (let row = 0; row < batch; row++) {
    for (let j: usize = 0; j < width; j += 16) {
      const at = gates + j;
      const to = dz + j;
      const left = width - j;
      const i = loadLanes(at, left);
      const f = loadLanes(at + width, left);
      const g = loadLanes(at + 2 * width, left);
      const o = loadLanes(at + 3 * width, left);
      const bend = tanh32(loadLanes(c + j, left));
      const byH = f32x4.add(loadLanes(dh + j, left), loadLanes(dhNext + j, left));
      const through = f32x4.mul(f32x4.mul(byH, o), f32x4.sub(one, f32x4.mul(bend, bend)));
      const byC = f32x4.add(f32x4.add(loadLanes(dc + j, left), loadLanes(dcNext + j, left)), through);
      storeLanes(to, throughGate(f32x4.mul(byC, g), i, hard), left);
      storeLanes(to + width, throughGate(f32x4.mul(byC, loadLanes(before + j, left)), f, hard), left);
      storeLanes(to + 2 * width, f32x4.mul(f32x4.mul(byC, i), f32x4.sub(one, f32x4.mul(g, g))), left);
      storeLanes(to + 3 * width, throughGate(f32x4.mul(byH, bend), o, hard), left);
      storeLanes(dcNext + j, f32x4.mul(byC, f), left);
    }
    gates += gateStride;
    dz += gateStride;
    before += beforeStride;
    c += stride;
    dh += stride;
    dc += stride;
    dhNext += width;
    dcNext += width;
  }
}

/** The sigmoid, or Keras's hard one: 0.2 x + 0.5 between 0 and 1. */
function gate(x: v128, hard: bool): v128 {
  if (!hard) return join32(sigmoid64(f64x2.promote_low_f32x4(x)), sigmoid64(high64(x)));
  const line = f32x4.add(f32x4.splat(0.5), f32x4.mul(f32x4.splat(0.2), x));
  return f32x4.min(f32x4.splat(1), f32x4.max(f32x4.splat(0), line));
}

/** From the gradient by a gate's value `y` to that by its sum; 0 where the hard one is at its end, whatever the gradient. */
function throughGate(gradient: v128, y: v128, hard: bool): v128 {
  const one = f32x4.splat(1);
  if (!hard) return f32x4.mul(gradient, f32x4.mul(y, f32x4.sub(one, y)));
  const inside = v128.and(f32x4.gt(y, f32x4.splat(0)), f32x4.lt(y, one));
  return v128.and(f32x4.mul(gradient, f32x4.splat(0.2)), inside);
}

function tanh32(x: v128): v128 {
  return join32(tanh64(f64x2.promote_low_f32x4(x)), tanh64(high64(x)));
}
