/** out[ids[i]] += x[i], in the order of i, for rows of `width` floats; ids outside of [0, segments) are left out. */
export function segmentSum(x: usize, ids: usize, count: i32, width: i32, segments: i32, out: usize): void {
  const bytes = (<usize>width) << 2;
  memory.fill(out, 0, <usize>segments * bytes);
  for (let row = 0; row < count; row++) {
    const id = load<i32>(ids + ((<usize>row) << 2));
    if (id >= 0 && id < segments) {
      const to = out + <usize>id * bytes;
      let i: usize = 0;
      for (; i + 16 <= bytes; i += 16) v128.store(to + i, f32x4.add(v128.load(to + i), v128.load(x + i)));
      for (; i < bytes; i += 4) store<f32>(to + i, load<f32>(to + i) + load<f32>(x + i));
    }
    x += bytes;
  }
}
