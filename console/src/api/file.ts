/** Something in a snapshot, as the API asks for it. */
export interface At {
  path?: string;
  path_hex?: string;
  disk?: string;
  partition?: number;
}

/** Where a file is downloaded. One that was not captured whole is given only to those who say so. */
export function fileAddress(id: string, at: At, isLost = false): string {
  const query = new URLSearchParams(
    Object.entries(at).map(([name, value]): [string, string] => [name, String(value)]),
  );
  if (isLost) query.set("incomplete", "true");
  return `/api/v1/snapshots/${id}/file?${query}`;
}
