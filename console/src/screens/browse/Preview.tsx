import { useQuery } from "@tanstack/react-query";
import { preview } from "../../api/content";
import type { At } from "../../api/file";
import type { Preview } from "../../api/types";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Panel } from "../../parts/panel/Panel";
import { Scroll } from "../../parts/scroll/Scroll";
import { useWords } from "../../words";
import style from "./Browse.module.css";
import { lastOf } from "./place";

/** The beginning of a file, as far as it can be shown. */
export function PreviewPanel({ id, at }: { id: string; at: At }) {
  const { browse: words } = useWords();
  const query = useQuery(preview(id, at));
  const isCut = query.data && "is_cut" in query.data && query.data.is_cut;
  return (
    <Panel title={words.preview} beside={isCut && words.cut} isFlush>
      <Loading of={query} lines={10}>
        {(shown) => <Shown preview={shown} />}
      </Loading>
    </Panel>
  );
}

function Shown({ preview: shown }: { preview: Preview }) {
  const { browse: words } = useWords();
  if (shown.shown === "text") {
    if (shown.text === "") return <Empty title={words.emptyFile} />;
    return (
      <Scroll isLow>
        <pre className={style.text}>{shown.text}</pre>
      </Scroll>
    );
  }
  if (shown.shown === "picture") {
    return (
      <div className={style.picture}>
        <img src={`data:${shown.media_type};base64,${shown.data}`} alt={lastOf(shown.entry.path)} />
      </div>
    );
  }
  if (shown.shown === "table") return <Rows rows={shown.rows} />;
  return <Empty title={words.binary}>{words.binaryWords}</Empty>;
}

/** Lines and columns of a file have no name but their number, and never move. */
const numbered = <T,>(of: T[]): [number, T][] => [...of.entries()];

/** Rows of a table, the first as its heads: files seldom say which it is. */
function Rows({ rows }: { rows: string[][] }) {
  const [heads = [], ...rest] = rows;
  return (
    <Scroll isLow>
      <table className={style.rows}>
        <thead>
          <tr>
            {numbered(heads).map(([at, head]) => (
              <th key={at} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {numbered(rest).map(([line, row]) => (
            <tr key={line}>
              {numbered(row).map(([at, cell]) => (
                <td key={at}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
