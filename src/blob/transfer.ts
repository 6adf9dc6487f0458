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
