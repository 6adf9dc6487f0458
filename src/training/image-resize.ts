/** Sizes of images by plain arithmetic, so that every machine makes the same bytes. */

interface Weight {
  readonly from: number;
  readonly weight: number;
}

/**
 * Of one axis: smaller, the mean of the pixels that an output pixel covers, by how much of each it covers; larger, linear between the two
 * nearest centres.
 */
function weights(size: number, to: number): readonly (readonly Weight[])[] {
  const step = size / to;
  return Array.from({ length: to }, (_, i) => {
    if (step > 1) {
      const [start, end] = [i * step, Math.min(size, (i + 1) * step)];
      const first = Math.floor(start);
      return Array.from({ length: Math.ceil(end) - first }, (__, k) => {
        const from = first + k;
        return { from, weight: (Math.min(end, from + 1) - Math.max(start, from)) / (end - start) };
      });
    }
    const centre = Math.min(size - 1, Math.max(0, (i + 0.5) * step - 0.5));
    const from = Math.floor(centre);
    const far = centre - from;
    const next = { from: Math.min(size - 1, from + 1), weight: far };
    return far === 0 ? [{ from, weight: 1 }] : [{ from, weight: 1 - far }, next];
  });
}

export interface ImageSize {
  readonly height: number;
  readonly width: number;
}

/**
 * Stretched to the size: along the rows, then along the columns, rounded once.
 *
 * @param pixels  [height, width, channels]
 * @returns       [to.height, to.width, channels]; the same array where the size is the same
 */
export function resizeImage(
  pixels: Uint8Array,
  { height, width }: ImageSize,
  to: ImageSize,
  channels: number,
): Uint8Array {
  if (height === to.height && width === to.width) return pixels;
  const across = weights(width, to.width);
  const down = weights(height, to.height);
  const rows = new Float64Array(height * to.width * channels); // [height, to.width, channels]
  for (let y = 0; y < height; y++)
    across.forEach((parts, x) => {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (const { from, weight } of parts) sum += weight * pixels[(y * width + from) * channels + c]!;
        rows[(y * to.width + x) * channels + c] = sum;
      }
    });
  const line = to.width * channels;
  const out = new Uint8Array(to.height * line);
  down.forEach((parts, y) => {
    for (let i = 0; i < line; i++) {
      let sum = 0;
      for (const { from, weight } of parts) sum += weight * rows[from * line + i]!;
      out[y * line + i] = Math.floor(sum + 0.5);
    }
  });
  return out;
}
