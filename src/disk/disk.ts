/**
 * What durable writers need of a file system, and no more: everything that must outlive a crash goes through this port,
 * so that a test can put a disk under it that forgets. Errors are those of node:fs, told apart by `code`.
 *
 * Nothing is durable by itself: written bytes are after `sync` or `datasync` of their file, names (new, renamed, removed)
 * after `syncFolder` of the folder they stand in.
 */
export interface Disk {
  /** `read` an existing file, `create` one that must not be there, or `edit` one, made when it is missing. */
  open(path: string, how: 'read' | 'create' | 'edit', mode?: number): Promise<DiskFile>;
  readFile(path: string): Promise<Buffer>;
  /** Names in a folder, in no order. */
  list(folder: string): Promise<string[]>;
  /** With all folders above it; nothing when it is there. @param mode  default 0700 */
  makeFolder(folder: string, mode?: number): Promise<void>;
  /** Over one that is there. Afterwards a crash leaves the old file or the new one. */
  rename(from: string, to: string): Promise<void>;
  /** A second name for a file; EEXIST when the name is taken. */
  link(from: string, to: string): Promise<void>;
  /** Nothing when it is not there. */
  remove(path: string): Promise<void>;
  syncFolder(folder: string): Promise<void>;
}

export interface DiskFile {
  /** At most `length` bytes from `position`; fewer at the end of the file. */
  read(position: number, length: number): Promise<Buffer>;
  /** @returns bytes written, at least one and perhaps not all */
  write(bytes: Uint8Array, position: number): Promise<number>;
  /** Several, one after the other, as one write; the same answer. */
  writeTogether(parts: readonly Uint8Array[], position: number): Promise<number>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  /** The file's bytes and length. */
  datasync(): Promise<void>;
  /** The same with its times and mode. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Its system error code, such as ENOENT. */
export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}
