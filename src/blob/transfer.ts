/** Blobs over relays: the only part of this folder that does I/O, and only through the `Relays` port. */
export {
  uploadBlob,
  verifyStored,
  type RelayTally,
  type StoredSample,
  type UploadOptions,
  type UploadResult,
} from './upload.js';
export { downloadBlob, MissingChunks, type DownloadOptions } from './download.js';
export { downloadByFile, type ChunkFile } from './download-file.js';
export { fetchFromAll } from './fetch-lanes.js';
export { listChunks, type ListedChunk } from './list-chunks.js';
export { someRelays } from './some-relays.js';
