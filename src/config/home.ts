/** One participant's folder: key, wallet, journals, dataset keys, caches; all 0700 and 0600. */
export interface Home {
  readonly dir: string;
  /** Absolute path of something inside; parts may not climb out. */
  path(...parts: readonly string[]): string;
  /** Makes the folder (0700). */
  ensure(): Promise<void>;
  /** Exclusive until `unlock` or the end of the process, kill -9 included. @throws NmktError `home-locked` naming the pid */
  lock(): Promise<void>;
  unlock(): Promise<void>;
  /** Atomic and durable, mode 0600: temporary file, fsync, rename, fsync of the folder. Missing folders are made. */
  writeFile(relative: string, data: string | Uint8Array): Promise<void>;
  /** `undefined` when the file is not there. @throws NmktError `bad-settings` when it is not JSON */
  readJson(relative: string): Promise<unknown>;
}
