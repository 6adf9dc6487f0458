import { exp64, high64, join32 } from './exp';
import { loadLanes, storeLanes } from './lanes';
import { sigmoid64 } from './unary';

/** Numbers of the activations, as in ../activation.ts; 0 is linear. */
const RELU = 1;
const RELU6 = 2;
const ELU = 3;
const LEAKY_RELU = 4;
const SIGMOID = 5;
const PRELU = 6;

/**
 * In place on C[rows, n]: adds the bias of each column (`bias` 0: none), then applies the activation. `slopes` are those
 * of prelu, one per column; `alpha` is that of leakyrelu.
 */
export function finish(c: usize, rows: i32, n: i32, bias: usize, kind: i32, alpha: f32, slopes: usize): void {
  const width = (<usize>n) << 2;
  const vectors = width & ~15;
  if (kind <= RELU && bias != 0) {
    addBias(c, rows, width, bias, kind == RELU);
    return;
  }
  for (let i = 0; i < rows; i++) {
    for (let j: usize = 0; j < vectors; j += 16) {
      let x = v128.load(c + j);
      if (bias != 0) x = f32x4.add(x, v128.load(bias + j));
      const slope = kind == PRELU ? v128.load(slopes + j) : f32x4.splat(alpha);
      v128.store(c + j, activate(x, kind, slope));
    }
    for (let j = vectors; j < width; j += 4) {
      let x = load<f32>(c + j);
      if (bias != 0) x += load<f32>(bias + j);
      const slope = kind == PRELU ? load<f32>(slopes + j) : alpha;
      store<f32>(c + j, f32x4.extract_lane(activate(f32x4.splat(x), kind, f32x4.splat(slope)), 0));
    }
    c += width;
  }
}

/** The usual ones, at the speed of memory. */
function addBias(c: usize, rows: i32, width: usize, bias: usize, rectify: bool): void {
  const zero = f32x4.splat(0);
  for (let i = 0; i < rows; i++) {
    for (let j: usize = 0; j < width; j += 16) {
      const left = width - j;
      const x = f32x4.add(loadLanes(c + j, left), loadLanes(bias + j, left));
      storeLanes(c + j, rectify ? f32x4.max(x, zero) : x, left);
    }
    c += width;
  }
}

function activate(x: v128, kind: i32, slope: v128): v128 {
  const zero = f32x4.splat(0);
  if (kind == RELU) return f32x4.max(x, zero);
  if (kind == RELU6) return f32x4.min(f32x4.max(x, zero), f32x4.splat(6));
  if (kind == ELU) return v128.bitselect(elu(x), x, f32x4.lt(x, zero));
  if (kind == SIGMOID) return join32(sigmoid64(f64x2.promote_low_f32x4(x)), sigmoid64(high64(x)));
  if (kind == LEAKY_RELU || kind == PRELU) return v128.bitselect(f32x4.mul(x, slope), x, f32x4.lt(x, zero));
  return x;
}

/** e^x - 1 */
function elu(x: v128): v128 {
  const one = f64x2.splat(1);
  return join32(f64x2.sub(exp64(f64x2.promote_low_f32x4(x)), one), f64x2.sub(exp64(high64(x)), one));
}
