import { constants } from 'node:fs';
import { link, mkdir, open, readdir, readFile, rename, rm, type FileHandle } from 'node:fs/promises';
import type { Disk, DiskFile } from './disk.js';

const FLAGS = {
  read: constants.O_RDONLY,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
  edit: constants.O_RDWR | constants.O_CREAT,
};

/** The disk of this machine. */
export const nodeDisk: Disk = {
  open: async (path, how, mode = 0o600) => nodeFile(await open(path, FLAGS[how], mode)),
  readFile: (path) => readFile(path),
  list: (folder) => readdir(folder),
  makeFolder: async (folder, mode = 0o700) => void (await mkdir(folder, { recursive: true, mode })),
  rename: (from, to) => rename(from, to),
  link: (from, to) => link(from, to),
  remove: (path) => rm(path, { force: true }),
  async syncFolder(folder) {
    // Windows cannot open folders, and keeps names without such a step.
    if (process.platform === 'win32') return;
    const handle = await open(folder, 'r');
    await handle.sync().finally(() => handle.close());
  },
};

function nodeFile(handle: FileHandle): DiskFile {
  return {
    async read(position, length) {
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(length), 0, length, position);
      return buffer.subarray(0, bytesRead);
    },
    write: async (bytes, position) => (await handle.write(bytes, 0, bytes.length, position)).bytesWritten,
    writeTogether: async (parts, position) => (await handle.writev(parts, position)).bytesWritten,
    truncate: (length) => handle.truncate(length),
    size: async () => (await handle.stat()).size,
    datasync: () => handle.datasync(),
    sync: () => handle.sync(),
    close: () => handle.close(),
  };
}
