import { useQuery } from "@tanstack/react-query";
import { wholeRestore } from "../../api/restores";
import type { WholeRestore } from "../../api/types";
import { CopyLine } from "../../parts/copy/CopyLine";
import { Loading } from "../../parts/loading/Loading";
import { Notice } from "../../parts/notice/Notice";
import { Panel } from "../../parts/panel/Panel";
import { Told } from "../../parts/told/Told";
import { useWords } from "../../words";
import style from "./Plan.module.css";

/** The command that brings back everything, the manager with it; or why there is none. */
export function Whole({ snapshot }: { snapshot: string }) {
  const { restore } = useWords();
  const query = useQuery(wholeRestore(snapshot));
  return (
    <Panel title={restore.whole.title}>
      <Loading of={query}>{(whole) => <Way whole={whole} />}</Loading>
    </Panel>
  );
}

function Way({ whole }: { whole: WholeRestore }) {
  const { restore } = useWords();
  const words = restore.whole;
  const { command, command_elsewhere: elsewhere } = whole;
  if (!command && !elsewhere) {
    return (
      <Notice is="none" title={words.none}>
        {whole.why_not && <Told of={whole.why_not} />}
      </Notice>
    );
  }
  return (
    <div className={style.everything}>
      <p>{words.words}</p>
      <Points title={words.before} of={whole.before ?? []} />
      {command && (
        <div className={style.way}>
          <h3>{words.here}</h3>
          <CopyLine text={command} label={words.here} />
        </div>
      )}
      {elsewhere && (
        <div className={style.way}>
          <h3>{words.elsewhere}</h3>
          <CopyLine text={elsewhere} label={words.elsewhere} />
        </div>
      )}
      <Notice is="attention" title={words.logIn}>
        {words.logInWords}
      </Notice>
      <Points title={words.afterwards} of={whole.afterwards ?? []} />
    </div>
  );
}

function Points({ title, of }: { title: string; of: string[] }) {
  if (of.length === 0) return null;
  return (
    <div className={style.way}>
      <h3>{title}</h3>
      <ul className={style.points}>
        {of.map((each) => (
          <li key={each}>
            <Told of={each} />
          </li>
        ))}
      </ul>
    </div>
  );
}
