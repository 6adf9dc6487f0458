/**
 * One step of Adam on `count` parameters, worked out in float64 and rounded once per stored value; g is the gradient times `factor`:
 * m' = beta1 m + (1 - beta1) g, v' = beta2 v + ((1 - beta2) g) g,
 * w' = keep w - rate m' / (sqrt(scale v') + epsilon), with the bias corrections in `rate` and `scale`.
 * Writes to new places: nothing that exists is changed.
 */
export function adam(
  count: i32,
  w: usize,
  g: usize,
  m: usize,
  v: usize,
  newW: usize,
  newM: usize,
  newV: usize,
  beta1: f64,
  beta2: f64,
  rate: f64,
  scale: f64,
  epsilon: f64,
  keep: f64,
  factor: f64,
): void {
  const bytes = (<usize>count) << 2;
  for (let i: usize = 0; i < bytes; i += 8) {
    if (i + 8 > bytes) {
      stepOne(i, w, g, m, v, newW, newM, newV, beta1, beta2, rate, scale, epsilon, keep, factor);
      return;
    }
    const gradient = scaled(factor, load2(g + i));
    const mean = f64x2.add(scaled(beta1, load2(m + i)), scaled(1 - beta1, gradient));
    const square = f64x2.add(scaled(beta2, load2(v + i)), f64x2.mul(scaled(1 - beta2, gradient), gradient));
    const root = f64x2.add(f64x2.sqrt(scaled(scale, square)), f64x2.splat(epsilon));
    store2(newM + i, mean);
    store2(newV + i, square);
    store2(newW + i, f64x2.sub(scaled(keep, load2(w + i)), f64x2.div(scaled(rate, mean), root)));
  }
}

function stepOne(
  i: usize,
  w: usize,
  g: usize,
  m: usize,
  v: usize,
  newW: usize,
  newM: usize,
  newV: usize,
  beta1: f64,
  beta2: f64,
  rate: f64,
  scale: f64,
  epsilon: f64,
  keep: f64,
  factor: f64,
): void {
  const gradient = <f64>load<f32>(g + i) * factor;
  const mean = beta1 * <f64>load<f32>(m + i) + (1 - beta1) * gradient;
  const square = beta2 * <f64>load<f32>(v + i) + (1 - beta2) * gradient * gradient;
  store<f32>(newM + i, <f32>mean);
  store<f32>(newV + i, <f32>square);
  store<f32>(newW + i, <f32>(keep * <f64>load<f32>(w + i) - (rate * mean) / (sqrt(scale * square) + epsilon)));
}

function scaled(factor: f64, values: v128): v128 {
  return f64x2.mul(f64x2.splat(factor), values);
}

function load2(at: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load64_zero(at));
}

function store2(at: usize, values: v128): void {
  v128.store64_lane(at, f32x4.demote_f64x2_zero(values), 0);
}
