import { Problem } from "./api/problem";
import type { Who } from "./api/types";
import { askWho } from "./api/who";
import { early } from "./app/early";
import { inside } from "./app/inside";
import { openDoor } from "./app/login/door";
import { beginLook } from "./app/look";
import "./look/base.css";
import { ownZone } from "./parts/period/zone";
import { fetchWords } from "./words/catalogue";
import { doorWords } from "./words/door";
import { wantedLanguage } from "./words/language";

beginLook();
const found = document.getElementById("root");
if (!found) throw new Error("index.html has no place for the console");
const place = found;
const isHome = () => location.pathname === "/";

/** All of the console but its other screens, and its words, are on their way at once. */
const fetchInside = () => Promise.all([import("./app/App"), fetchWords()]);

async function enter(asked: Promise<Who> = askWho()) {
  if (isHome()) early.begin(ownZone());
  const who = asked.catch(() => undefined);
  const [{ enter: draw }, words] = await fetchInside();
  draw(place, words, await who);
}

/** Who is not logged in sees the door before anything else is loaded; the address stays. */
async function begin() {
  const isDev = import.meta.env.DEV && location.pathname === "/dev";
  if (isDev || inside.isLikely()) return enter();
  const language = wantedLanguage();
  const words = doorWords(language);
  const asked = askWho();
  const isOutside = await asked.then(
    () => false,
    (error) => error instanceof Problem && error.status === 401,
  );
  if (!isOutside) return enter(asked);
  openDoor(place, {
    words: await words,
    language,
    onBegun: () => fetchInside().catch(() => undefined),
    onDone: () => enter(),
  });
}

begin();
