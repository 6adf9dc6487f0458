import type { OpenFile } from '../roles/home-files.js';

/** A file of a home that is a map from names to bytes, read and written in place. */
export function memoryFile(files: Map<string, Uint8Array>, name: string): OpenFile {
  if (!files.has(name)) files.set(name, new Uint8Array());
  return {
    read: async (position, length) => files.get(name)!.slice(position, position + length),
    async write(bytes, position) {
      const old = files.get(name)!;
      const longer = new Uint8Array(Math.max(old.length, position + bytes.length));
      longer.set(old);
      longer.set(bytes, position);
      files.set(name, longer);
    },
    close: async () => undefined,
  };
}
