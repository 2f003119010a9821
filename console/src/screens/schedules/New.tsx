import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { readyMade } from "../../api/objects";
import { Loading } from "../../parts/loading/Loading";
import { Page } from "../../parts/page/Page";
import { ownZone } from "../../parts/period/zone";
import { useWords } from "../../words";
import { draftOf, freshDraft } from "./edit/draft";
import { Editor } from "./edit/Editor";
import { fresh } from "./screen";

/** A new schedule, from nothing or from one that is ready-made. */
export function New() {
  const { schedules: words, screens } = useWords();
  const { from, tab } = fresh.useSearch();
  const navigate = useNavigate();
  const query = useQuery(readyMade(ownZone()));
  return (
    <Page
      title={words.add}
      trail={
        <Link to="/schedules" activeOptions={{ exact: true }}>
          {screens.schedules}
        </Link>
      }
    >
      <Loading of={query} lines={10}>
        {({ items }) => {
          const made = items.find(({ name }) => name === from);
          const initial = made
            ? { ...draftOf(made.name, made.spec), isEnabled: true }
            : freshDraft(tab ?? "full", ownZone());
          return (
            <Editor
              key={from}
              initial={initial}
              onDone={({ id }) => navigate({ to: "/schedules/$id", params: { id } })}
              onCancel={() => navigate({ to: "/schedules", search: { tab } })}
            />
          );
        }}
      </Loading>
    </Page>
  );
}
