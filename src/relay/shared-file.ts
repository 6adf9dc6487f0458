import type { DiskFile } from '../disk/disk.js';

/** A file that may be replaced by another while some still read it: it is closed when the last is done. */
export class SharedFile {
  readonly file: DiskFile;
  #readers = 0;
  #isRetired = false;

  constructor(file: DiskFile) {
    this.file = file;
  }

  async read(position: number, length: number): Promise<Buffer> {
    this.#readers++;
    try {
      return await this.file.read(position, length);
    } finally {
      this.#readers--;
      if (this.#isRetired && this.#readers === 0) await this.file.close().catch(() => undefined);
    }
  }

  /** No read may begin any more. */
  async retire(): Promise<void> {
    this.#isRetired = true;
    if (this.#readers === 0) await this.file.close().catch(() => undefined);
  }
}
