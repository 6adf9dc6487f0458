import type { HomeFiles } from '../roles/home-files.js';
import { memoryFile } from './memory-file.js';

/**
 * The files of a home that is a map from names to bytes.
 *
 * @param name   for messages
 * @param write  every durable change goes through it
 */
export function memoryFiles(
  name: string,
  files: Map<string, Uint8Array>,
  write: (change: () => void) => Promise<void> = async (change) => change(),
): HomeFiles {
  const bytesOf = (data: string | Uint8Array) => (typeof data === 'string' ? Buffer.from(data) : Uint8Array.from(data));
  return {
    write: (file, data) => write(() => void files.set(file, bytesOf(data))),
    read: async (file) => files.get(file),
    readPart: async (file, position, length) => files.get(file)!.subarray(position, position + length),
    readJson: async <T>(file: string) => {
      const bytes = files.get(file);
      return bytes === undefined ? undefined : (JSON.parse(Buffer.from(bytes).toString('utf8')) as T);
    },
    edit: async (file) => memoryFile(files, file),
    remove: async (file) => void files.delete(file),
    forget: (file) => write(() => void files.delete(file)),
    list: async (folder) => {
      const names = [...files.keys()].filter((file) => file.startsWith(`${folder}/`));
      return [...new Set(names.map((file) => file.slice(folder.length + 1).split('/')[0]!))].sort();
    },
    describe: (file) => `/homes/${name}/${file}`,
  };
}
