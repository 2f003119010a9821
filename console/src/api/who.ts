import { api, ask } from "./client";
import { csrf } from "./csrf";

/** Who asks, with the token that goes into changes. */
export async function askWho() {
  const me = await ask(api.GET("/api/v1/whoami"));
  csrf.set(me.csrf_token ?? "");
  return me;
}
