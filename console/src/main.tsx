import { type ReactNode, StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Problem } from "./api/problem";
import { askWho } from "./api/who";
import { inside } from "./app/inside";
import { Login } from "./app/login/Login";
import { beginLook } from "./app/look";
import "./look/base.css";
import { DOOR, fetchWords, Spoken, WHOLE } from "./words";

beginLook();
const place = document.getElementById("root");
if (!place) throw new Error("index.html has no place for the console");
const root = createRoot(place);
const draw = (what: ReactNode, isInside: boolean) =>
  root.render(
    <StrictMode>
      <Spoken key={String(isInside)} of={isInside ? WHOLE : DOOR}>
        {what}
      </Spoken>
    </StrictMode>,
  );

async function enter() {
  const [{ App }] = await Promise.all([import("./app/App"), fetchWords(WHOLE)]);
  draw(<App />, true);
}

/** Who is not logged in sees the door before anything else is loaded; the address stays. */
async function begin() {
  const isDev = import.meta.env.DEV && location.pathname === "/dev";
  if (isDev || inside.isLikely()) return enter();
  fetchWords(DOOR);
  const isOutside = await askWho().then(
    () => false,
    (error) => error instanceof Problem && error.status === 401,
  );
  if (isOutside) draw(<Login onDone={enter} />, false);
  else await enter();
}

begin();
