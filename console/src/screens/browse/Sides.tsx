import { useQuery } from "@tanstack/react-query";
import { preview } from "../../api/content";
import type { Difference, Entry, Preview } from "../../api/types";
import { useWho } from "../../app/session";
import { LinkButton } from "../../parts/button/LinkButton";
import { Facts } from "../../parts/facts/Facts";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Notice } from "../../parts/notice/Notice";
import { Panel } from "../../parts/panel/Panel";
import { When } from "../../parts/when/When";
import { useFormat, useWords } from "../../words";
import { ChangeWord } from "./ChangeWord";
import { changedOf, hasContent } from "./entry";
import { askedOf } from "./place";
import { TwoTexts } from "./TwoTexts";

interface Props {
  from: string;
  to: string;
  difference: Difference;
}

/** A file in both snapshots, side by side. */
export function Sides({ from, to, difference }: Props) {
  const { browse: words } = useWords();
  const who = useWho();
  const { change, path, path_hex: hex } = difference;
  const one = difference.old ?? undefined;
  const other = difference.new ?? undefined;
  const search = { path, hex: hex ?? undefined };
  return (
    <>
      <Panel title={words.differsBy} beside={<ChangeWord is={change} />}>
        <Facts
          of={[
            [words.older, <Side key="old" entry={one} />],
            [words.newer, <Side key="new" entry={other} />],
            [
              words.show,
              <span key="show">
                {one && (
                  <LinkButton to="/browse/$id" params={{ id: from }} search={search}>
                    {words.before}
                  </LinkButton>
                )}{" "}
                {other && (
                  <LinkButton to="/browse/$id" params={{ id: to }} search={search}>
                    {words.after}
                  </LinkButton>
                )}
              </span>,
            ],
          ]}
        />
      </Panel>
      {change === "metadata" && <Notice is="none" title={words.sameContent} />}
      {change !== "metadata" && (one ?? other) && who.may("restore") && (
        <Texts
          from={one && hasContent(one) ? from : undefined}
          to={other && hasContent(other) ? to : undefined}
          search={search}
        />
      )}
    </>
  );
}

function Side({ entry }: { entry: Entry | undefined }) {
  const { browse: words } = useWords();
  const format = useFormat();
  if (!entry) return words.notThere;
  const at = changedOf(entry);
  return (
    <>
      {words.kinds[entry.kind]}, {format.bytes(entry.size)}, <code>{entry.mode}</code>{" "}
      {entry.user || entry.uid}:{entry.group || entry.gid}
      {at && (
        <>
          , <When at={at} />
        </>
      )}
    </>
  );
}

interface TextsProps {
  from: string | undefined;
  to: string | undefined;
  search: { path: string; hex: string | undefined };
}

function Texts({ from, to, search }: TextsProps) {
  const { browse: words } = useWords();
  const at = askedOf(search);
  const one = useQuery({ ...preview(from ?? "", at), enabled: from !== undefined });
  const other = useQuery({ ...preview(to ?? "", at), enabled: to !== undefined });
  const none = { data: null, error: null, refetch: () => undefined };
  return (
    <Panel title={words.sideBySide} isFlush>
      <Loading of={from === undefined ? none : one} lines={8}>
        {(before) => (
          <Loading of={to === undefined ? none : other} lines={8}>
            {(after) => <Both before={before} after={after} />}
          </Loading>
        )}
      </Loading>
    </Panel>
  );
}

function Both({ before, after }: { before: Preview | null; after: Preview | null }) {
  const { browse: words } = useWords();
  const one = textOf(before);
  const other = textOf(after);
  if (one === undefined || other === undefined) {
    return <Empty title={words.binary}>{words.notText}</Empty>;
  }
  const isCut = [before, after].some((each) => each && "is_cut" in each && each.is_cut);
  return (
    <>
      {isCut && <Notice is="attention" title={words.cut} />}
      <TwoTexts one={one} other={other} />
    </>
  );
}

/** What is not there is an empty text; a table is shown as the lines that it came from, nearly. */
function textOf(shown: Preview | null): string | undefined {
  if (!shown) return "";
  if (shown.shown === "text") return shown.text;
  return shown.shown === "table" ? shown.rows.map((row) => row.join("\t")).join("\n") : undefined;
}
