import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Outlet, useRouterState } from "@tanstack/react-router";
import { Suspense, useEffect, useRef } from "react";
import { Problem } from "../api/problem";
import { whoami } from "../api/queries";
import { ProblemNotice } from "../parts/notice/ProblemNotice";
import { WayContext } from "../parts/told/context";
import { useWords } from "../words";
import { Banner } from "./Banner";
import { inside } from "./inside";
import { LiveProvider } from "./live";
import { Login } from "./login/Login";
import { NewPassword } from "./login/NewPassword";
import { Navigation } from "./Navigation";
import { Nowhere } from "./Nowhere";
import { Palette } from "./palette/Palette";
import style from "./Shell.module.css";
import { screens } from "./screens";
import { useWho } from "./session";
import { Way } from "./Way";

/** Who is not logged in is asked to, where he is: the address stays. */
export function Shell() {
  const who = useQuery(whoami);
  const client = useQueryClient();
  // Also of a session that has ended since: what is known of before is nobody's any more.
  const isOut = who.error instanceof Problem && who.error.status === 401;
  useEffect(() => {
    if (who.data && !isOut) inside.expect();
    else if (who.error) inside.forget();
  }, [who.data, who.error, isOut]);
  if (isOut) {
    return <Login hasEnded={who.data !== undefined} onDone={() => client.resetQueries()} />;
  }
  if (who.data?.must_change_password) return <NewPassword who={who.data} />;
  if (who.data) return <Inside />;
  if (who.error) return <ProblemNotice error={who.error} again={() => who.refetch()} />;
  return null;
}

function Inside() {
  const { shell } = useWords();
  const main = useFocusOnNewScreen();
  return (
    <WayContext value={Way}>
      <LiveProvider>
        <a href="#main" className={style.skip}>
          {shell.skip}
        </a>
        <div className={style.shell}>
          <Navigation />
          <div className={style.side}>
            <Banner />
            <main id="main" ref={main} tabIndex={-1} className={style.main}>
              <Suspense>
                <Allowed />
              </Suspense>
            </main>
          </div>
        </div>
        <Palette />
      </LiveProvider>
    </WayContext>
  );
}

/** What one may not see is nowhere, whatever address was typed. */
function Allowed() {
  const who = useWho();
  const path = useRouterState({ select: (state) => state.location.pathname });
  const isOf = (home: string) => home !== "/" && `${path}/`.startsWith(`${home}/`);
  const screen = screens.find(({ home }) => isOf(home));
  return screen && !who.may(screen.needs) ? <Nowhere /> : <Outlet />;
}

/** Another path is another page: those who listen begin at its beginning. */
function useFocusOnNewScreen() {
  const main = useRef<HTMLElement>(null);
  const path = useRouterState({ select: (state) => state.resolvedLocation?.pathname });
  const before = useRef(path);
  useEffect(() => {
    if (before.current !== undefined && before.current !== path) {
      main.current?.focus({ preventScroll: true });
    }
    before.current = path;
  }, [path]);
  return main;
}
