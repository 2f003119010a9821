import { Link, useNavigate } from "@tanstack/react-router";
import { Page } from "../../../parts/page/Page";
import { Panel } from "../../../parts/panel/Panel";
import { Tabs } from "../../../parts/tabs/Tabs";
import { useWords } from "../../../words";
import { WAYS } from "../choices";
import { DRAFT } from "../form/draft";
import { ResourceForm } from "../form/ResourceForm";
import { fresh } from "../screen";
import { Found } from "./Found";
import { Text } from "./Text";

/** Says what is to be protected: found on a host, by a form, or as text. */
export function New() {
  const { resources: words, screens } = useWords();
  const way = fresh.useSearch().way ?? "found";
  const navigate = useNavigate();
  return (
    <Page
      title={words.add}
      answer={words.wayWords[way]}
      trail={
        <Link to="/resources" activeOptions={{ exact: true }}>
          {screens.resources}
        </Link>
      }
    >
      <Tabs label={words.add}>
        {WAYS.map((each) => (
          <Link
            key={each}
            to="/resources/new"
            search={(now) => ({ ...now, way: each === "found" ? undefined : each })}
            activeOptions={{ explicitUndefined: true }}
            aria-current={each === way ? "page" : undefined}
          >
            {words.ways[each]}
          </Link>
        ))}
      </Tabs>
      <Panel title={words.ways[way]}>
        {way === "found" && <Found />}
        {way === "text" && <Text />}
        {way === "form" && (
          <ResourceForm
            initial={DRAFT}
            onDone={({ id }) => navigate({ to: "/resources/$id", params: { id } })}
            onCancel={() => navigate({ to: "/resources" })}
          />
        )}
      </Panel>
    </Page>
  );
}
