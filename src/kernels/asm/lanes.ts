/** The next values of a row, of which `bytes` are left: four, or fewer and zeros. */
export function loadLanes(at: usize, bytes: usize): v128 {
  if (bytes >= 16) return v128.load(at);
  let lanes = v128.load32_zero(at);
  if (bytes > 4) lanes = v128.load32_lane(at, lanes, 1, 4);
  if (bytes > 8) lanes = v128.load32_lane(at, lanes, 2, 8);
  return lanes;
}

export function storeLanes(at: usize, lanes: v128, bytes: usize): void {
  if (bytes >= 16) {
    v128.store(at, lanes);
    return;
  }
  v128.store32_lane(at, lanes, 0);
  if (bytes > 4) v128.store32_lane(at, lanes, 1, 4);
  if (bytes > 8) v128.store32_lane(at, lanes, 2, 8);
}
