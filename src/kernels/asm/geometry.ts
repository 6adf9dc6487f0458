/**
 * Of a convolution or pooling over [batch, height, width, channels], as `geometryOf` in ../geometry.ts writes it: int32
 * in this order.
 */
@unmanaged
export class Geometry {
  batch: i32;
  inHeight: i32;
  inWidth: i32;
  inChannels: i32;
  outHeight: i32;
  outWidth: i32;
  outChannels: i32;
  filterHeight: i32;
  filterWidth: i32;
  strideHeight: i32;
  strideWidth: i32;
  dilationHeight: i32;
  dilationWidth: i32;
  padTop: i32;
  padLeft: i32;
  /** Of a convolution: rows unfolded at a time (see conv.ts); 0: none are. */
  blockRows: i32;
}

/** Places of the output over all of the batch. */
export function places(g: Geometry): i32 {
  return g.batch * g.outHeight * g.outWidth;
}

/** Values below one place of the output: one row of the unfolded input. */
export function window(g: Geometry): i32 {
  return g.filterHeight * g.filterWidth * g.inChannels;
}
