// Gradients of depthwise convolutions: output channel c * multiplier + m is channel c of the input with filter
// [height, width, c, m]. Sums run over the places of the output in order.

import { Geometry } from './geometry';

export function depthwiseInputGradient(g: Geometry, dy: usize, filter: usize, dx: usize): void {
  memory.fill(dx, 0, (<usize>(g.batch * g.inHeight) * <usize>(g.inWidth * g.inChannels)) << 2);
  visit(g, dx, filter, dy, true);
}

export function depthwiseFilterGradient(g: Geometry, x: usize, dy: usize, dw: usize): void {
  memory.fill(dw, 0, (<usize>(g.filterHeight * g.filterWidth * g.outChannels)) << 2);
  visit(g, x, dw, dy, false);
}

/** For every place of the output and of the filter inside: the pixel of x, the row of w and the pixel of dy that meet. */
function visit(g: Geometry, x: usize, w: usize, dy: usize, toInput: bool): void {
  const pixel = (<usize>g.inChannels) << 2;
  const outPixel = (<usize>g.outChannels) << 2;
  const multiplier = g.outChannels / max(1, g.inChannels);
  for (let image = 0; image < g.batch; image++) {
    for (let oy = 0; oy < g.outHeight; oy++) {
      for (let ox = 0; ox < g.outWidth; ox++) {
        for (let i = 0; i < g.filterHeight; i++) {
          const y = oy * g.strideHeight - g.padTop + i * g.dilationHeight;
          if (y < 0 || y >= g.inHeight) continue;
          for (let j = 0; j < g.filterWidth; j++) {
            const at = ox * g.strideWidth - g.padLeft + j * g.dilationWidth;
            if (at < 0 || at >= g.inWidth) continue;
            const px = x + <usize>((image * g.inHeight + y) * g.inWidth + at) * pixel;
            const pw = w + <usize>(i * g.filterWidth + j) * outPixel;
            if (toInput) addProducts(px, pw, dy, multiplier, g.outChannels);
            else addFilter(pw, px, dy, multiplier, g.outChannels);
          }
        }
        dy += outPixel;
      }
    }
  }
}

/** x[c] += sum over m of w[c, m] * dy[c, m] */
function addProducts(px: usize, pw: usize, dy: usize, multiplier: i32, channels: i32): void {
  let k = 0;
  if (multiplier == 1)
    for (; k + 4 <= channels; k += 4) {
      const at = (<usize>k) << 2;
      v128.store(px + at, f32x4.add(v128.load(px + at), f32x4.mul(v128.load(pw + at), v128.load(dy + at))));
    }
  for (; k < channels; k++) {
    const at = (<usize>k) << 2;
    const to = px + ((<usize>(k / multiplier)) << 2);
    store<f32>(to, load<f32>(to) + load<f32>(pw + at) * load<f32>(dy + at));
  }
}

/** w[c, m] += x[c] * dy[c, m] */
function addFilter(pw: usize, px: usize, dy: usize, multiplier: i32, channels: i32): void {
  let k = 0;
  if (multiplier == 1)
    for (; k + 4 <= channels; k += 4) {
      const at = (<usize>k) << 2;
      v128.store(pw + at, f32x4.add(v128.load(pw + at), f32x4.mul(v128.load(px + at), v128.load(dy + at))));
    }
  for (; k < channels; k++) {
    const at = (<usize>k) << 2;
    store<f32>(pw + at, load<f32>(pw + at) + load<f32>(px + ((<usize>(k / multiplier)) << 2)) * load<f32>(dy + at));
  }
}
