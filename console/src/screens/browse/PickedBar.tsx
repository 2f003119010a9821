import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import type { Entry } from "../../api/types";
import { Button } from "../../parts/button/Button";
import { LinkButton } from "../../parts/button/LinkButton";
import { useFormat, useWords } from "../../words";
import style from "./Browse.module.css";
import { download, filesOf, pathsOf } from "./picked";
import { tree } from "./screen";

/** What can be done with the chosen files. */
export function PickedBar({ id, entries }: { id: string; entries: Entry[] }) {
  const { browse: words, common } = useWords();
  const format = useFormat();
  const place = tree.useSearch();
  const navigate = useNavigate({ from: tree.fullPath });
  const fetch = useMutation({ mutationFn: download });
  const files = filesOf(id, entries, place.pick ?? [], place);
  if (files.length === 0) return null;
  const paths = pathsOf(entries, place.pick ?? [], place);
  return (
    <div className={style.picked} role="status">
      <strong>{common.selected(format.number(files.length))}</strong>
      <Button isBusy={fetch.isPending} onClick={() => fetch.mutate(files)}>
        {words.downloadAll}
      </Button>
      {paths && (
        <LinkButton to="/restore/new" search={{ snapshot: id, what: "files", paths }}>
          {words.restoreAll}
        </LinkButton>
      )}
      <Button
        kind="quiet"
        onClick={() => navigate({ search: (now) => ({ ...now, pick: undefined }), replace: true })}
      >
        {words.chooseNone}
      </Button>
      <span>{words.oneByOne}</span>
    </div>
  );
}
