import { Geometry } from './geometry';

/**
 * The gradient goes to the first largest value of each window, in the order of rows and columns; nowhere where no value
 * is above -Infinity (NaN never is), as on the cpu backend.
 */
export function maxPoolGradient(g: Geometry, x: usize, dy: usize, dx: usize): void {
  clear(g, dx);
  for (let image = 0; image < g.batch; image++) {
    for (let oy = 0; oy < g.outHeight; oy++) {
      for (let ox = 0; ox < g.outWidth; ox++) {
        for (let c = 0; c < g.inChannels; c++) {
          const best = largest(g, x, image, oy, ox, c);
          if (best >= 0) {
            const to = dx + ((<usize>best) << 2);
            store<f32>(to, load<f32>(to) + load<f32>(dy));
          }
          dy += 4;
        }
      }
    }
  }
}

/** Index in x of the window's largest value, or -1. */
function largest(g: Geometry, x: usize, image: i32, oy: i32, ox: i32, c: i32): i32 {
  let best = -1;
  let value: f32 = -Infinity;
  for (let i = 0; i < g.filterHeight; i++) {
    const y = oy * g.strideHeight - g.padTop + i * g.dilationHeight;
    if (y < 0 || y >= g.inHeight) continue;
    for (let j = 0; j < g.filterWidth; j++) {
      const at = ox * g.strideWidth - g.padLeft + j * g.dilationWidth;
      if (at < 0 || at >= g.inWidth) continue;
      const index = ((image * g.inHeight + y) * g.inWidth + at) * g.inChannels + c;
      const candidate = load<f32>(x + ((<usize>index) << 2));
      if (candidate > value) {
        value = candidate;
        best = index;
      }
    }
  }
  return best;
}

/** Each value of a window gets the gradient times 1 / size of the filter, padding counted in, as on the cpu backend. */
export function avgPoolGradient(g: Geometry, dy: usize, dx: usize): void {
  clear(g, dx);
  const share = <f32>(1.0 / <f64>(g.filterHeight * g.filterWidth));
  const pixel = (<usize>g.inChannels) << 2;
  for (let image = 0; image < g.batch; image++) {
    for (let oy = 0; oy < g.outHeight; oy++) {
      for (let ox = 0; ox < g.outWidth; ox++) {
        for (let i = 0; i < g.filterHeight; i++) {
          const y = oy * g.strideHeight - g.padTop + i * g.dilationHeight;
          if (y < 0 || y >= g.inHeight) continue;
          for (let j = 0; j < g.filterWidth; j++) {
            const at = ox * g.strideWidth - g.padLeft + j * g.dilationWidth;
            if (at >= 0 && at < g.inWidth)
              addScaled(dx + <usize>((image * g.inHeight + y) * g.inWidth + at) * pixel, dy, share, pixel);
          }
        }
        dy += pixel;
      }
    }
  }
}

function addScaled(to: usize, from: usize, share: f32, bytes: usize): void {
  let i: usize = 0;
  const shares = f32x4.splat(share);
  for (; i + 16 <= bytes; i += 16)
    v128.store(to + i, f32x4.add(v128.load(to + i), f32x4.mul(shares, v128.load(from + i))));
  for (; i < bytes; i += 4) store<f32>(to + i, load<f32>(to + i) + share * load<f32>(from + i));
}

function clear(g: Geometry, dx: usize): void {
  memory.fill(dx, 0, (<usize>(g.batch * g.inHeight) * <usize>(g.inWidth * g.inChannels)) << 2);
}
