import jpeg from 'jpeg-js';
import { PNG } from 'pngjs';
import fc from 'fast-check';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readDataset, readWithSchema } from '../../src/training/dataset.js';
import { decodeImage } from '../../src/training/image-decode.js';
import { imageHeader } from '../../src/training/image-header.js';
import { resizeImage } from '../../src/training/image-resize.js';
import { folderOfFile } from '../support/run-nmkt.js';
import { shardsOf } from './shards-of.js';

const root = folderOfFile();
let folders = 0;
/** Files below a new folder. */
async function tree(files: Readonly<Record<string, Uint8Array | string>>): Promise<string> {
  const folder = join(root, `${folders++}`);
  await mkdir(folder);
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}
const failure = (code: string, detail: Record<string, unknown> = {}) => expect.objectContaining({ code, ...detail });

/** A PNG of bytes: 1 channel grey, 3 colours, 4 with alpha. */
function png(height: number, width: number, pixels: readonly number[], channels: 1 | 3 | 4 = 1): Uint8Array {
  const image = new PNG({ width, height });
  for (let i = 0; i < height * width; i++) {
    const at = (c: number) => pixels[i * channels + (channels === 1 ? 0 : c)]!;
    image.data.set([at(0), at(1), at(2), channels === 4 ? at(3) : 255], 4 * i);
  }
  return PNG.sync.write(image, { colorType: channels === 1 ? 0 : channels === 3 ? 2 : 6 });
}
function jpg(height: number, width: number, color: readonly [number, number, number]): Uint8Array {
  const data = new Uint8Array(4 * height * width).map((_, i) => [...color, 255][i % 4]!);
  return jpeg.encode({ width, height, data }, 95).data;
}
function idx(shape: readonly number[], data: readonly number[]): Uint8Array {
  const bytes = Buffer.alloc(4 + 4 * shape.length + data.length);
  bytes.set([0, 0, 8, shape.length]);
  shape.forEach((size, i) => bytes.writeUInt32BE(size, 4 + 4 * i));
  bytes.set(data, 4 + 4 * shape.length);
  return bytes;
}

describe('a folder of images', () => {
  it('gives the shards that the same pixels give as IDX, whose classes are numbers', async () => {
    const images = Array.from({ length: 20 }, (_, i) => Array.from({ length: 6 }, (__, k) => (i * 37 + k * 11) % 256));
    const byClass = images.map((pixels, i) => ({ pixels, label: i < 8 ? 0 : 1 }));
    const folder = await tree(
      Object.fromEntries(byClass.map(({ pixels, label }, i) => [`${label}/${100 + i}.png`, png(2, 3, pixels)])),
    );
    const files = await tree({
      'x-images-idx3-ubyte': idx([20, 2, 3], images.flat()),
      'x-labels-idx1-ubyte': idx(
        [20],
        byClass.map(({ label }) => label),
      ),
    });
    const read = await readDataset(folder);
    expect(read.schema.shape).toEqual([2, 3]);
    expect(shardsOf(read)).toEqual(shardsOf(await readDataset(join(files, 'x-images-idx3-ubyte'))));
  });

  it('is sorted by class and name, and leaves other files alone', async () => {
    const folder = await tree({
      'dog/b.PNG': png(1, 1, [4]),
      'dog/a10.png': png(1, 1, [2]),
      'dog/a9.png': png(1, 1, [3]),
      'cat/z.png': png(1, 1, [1]),
      'dog/.hidden.png': 'not an image',
      'dog/notes.txt': 'good dogs',
      'README.md': 'cats and dogs',
    });
    const { schema, examples } = await readDataset(folder);
    expect(schema).toMatchObject({
      task: 'classification',
      shape: [1, 1],
      outputs: 2,
      classes: ['cat', 'dog'],
      dtype: 'U8',
    });
    expect([...examples.features]).toEqual([1, 2, 3, 4]);
    expect([...examples.labels]).toEqual([0, 1, 1, 1]);
  });

  it('has three channels where one image has colours, and one with --grayscale: red is 76', async () => {
    const folder = await tree({ 'a/1.png': png(1, 1, [9]), 'b/1.png': png(1, 2, [255, 0, 0, 77, 1, 2, 3, 0], 4) });
    await expect(readDataset(folder)).rejects.toEqual(
      failure('bad-dataset', {
        message: expect.stringMatching(/b.1\.png is of another size/),
        remedy: '--image-size 1x1 makes all of one size',
      }),
    );
    const colours = await readDataset(folder, { imageSize: { height: 1, width: 2 } });
    expect(colours.schema.shape).toEqual([1, 2, 3]);
    expect([...colours.examples.features]).toEqual([9, 9, 9, 9, 9, 9, 255, 0, 0, 1, 2, 3]);
    const grey = await readDataset(folder, { imageSize: { height: 1, width: 2 }, grayscale: true });
    expect(grey.schema.shape).toEqual([1, 2]);
    expect([...grey.examples.features]).toEqual([9, 9, 76, 2]);
  });

  it('may hold JPEG, whose colours come back within 3', async () => {
    const folder = await tree({ 'a/1.jpg': jpg(8, 8, [200, 50, 30]), 'b/1.jpeg': jpg(8, 8, [0, 90, 255]) });
    const { schema, examples } = await readDataset(folder);
    expect(schema.shape).toEqual([8, 8, 3]);
    [200, 50, 30].forEach((value, c) => expect(Math.abs(examples.features[c]! - value)).toBeLessThanOrEqual(3));
  });

  it('is read for a model in the size and channels of the model: one image, images beside each other, or classes', async () => {
    const train = await tree({ 'a/1.png': png(2, 2, [0, 0, 0, 0]), 'b/1.png': png(2, 2, [8, 8, 8, 8]) });
    const { schema } = await readDataset(train);
    const large = png(4, 4, new Array<number>(48).fill(7), 3);
    const more = await tree({ 'x.png': large, 'y.png': png(2, 2, [1, 2, 3, 4]) });
    const one = await readWithSchema(join(more, 'x.png'), schema, { labelsOptional: true });
    expect([one.isLabelled, [...one.examples.features]]).toEqual([false, [7, 7, 7, 7]]);
    const beside = await readWithSchema(more, schema, { labelsOptional: true });
    expect([...beside.examples.features]).toEqual([7, 7, 7, 7, 1, 2, 3, 4]);
    await expect(readWithSchema(more, schema)).rejects.toEqual(failure('label-missing'));
    const test = await readWithSchema(await tree({ 'b/1.png': png(2, 2, [5, 5, 5, 5]) }), schema);
    expect([test.isLabelled, [...test.examples.labels]]).toEqual([true, [1]]);
    await expect(readWithSchema(await tree({ 'c/1.png': large }), schema)).rejects.toEqual(
      failure('bad-dataset', { expected: 'a, b', got: 'c' }),
    );
  });

  it('is refused without classes, with an empty class, a link, a broken image or flags of other data', async () => {
    const image = png(1, 1, [1]);
    await expect(readDataset(await tree({ '1.png': image }))).rejects.toThrow(/has no classes/);
    await expect(readDataset(await tree({ 'a/1.png': image }))).rejects.toThrow(/has no classes/);
    await expect(readDataset(await tree({ 'a/1.png': image, 'b/1.txt': 'x' }))).rejects.toThrow(/b holds no images/);
    await expect(readDataset(await tree({ 'a/1.png': image, 'b/1.png': 'GIF89a' }))).rejects.toThrow(
      /b.1\.png is neither PNG nor JPEG/,
    );
    await expect(readDataset(await tree({ 'a/1.png': image, 'b/1.png': image.slice(0, -20) }))).rejects.toThrow(
      /b.1\.png is damaged/,
    );
    const linked = await tree({ 'a/1.png': image, 'b/1.png': image });
    await symlink(join(linked, 'a'), join(linked, 'c'));
    await expect(readDataset(linked)).rejects.toThrow(/c is a link/);
    const good = await tree({ 'a/1.png': image, 'b/1.png': image });
    await expect(readDataset(good, { label: 'a' })).rejects.toEqual(failure('bad-usage'));
    await expect(readDataset(good, { task: 'regression' })).rejects.toEqual(failure('bad-usage'));
    await expect(readDataset(join(good, 'a', '1.png'))).rejects.toThrow(/is one image/);
  });

  it('is refused above the limit before a pixel is decoded', async () => {
    const wide = png(100, 100, new Array<number>(10_000).fill(0));
    const folder = await tree({ 'a/1.png': wide, 'b/1.png': wide });
    await expect(readDataset(folder, { maxBytes: 9_999 })).rejects.toEqual(failure('too-large', { got: '10000' }));
    await expect(readDataset(folder, { maxBytes: 19_999 })).rejects.toEqual(failure('too-large', { got: '20000' }));
    const size = { height: 10, width: 10 };
    expect((await readDataset(folder, { maxBytes: 10_000, imageSize: size })).examples.inputs).toBe(100);
  });
});

describe('the header of an image', () => {
  it('says kind, size and channels, as the decoders have them', () => {
    expect(imageHeader(png(2, 3, [1, 2, 3, 4, 5, 6]))).toEqual({ kind: 'png', height: 2, width: 3, channels: 1 });
    expect(imageHeader(png(1, 1, [1, 2, 3, 4], 4))).toEqual({ kind: 'png', height: 1, width: 1, channels: 3 });
    expect(imageHeader(jpg(5, 7, [1, 2, 3]))).toEqual({ kind: 'jpeg', height: 5, width: 7, channels: 3 });
  });

  it('is refused where it declares more pixels than its bytes can hold, a second header, or too many scans', () => {
    const large = Buffer.from(png(1, 1, [1]));
    large.writeUInt32BE(50_000, 16);
    large.writeUInt32BE(50_000, 20);
    expect(() => imageHeader(large)).toThrow(/more than it can hold/);
    const photo = Buffer.from(jpg(8, 8, [1, 2, 3]));
    const frame = photo.indexOf(Buffer.of(0xff, 0xc0));
    photo.writeUInt16BE(65_535, frame + 5);
    photo.writeUInt16BE(65_535, frame + 7);
    expect(() => imageHeader(photo)).toThrow(/more than it can hold/);
    const small = png(1, 1, [1]);
    expect(() => imageHeader(Buffer.concat([small, small.subarray(8)]))).toThrow(/two headers/);
    expect(() => imageHeader(Buffer.concat([photo, Buffer.alloc(200, Buffer.of(0xff, 0xda))]))).toThrow(/101 scans/);
  });

  it('must be that of the pixels', () => {
    const file = png(2, 2, [1, 2, 3, 4]);
    expect(() => decodeImage(file, { kind: 'png', height: 1, width: 1, channels: 1 }, 1)).toThrow(/another size/);
  });
});

describe('resizeImage', () => {
  const to = (height: number, width: number) => ({ height, width });

  it('takes the mean of what a pixel covers: 3 in 2 is (2 a + b) / 3 and (b + 2 c) / 3', () => {
    expect([...resizeImage(Uint8Array.of(0, 30, 90), to(1, 3), to(1, 2), 1)]).toEqual([10, 70]);
    expect([...resizeImage(Uint8Array.of(1, 2, 3, 5), to(2, 2), to(1, 1), 1)]).toEqual([3]);
  });

  it('is linear between centres when it grows: 0, 100 in 4 is 0, 25, 75, 100', () => {
    expect([...resizeImage(Uint8Array.of(0, 100), to(2, 1), to(4, 1), 1)]).toEqual([0, 25, 75, 100]);
  });

  it('keeps channels apart, one colour one colour, and brightness within what there is', () => {
    expect([...resizeImage(Uint8Array.of(0, 9, 100, 9), to(1, 2), to(1, 1), 2)]).toEqual([50, 9]);
    const side = fc.integer({ min: 1, max: 9 });
    fc.assert(
      fc.property(side, side, side, side, fc.integer({ min: 0, max: 254 }), (h, w, newH, newW, low) => {
        const flat = resizeImage(new Uint8Array(h * w).fill(low), to(h, w), to(newH, newW), 1);
        expect([...flat]).toEqual(new Array(newH * newW).fill(low));
        const mixed = Uint8Array.from({ length: h * w }, (_, i) => low + (i % 2));
        for (const value of resizeImage(mixed, to(h, w), to(newH, newW), 1))
          expect(value === low || value === low + 1).toBe(true);
      }),
    );
  });
});
