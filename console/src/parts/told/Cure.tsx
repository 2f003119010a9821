import { useContext } from "react";
import { useWords } from "../../words";
import { CopyLine } from "../copy/CopyLine";
import style from "./Cure.module.css";
import { WayContext } from "./context";
import { commandsOf } from "./pieces";
import { Told } from "./Told";

/** What helps: a command in it can be copied; where a screen does the same, the way there stands below. */
export function Cure({ of }: { of: string }) {
  const { common } = useWords();
  const Way = useContext(WayContext);
  return (
    <div className={style.cure}>
      <div>
        <Told of={of} />
      </div>
      {commandsOf(of).map((command) => (
        <div key={command} className={style.command}>
          <CopyLine text={command} label={common.command} />
          <Way command={command} />
        </div>
      ))}
    </div>
  );
}
