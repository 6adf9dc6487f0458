import { turnFour } from './turn';

/**
 * Up to four lanes (rows of A or columns of B) over `depth` steps: writes, for each step, the four values side by side
 * and moves on by `step` bytes. Lanes that are not there become zeros. Strides count elements.
 */
export function pack4(from: usize, lane: i32, along: i32, lanes: i32, depth: i32, to: usize, step: usize): void {
  if (lanes == 4 && lane == 1) copyLanes(from, (<usize>along) << 2, depth, to, step);
  else if (lanes == 4 && along == 1) turnLanes(from, (<usize>lane) << 2, depth, to, step);
  else gather(from, (<usize>lane) << 2, (<usize>along) << 2, lanes, depth, to, step);
}

/** The four values lie side by side in memory. */
function copyLanes(from: usize, along: usize, depth: i32, to: usize, step: usize): void {
  for (let k = 0; k < depth; k++) {
    v128.store(to, v128.load(from));
    from += along;
    to += step;
  }
}

/** Each lane lies in memory in order: blocks of 4 x 4 are turned in registers. */
function turnLanes(from: usize, lane: usize, depth: i32, to: usize, step: usize): void {
  let k = 0;
  for (; k + 4 <= depth; k += 4) {
    turnFour(from, lane, to, step);
    from += 16;
    to += 4 * step;
  }
  gather(from, lane, 4, 4, depth - k, to, step);
}

function gather(from: usize, lane: usize, along: usize, lanes: i32, depth: i32, to: usize, step: usize): void {
  for (let k = 0; k < depth; k++) {
    let value = from;
    for (let i = 0; i < 4; i++) {
      store<f32>(to + ((<usize>i) << 2), i < lanes ? load<f32>(value) : 0);
      value += lane;
    }
    from += along;
    to += step;
  }
}
