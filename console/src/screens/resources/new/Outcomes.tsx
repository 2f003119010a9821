import { Link } from "@tanstack/react-router";
import { Notice } from "../../../parts/notice/Notice";
import { Cure } from "../../../parts/told/Cure";
import { Told } from "../../../parts/told/Told";
import { useWords } from "../../../words";
import style from "../Resources.module.css";
import type { Outcome } from "./add";

/** What was added, and what was not and why. */
export function Outcomes({ of }: { of: Outcome[] }) {
  const { resources: words, screens } = useWords();
  const added = of.filter(({ problem }) => !problem);
  return (
    <div className={style.stack} role="status">
      {added.length > 0 && (
        <Notice is="good" title={words.added(added.map(({ name }) => name).join(", "))}>
          <Link to="/resources">{screens.resources}</Link>
        </Notice>
      )}
      {of.map(
        ({ name, problem }) =>
          problem && (
            <Notice
              key={name}
              is="failed"
              title={
                <>
                  {name}: <Told of={problem.message} />
                </>
              }
            >
              {problem.cure && <Cure of={problem.cure} />}
            </Notice>
          ),
      )}
    </div>
  );
}
