import { turnRows } from './turn';

/**
 * Up to four lanes (rows of A or columns of B) over `depth` steps: writes, for each step, the four values side by side
 * and moves on by `step` bytes. Lanes that are not there get values that nobody looks at. Strides count elements.
 */
export function pack4(from: usize, lane: i32, along: i32, lanes: i32, depth: i32, to: usize, step: usize): void {
  if (lanes <= 0) clear(depth, to, step);
  else if (lane == 1) copyLanes(from, along, lanes, depth, to, step);
  else if (along == 1) turnLanes(from, (<usize>lane) << 2, lanes, depth, to, step);
  else gather(from, (<usize>lane) << 2, (<usize>along) << 2, lanes, depth, to, step);
}

/** Two strips of eight values that lie side by side: whole lines of the cache are read, each once. `next` is from strip to strip. */
export function copyPair(from: usize, along: i32, depth: i32, to: usize, next: usize): void {
  const step = (<usize>along) << 2;
  for (let k = 0; k < depth; k++) {
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
    v128.store(to + next, v128.load(from, 32));
    v128.store(to + next, v128.load(from, 48), 16);
    from += step;
    to += 32;
  }
}

/** Four strips of four. */
export function copySixteen(from: usize, along: i32, depth: i32, to: usize, next: usize): void {
  const step = (<usize>along) << 2;
  for (let k = 0; k < depth; k++) {
    v128.store(to, v128.load(from));
    v128.store(to + next, v128.load(from, 16));
    v128.store(to + 2 * next, v128.load(from, 32));
    v128.store(to + 3 * next, v128.load(from, 48));
    from += step;
    to += 16;
  }
}

function clear(depth: i32, to: usize, step: usize): void {
  for (let k = 0; k < depth; k++) {
    v128.store(to, i32x4.splat(0));
    to += step;
  }
}

/** The values lie side by side in memory. Fewer than four are read with what follows them, but for the last steps. */
function copyLanes(from: usize, along: i32, lanes: i32, depth: i32, to: usize, step: usize): void {
  const next = (<usize>along) << 2;
  const vectors = lanes == 4 ? depth : along > 0 ? max(0, depth - 3) : 0;
  for (let k = 0; k < vectors; k++) {
    v128.store(to, v128.load(from));
    from += next;
    to += step;
  }
  gather(from, 4, next, lanes, depth - vectors, to, step);
}

/** Each lane lies in memory in order: blocks of 4 x 4 are turned in registers, the last lane standing in for those that are not there. */
function turnLanes(from: usize, lane: usize, lanes: i32, depth: i32, to: usize, step: usize): void {
  const second = lanes > 1 ? lane : 0;
  const third = lanes > 2 ? second + lane : second;
  const fourth = lanes > 3 ? third + lane : third;
  let k = 0;
  for (; k + 4 <= depth; k += 4) {
    turnRows(from, from + second, from + third, from + fourth, to, step);
    from += 16;
    to += 4 * step;
  }
  gather(from, lane, 4, lanes, depth - k, to, step);
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
