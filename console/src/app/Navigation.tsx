import { Link, useRouterState } from "@tanstack/react-router";
import { useState } from "react";
import { Button } from "../parts/button/Button";
import { useWords } from "../words";
import { Account } from "./Account";
import style from "./Navigation.module.css";
import { openPalette } from "./palette/open";
import type { Screen } from "./screen";
import { screens } from "./screens";
import { useWho } from "./session";

export function Navigation() {
  const { shell } = useWords();
  const path = useRouterState({ select: (state) => state.location.pathname });
  // Where it was unfolded: whoever arrives elsewhere has chosen, and finds it folded.
  const [openAt, setOpenAt] = useState<string>();
  const isOpen = openAt === path;
  return (
    <header className={style.bar}>
      <div className={style.top}>
        <Link to="/" className={style.brand}>
          <img src="/icon.svg" alt="" width="22" height="22" />
          Tintype
        </Link>
        <Button
          kind="quiet"
          className={style.menu}
          aria-expanded={isOpen}
          aria-controls="navigation"
          onClick={() => setOpenAt(isOpen ? undefined : path)}
        >
          {shell.menu}
        </Button>
      </div>
      <div id="navigation" className={style.folded} data-open={isOpen || undefined}>
        <button type="button" className={style.find} onClick={openPalette}>
          {shell.find} <kbd>{shortcut()}</kbd>
        </button>
        <nav aria-label={shell.navigation}>
          <Groups />
        </nav>
        <Account />
      </div>
    </header>
  );
}

function Groups() {
  const { groups, screens: names } = useWords();
  const who = useWho();
  const seen: readonly Screen[] = screens.filter((screen) => who.may(screen.needs));
  const order = [...new Set(seen.map((screen) => screen.group))];
  return order.map((group) => (
    <div key={group} className={style.group}>
      <p className={style.heading} id={`group-${group}`}>
        {groups[group]}
      </p>
      <ul aria-labelledby={`group-${group}`}>
        {seen
          .filter((screen) => screen.group === group)
          .map((screen) => (
            <li key={screen.name}>
              <Link
                to={screen.home}
                activeOptions={{ exact: screen.home === "/", includeSearch: false }}
                activeProps={{ "aria-current": "page" }}
              >
                {names[screen.name]}
              </Link>
            </li>
          ))}
      </ul>
    </div>
  ));
}

const shortcut = () => (/Mac|iPhone|iPad/.test(navigator.userAgent) ? "⌘K" : "Ctrl K");
