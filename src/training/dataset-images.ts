import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { NmktError } from '../errors.js';
import type { DataSchema, Examples } from '../learning/types.js';
import { unitScale } from './dataset-idx.js';
import { listFolder } from './folder.js';
import { decodeImage } from './image-decode.js';
import { imageHeader, type ImageHeader } from './image-header.js';
import { resizeImage, type ImageSize } from './image-resize.js';

/** Images in a folder per class, as torchvision's ImageFolder has them: PNG and JPEG, as bytes like those of IDX. */

export interface ImageOptions {
  /** Default: the images have one size. */
  readonly imageSize?: ImageSize;
  readonly grayscale?: boolean;
}

const NAMES = /\.(png|jpe?g)$/i;
/** Of one image, whatever it becomes: more than any camera makes. */
const MAX_PIXELS = 2 ** 27;

interface Found {
  readonly path: string;
  /** Undefined: it lies in no class. */
  readonly label: string | undefined;
}

function badImages(
  path: string,
  why: string,
  remedy: string,
  expected: string,
  got: string,
  cause?: unknown,
): NmktError {
  return new NmktError('bad-dataset', `${path} ${why}`, { remedy, expected, got, cause });
}

export function isImageName(name: string): boolean {
  return NAMES.test(name);
}

/** Classes and the images of each in the order of their names; other files are left alone. */
async function imagesOf(folder: string): Promise<Found[]> {
  const { folders, files } = await listFolder(folder);
  const of = (label: string | undefined, names: readonly string[]) =>
    names.filter(isImageName).map((name) => ({ path: join(folder, label ?? '', name), label }));
  if (folders.length === 0) return of(undefined, files);
  const classes: Found[] = [];
  for (const name of folders) {
    const own = of(name, (await listFolder(join(folder, name))).files);
    if (own.length === 0)
      throw badImages(
        join(folder, name),
        'holds no images',
        'remove the folder, or put images there',
        'PNG or JPEG files',
        'none',
      );
    classes.push(...own);
  }
  return classes;
}

async function readImage(path: string, maxBytes: number): Promise<{ bytes: Uint8Array; header: ImageHeader }> {
  const { size } = await stat(path);
  const tooLarge = (what: string, most: number, got: number) =>
    new NmktError('too-large', `${path} ${what}`, {
      remedy: 'raise --max-bytes',
      expected: `at most ${most}`,
      got: `${got}`,
    });
  if (size > maxBytes) throw tooLarge('is above the size limit', maxBytes, size);
  const bytes = await readFile(path);
  const header = saidOf(path, () => imageHeader(bytes));
  const pixels = header.height * header.width;
  const most = Math.min(MAX_PIXELS, maxBytes);
  if (pixels > most) throw tooLarge('declares too many pixels', most, pixels);
  return { bytes, header };
}

/** The words of a reader, under the file's name. */
function saidOf<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw badImages(path, cause.message, 'save it again as PNG, or remove it', 'a PNG or JPEG file', 'another', cause);
  }
}

interface Shape extends ImageSize {
  readonly channels: 1 | 3;
}

/** Looks at every header first: how large the whole will be is known before a pixel is decoded. */
async function shapeOf(
  images: readonly Found[],
  { imageSize, grayscale }: ImageOptions,
  maxBytes: number,
): Promise<Shape> {
  let first: ImageHeader | undefined;
  let channels: 1 | 3 = 1;
  for (const { path } of images) {
    const { header } = await readImage(path, maxBytes);
    first ??= header;
    if (header.channels === 3 && grayscale !== true) channels = 3;
    if (imageSize === undefined && (header.height !== first.height || header.width !== first.width))
      throw badImages(
        path,
        'is of another size than the first image',
        `--image-size ${first.height}x${first.width} makes all of one size`,
        `${first.height} x ${first.width} pixels`,
        `${header.height} x ${header.width}`,
      );
  }
  const { height, width } = imageSize ?? first!;
  return { height, width, channels };
}

async function pixelsOf(images: readonly Found[], shape: Shape, maxBytes: number): Promise<Uint8Array> {
  const inputs = shape.height * shape.width * shape.channels;
  if (inputs * images.length > maxBytes)
    throw new NmktError('too-large', `${images.length} images of ${inputs} bytes are above the size limit`, {
      remedy: 'make them smaller with --image-size, or raise --max-bytes',
      expected: `at most ${maxBytes} bytes`,
      got: `${inputs * images.length}`,
    });
  const out = new Uint8Array(images.length * inputs);
  for (const [row, { path }] of images.entries()) {
    const { bytes, header } = await readImage(path, maxBytes);
    const pixels = saidOf(path, () => decodeImage(bytes, header, shape.channels));
    out.set(resizeImage(pixels, header, shape, shape.channels), row * inputs);
  }
  return out;
}

/**
 * `FOLDER/class/image.png`: classes are the folders, examples in the order of classes and names. Grey where all images are.
 *
 * @param maxBytes  of each file, of the pixels it declares, and of all examples
 * @throws NmktError `bad-dataset` naming the file, `too-large`
 */
export async function readImageFolder(
  folder: string,
  options: ImageOptions,
  maxBytes: number,
): Promise<{ schema: DataSchema; examples: Examples }> {
  const images = await imagesOf(folder);
  const classes = [...new Set(images.map(({ label }) => label))];
  if (classes.length < 2 || classes.some((name) => name === undefined))
    throw badImages(
      folder,
      'has no classes',
      'put the images of each class into a folder of its name',
      'at least 2 folders with PNG or JPEG files',
      classes.map((name) => name ?? `${images.length} images beside each other`).join(', ') || 'no image',
    );
  const shape = await shapeOf(images, options, maxBytes);
  const { height, width, channels } = shape;
  const features = await pixelsOf(images, shape, maxBytes);
  const inputs = height * width * channels;
  const scale = unitScale(features);
  const labels = Int32Array.from(images, ({ label }) => classes.indexOf(label));
  return {
    schema: {
      task: 'classification',
      ...{ shape: channels === 1 ? [height, width] : [height, width, channels], inputs, dtype: 'U8', scale },
      ...{ outputs: classes.length, classes: classes as string[] },
    },
    examples: { rows: images.length, inputs, features, scale, labels },
  };
}

/** One image, or a folder of images, in the size and channels that the model takes. */
export async function readImagesWithSchema(
  path: string,
  schema: DataSchema,
  isFolder: boolean,
  maxBytes: number,
): Promise<{ examples: Examples; isLabelled: boolean }> {
  const [height, width, channels] = schema.shape;
  const fits =
    schema.dtype === 'U8' && schema.text === undefined && schema.shape.length >= 2 && schema.shape.length <= 3;
  if (!fits || (channels !== undefined && channels !== 1 && channels !== 3))
    throw badImages(
      path,
      'holds images, the model takes other data',
      'give data like those the model was trained on',
      `${schema.dtype} [${schema.shape.join(', ')}]`,
      'images',
    );
  const images = isFolder ? await imagesOf(path) : [{ path, label: undefined }];
  if (images.length === 0) throw badImages(path, 'holds no images', 'name another folder', 'PNG or JPEG files', 'none');
  const isLabelled = images[0]!.label !== undefined;
  const classes = schema.classes ?? [];
  const labels = Int32Array.from(images, ({ label }) => (label === undefined ? 0 : classes.indexOf(label)));
  const unknown = images[labels.indexOf(-1)];
  if (unknown !== undefined)
    throw badImages(
      path,
      'has a class that the model does not know',
      'name the folders like the classes of the model',
      classes.slice(0, 20).join(', '),
      basename(join(unknown.path, '..')),
    );
  const shape: Shape = { height: height!, width: width!, channels: channels === 3 ? 3 : 1 };
  const features = await pixelsOf(images, shape, maxBytes);
  return {
    examples: { rows: images.length, inputs: schema.inputs, features, scale: schema.scale, labels },
    isLabelled,
  };
}
