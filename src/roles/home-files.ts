/** Durable files of the home, 0600; names are relative paths. */
export interface HomeFiles {
  write(name: string, data: string | Uint8Array): Promise<void>;
  read(name: string): Promise<Uint8Array | undefined>;
  /** Fewer bytes at the end of the file. */
  readPart(name: string, position: number, length: number): Promise<Uint8Array>;
  readJson<T>(name: string): Promise<T | undefined>;
  /** Names in a folder, sorted; none when it is absent. */
  list(folder: string): Promise<readonly string[]>;
  /** The path for messages. */
  describe(name: string): string;
}
