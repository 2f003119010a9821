import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { rowsOf, runs } from "../../api/queries";
import { useSight } from "../../api/sight";
import type { RunKind, RunState } from "../../api/types";
import { SelectField } from "../../parts/field/inputs";
import { Filters } from "../../parts/filters/Filters";
import { Loading } from "../../parts/loading/Loading";
import { Empty } from "../../parts/notice/Empty";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { useWords } from "../../words";
import { RunTable } from "./RunTable";
import { list } from "./screen";

export function List() {
  const { runs: words, screens } = useWords();
  const asked = list.useSearch();
  const query = useInfiniteQuery(runs(asked));
  const onSight = useSight(runs(asked).queryKey);
  const isFiltered = Boolean(asked.kind || asked.state);
  const more = query.hasNextPage && !query.isFetchingNextPage ? query.fetchNextPage : undefined;
  return (
    <Page title={screens.runs} answer={words.answer}>
      <Panel title={screens.runs} isFlush beside={<Choices />}>
        <Loading of={query} lines={8}>
          {(data) => (
            <RunTable
              label={screens.runs}
              runs={rowsOf(data)}
              onNearEnd={more}
              onSight={onSight}
              empty={
                <Empty title={isFiltered ? words.noneFound : words.none}>
                  {isFiltered ? undefined : words.noneWords}
                </Empty>
              }
            />
          )}
        </Loading>
      </Panel>
    </Page>
  );
}

function Choices() {
  const { runs: words } = useWords();
  const asked = list.useSearch();
  const navigate = useNavigate({ from: list.fullPath });
  return (
    <Filters>
      <SelectField
        label={words.kind}
        value={asked.kind ?? ""}
        onChange={(kind) =>
          navigate({
            search: (now) => ({ ...now, kind: (kind || undefined) as RunKind | undefined }),
          })
        }
      >
        <option value="">{words.anyKind}</option>
        {Object.entries(words.kinds).map(([kind, name]) => (
          <option key={kind} value={kind}>
            {name}
          </option>
        ))}
      </SelectField>
      <SelectField
        label={words.state}
        value={asked.state ?? ""}
        onChange={(state) =>
          navigate({
            search: (now) => ({ ...now, state: (state || undefined) as RunState | undefined }),
          })
        }
      >
        <option value="">{words.anyState}</option>
        {Object.entries(words.states).map(([state, name]) => (
          <option key={state} value={state}>
            {name}
          </option>
        ))}
      </SelectField>
    </Filters>
  );
}
