/**
 * The token that goes with the session's cookie into each change. Who logs in is told it, and so is whoever
 * asks who he is with the cookie: it needs no keeping.
 */
let token = "";

export const csrf = {
  get: () => token,
  set: (next: string) => {
    token = next;
  },
};
