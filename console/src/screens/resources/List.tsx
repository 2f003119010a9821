import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { resources as resourcesQuery } from "../../api/queries";
import type { Kind, Resource } from "../../api/types";
import { useWho } from "../../app/session";
import { LinkButton } from "../../parts/button/LinkButton";
import { SelectField } from "../../parts/field/inputs";
import { Filters } from "../../parts/filters/Filters";
import { CalledField } from "../../parts/filters/NameFilter";
import { Loading } from "../../parts/loading/Loading";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { useWords } from "../../words";
import { fits, KINDS, tagsOf } from "./choices";
import { ResourceTable } from "./ResourceTable";
import { list } from "./screen";

/** What is protected, and how? */
export function List() {
  const { resources: words, screens } = useWords();
  const who = useWho();
  const asked = list.useSearch();
  const query = useQuery(resourcesQuery);
  const all = query.data?.items ?? [];
  const isOn = all.filter(({ spec }) => spec.is_protected !== false).length;
  return (
    <Page
      title={screens.resources}
      answer={all.length > 0 ? words.answer(isOn, all.length) : words.answerNone}
      actions={
        who.may("change") && (
          <LinkButton kind="primary" to="/resources/new">
            {words.add}
          </LinkButton>
        )
      }
    >
      <Panel title={screens.resources} isFlush beside={<Choices all={all} />}>
        <Loading of={query} lines={8}>
          {({ items }) => (
            <ResourceTable
              resources={items.filter((each) => fits(each, asked))}
              isFiltered={items.length > 0}
            />
          )}
        </Loading>
      </Panel>
    </Page>
  );
}

function Choices({ all }: { all: Resource[] }) {
  const { resources: words, snapshots, common, kinds } = useWords();
  const { kind, tag } = list.useSearch();
  const navigate = useNavigate({ from: list.fullPath });
  return (
    <Filters>
      <CalledField label={snapshots.filter} />
      <SelectField
        label={common.kind}
        value={kind ?? ""}
        onChange={(next) =>
          navigate({ search: (now) => ({ ...now, kind: (next || undefined) as Kind | undefined }) })
        }
      >
        <option value="">{words.anyKind}</option>
        {KINDS.map((each) => (
          <option key={each} value={each}>
            {kinds[each]}
          </option>
        ))}
      </SelectField>
      <SelectField
        label={words.tag}
        value={tag ?? ""}
        onChange={(next) => navigate({ search: (now) => ({ ...now, tag: next || undefined }) })}
      >
        <option value="">{words.anyTag}</option>
        {tagsOf(all).map((each) => (
          <option key={each}>{each}</option>
        ))}
      </SelectField>
    </Filters>
  );
}
