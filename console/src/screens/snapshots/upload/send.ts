import { Problem } from "../../../api/problem";
import type { Upload } from "../../../api/types";

/** The most that the server takes at once. */
export const PIECE = 8 * 1024 * 1024;
const TRIES = 5;
const WAIT_MS = 2000;

export interface Ways {
  put: (offset: number, piece: Blob) => Promise<Upload>;
  /** What is there already: the server knows it better than a browser that lost its connection. */
  look: () => Promise<Upload>;
  heard: (upload: Upload) => void;
  wait?: (ms: number) => Promise<void>;
  signal: AbortSignal;
}

const sleep = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));

/** Sends what is missing of a file, piece by piece. A piece that got lost is sent again, a few times. */
export async function send(file: Blob, begun: Upload, ways: Ways): Promise<Upload> {
  let upload = begun;
  let failures = 0;
  while (upload.offset < file.size && !ways.signal.aborted) {
    const { offset } = upload;
    try {
      upload = await ways.put(offset, file.slice(offset, offset + PIECE));
      failures = 0;
    } catch (error) {
      failures++;
      if (!mayTryAgain(error) || failures >= TRIES) throw error;
      await (ways.wait ?? sleep)(WAIT_MS * failures);
      upload = await ways.look().catch(() => upload);
    }
    ways.heard(upload);
  }
  return upload;
}

/** The connection was lost, or another piece came first: both are mended by looking what is there. */
function mayTryAgain(error: unknown): boolean {
  return error instanceof Problem && (error.isPassing || error.code === "changed");
}

/** Whether a file is the one that was begun with, as far as one can tell without reading it. */
export const isSame = (file: { name: string; size: number }, upload: Upload): boolean =>
  file.size === upload.size_bytes && (upload.name === "" || file.name === upload.name);

export const shareOf = ({ offset, size_bytes }: Upload): number | undefined =>
  size_bytes ? offset / size_bytes : undefined;
