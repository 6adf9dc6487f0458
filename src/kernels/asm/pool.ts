import { Geometry } from './geometry';

/**
 * The gradient goes to the first largest value of each window, in the order of rows and columns; nowhere where no value
 * is above -Infinity (NaN never is), as on the cpu backend. Four channels at a time, the last ones overlapping those before.
 */
export function maxPoolGradient(g: Geometry, x: usize, dy: usize, dx: usize): void {
  clear(g, dx);
  const image = (<usize>(g.inHeight * g.inWidth) * <usize>g.inChannels) << 2;
  const overlap = i32x4.splat((4 - (g.inChannels & 3)) & 3);
  const fresh = i32x4.ge_s(i32x4(0, 1, 2, 3), overlap); // lanes of the last four that none before had
  for (let i = 0; i < g.batch; i++) {
    for (let oy = 0; oy < g.outHeight; oy++) {
      for (let ox = 0; ox < g.outWidth; ox++) {
        let c = 0;
        for (; c + 4 <= g.inChannels; c += 4) {
          const at = (<usize>c) << 2;
          toLargest(g, x + at, oy, ox, v128.load(dy + at), dx + at);
        }
        if (c < g.inChannels && c > 0) {
          const at = (<usize>(g.inChannels - 4)) << 2;
          toLargest(g, x + at, oy, ox, v128.and(v128.load(dy + at), fresh), dx + at);
        } else {
          for (; c < g.inChannels; c++) {
            const at = (<usize>c) << 2;
            const best = largest(g, x + at, oy, ox);
            if (best >= 0) {
              const to = dx + at + <usize>best;
              store<f32>(to, load<f32>(to) + load<f32>(dy + at));
            }
          }
        }
        dy += (<usize>g.inChannels) << 2;
      }
    }
    x += image;
    dx += image;
  }
}

/** Adds each lane of `dy` where the first largest of its window is, and +0 to the other places, which changes no sum. */
function toLargest(g: Geometry, x: usize, oy: i32, ox: i32, dy: v128, dx: usize): void {
  const top = oy * g.strideHeight - g.padTop;
  const left = ox * g.strideWidth - g.padLeft;
  let value = f32x4.splat(-Infinity);
  let best = i32x4.splat(-1);
  for (let i = 0; i < g.filterHeight; i++) {
    const y = top + i * g.dilationHeight;
    if (y < 0 || y >= g.inHeight) continue;
    for (let j = 0; j < g.filterWidth; j++) {
      const at = left + j * g.dilationWidth;
      if (at < 0 || at >= g.inWidth) continue;
      const candidate = v128.load(x + offset(g, y, at));
      const isLarger = f32x4.gt(candidate, value);
      value = v128.bitselect(candidate, value, isLarger);
      best = v128.bitselect(i32x4.splat(i * g.filterWidth + j), best, isLarger);
    }
  }
  for (let i = 0; i < g.filterHeight; i++) {
    const y = top + i * g.dilationHeight;
    if (y < 0 || y >= g.inHeight) continue;
    for (let j = 0; j < g.filterWidth; j++) {
      const at = left + j * g.dilationWidth;
      if (at < 0 || at >= g.inWidth) continue;
      const to = dx + offset(g, y, at);
      const isBest = i32x4.eq(best, i32x4.splat(i * g.filterWidth + j));
      v128.store(to, f32x4.add(v128.load(to), v128.and(dy, isBest)));
    }
  }
}

/** Bytes from a channel of an image's first pixel to that of another one. */
function offset(g: Geometry, y: i32, x: i32): usize {
  return (<usize>(y * g.inWidth + x) * <usize>g.inChannels) << 2;
}

/** Offset of the largest value of the window of one channel, or -1. */
function largest(g: Geometry, x: usize, oy: i32, ox: i32): i32 {
  let best = -1;
  let value: f32 = -Infinity;
  for (let i = 0; i < g.filterHeight; i++) {
    const y = oy * g.strideHeight - g.padTop + i * g.dilationHeight;
    if (y < 0 || y >= g.inHeight) continue;
    for (let j = 0; j < g.filterWidth; j++) {
      const at = ox * g.strideWidth - g.padLeft + j * g.dilationWidth;
      if (at < 0 || at >= g.inWidth) continue;
      const candidate = load<f32>(x + offset(g, y, at));
      if (candidate > value) {
        value = candidate;
        best = <i32>offset(g, y, at);
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
