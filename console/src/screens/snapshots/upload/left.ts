/** The upload that this browser began last: the server has no list of those that are not whole. */
const KEY = "tintype.upload";

export const left = {
  get: () => localStorage.getItem(KEY) ?? undefined,
  set: (id: string) => localStorage.setItem(KEY, id),
  forget: () => localStorage.removeItem(KEY),
};
