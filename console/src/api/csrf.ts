/** The token that goes with the session's cookie into each change. It opens nothing without the cookie. */
const KEY = "tintype.csrf";

export const csrf = {
  get: () => localStorage.getItem(KEY) ?? "",
  set: (token: string) => localStorage.setItem(KEY, token),
  forget: () => localStorage.removeItem(KEY),
};
