// Transposition in registers.

/** Four rows of four values, `step` bytes apart, become columns: row i of the output lies `i * across` bytes from `to`. */
export function turnFour(from: usize, step: usize, to: usize, across: usize): void {
  turnRows(from, from + step, from + 2 * step, from + 3 * step, to, across);
}

/** The same of rows at any four places. */
export function turnRows(row0: usize, row1: usize, row2: usize, row3: usize, to: usize, across: usize): void {
  const a = v128.load(row0);
  const b = v128.load(row1);
  const c = v128.load(row2);
  const d = v128.load(row3);
  const ab = i32x4.shuffle(a, b, 0, 4, 1, 5);
  const cd = i32x4.shuffle(c, d, 0, 4, 1, 5);
  const ef = i32x4.shuffle(a, b, 2, 6, 3, 7);
  const gh = i32x4.shuffle(c, d, 2, 6, 3, 7);
  v128.store(to, i64x2.shuffle(ab, cd, 0, 2));
  v128.store(to + across, i64x2.shuffle(ab, cd, 1, 3));
  v128.store(to + 2 * across, i64x2.shuffle(ef, gh, 0, 2));
  v128.store(to + 3 * across, i64x2.shuffle(ef, gh, 1, 3));
}
