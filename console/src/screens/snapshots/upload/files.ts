/** Files that were chosen in this window, by the upload that they belong to. A reload forgets them. */
const chosen = new Map<string, File>();

export const files = {
  of: (upload: string): File | undefined => chosen.get(upload),
  keep: (upload: string, file: File) => chosen.set(upload, file),
  forget: (upload: string) => chosen.delete(upload),
};
