import { useQuery } from "@tanstack/react-query";
import { readyMade } from "../../api/objects";
import { LinkButton } from "../../parts/button/LinkButton";
import { Loading } from "../../parts/loading/Loading";
import { Panel } from "../../parts/panel/Panel";
import { ownZone } from "../../parts/period/zone";
import { Told } from "../../parts/told/Told";
import { useWords } from "../../words";
import style from "./Schedules.module.css";
import { isIn, type Tab } from "./tabs";

/** Schedules that need one click: they are shown before they are made. */
export function ReadyMade({ tab }: { tab: Tab }) {
  const { schedules: words } = useWords();
  const query = useQuery(readyMade(ownZone()));
  return (
    <Panel title={words.readyMade}>
      <Loading of={query}>
        {({ items }) => (
          <ul className={style.made}>
            {items
              .filter((each) => isIn(tab, each as never))
              .map(({ name, spec }) => (
                <li key={name}>
                  <div>
                    <h3>{name}</h3>
                    <p className={style.quiet}>{spec.note && <Told of={spec.note} />}</p>
                  </div>
                  <LinkButton to="/schedules/new" search={{ from: name, tab }}>
                    {words.use}
                    <span className="unseen">: {name}</span>
                  </LinkButton>
                </li>
              ))}
          </ul>
        )}
      </Loading>
    </Panel>
  );
}
