import { fileAddress } from "../../api/file";
import type { Entry } from "../../api/types";
import { useWho } from "../../app/session";
import { FileLink } from "../../parts/button/FileLink";
import { LinkButton } from "../../parts/button/LinkButton";
import { Facts } from "../../parts/facts/Facts";
import { Notice } from "../../parts/notice/Notice";
import { Panel } from "../../parts/panel/Panel";
import { Told } from "../../parts/told/Told";
import { When } from "../../parts/when/When";
import { useFormat, useWords } from "../../words";
import { changedOf, mayBeDisk } from "./entry";
import { PreviewPanel } from "./Preview";
import { askedOf, lastOf, type Place } from "./place";

interface Props {
  id: string;
  entry: Entry;
  place: Place;
}

export function FileView({ id, entry, place }: Props) {
  const { browse: words } = useWords();
  const format = useFormat();
  const who = useWho();
  const at = askedOf(place);
  const changed = changedOf(entry);
  const actions = (
    <>
      {!place.disk && mayBeDisk(entry) && (
        <LinkButton to="/browse/$id" params={{ id }} search={{ disk: entry.path }}>
          {words.lookInside}
        </LinkButton>
      )}
      {who.may("restore") && (
        <FileLink href={fileAddress(id, at, entry.is_lost)} name={lastOf(entry.path)}>
          {words.download}
        </FileLink>
      )}
    </>
  );
  return (
    <>
      {(entry.is_lost || entry.problem) && (
        <Notice
          is={entry.is_lost ? "failed" : "attention"}
          title={entry.is_lost ? words.lostTitle : words.problemTitle}
        >
          {entry.problem && <Told of={entry.problem} />} {entry.is_lost && words.lostWords}
        </Notice>
      )}
      <Panel title={words.about} beside={actions}>
        <Facts
          of={[
            [words.columns.kind, words.kinds[entry.kind]],
            [words.columns.size, format.bytes(entry.size)],
            [words.columns.changed, changed && <When at={changed} />],
            [words.columns.owner, `${entry.user || entry.uid}:${entry.group || entry.gid}`],
            [words.columns.mode, <code key="mode">{entry.mode}</code>],
            [words.links, entry.links > 1 && format.number(entry.links)],
            [words.path, <code key="path">{entry.path}</code>],
            [words.bytes, entry.path_hex && <code>{entry.path_hex}</code>],
          ]}
        />
      </Panel>
      {who.may("restore") ? (
        <PreviewPanel id={id} at={at} />
      ) : (
        <Notice is="none" title={words.noPreview} />
      )}
    </>
  );
}
