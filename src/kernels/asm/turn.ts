// Transposition in registers.

/** Four rows of four values, `step` bytes apart, become columns: row i of the output lies `i * across` bytes from `to`. */
export function turnFour(from: usize, step: usize, to: usize, across: usize): void {
  const a = v128.load(from);
  const b = v128.load(from + step);
  const c = v128.load(from + 2 * step);
  const d = v128.load(from + 3 * step);
  const ab = i32x4.shuffle(a, b, 0, 4, 1, 5);
  const cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
  const ef = i32x4.shuffle(a, b, 2, 6, 3, 7);
  const gh = i32x4.shuffle(c, d, 2, 6, 3, 7);
  v128.store(to, i64x2.shuffle(ab, cd, 0, 2));
  v128.store(to + across, i64x2.shuffle(ab, cd, 1, 3));
  v128.store(to + 2 * across, i64x2.shuffle(ef, gh, 0, 2));
  v128.store(to + 3 * across, i64x2.shuffle(ef, gh, 1, 3));
}
