import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { profiles } from "../../api/queries";
import { useWho } from "../../app/session";
import { LinkButton } from "../../parts/button/LinkButton";
import { Loading } from "../../parts/loading/Loading";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { Tabs } from "../../parts/tabs/Tabs";
import { useWords } from "../../words";
import { ProfileTable } from "./ProfileTable";
import { ReadyMade } from "./ReadyMade";
import { list } from "./screen";
import { isIn, TABS } from "./tabs";

/** What will be taken, and for how long is it kept? */
export function List() {
  const { schedules: words, screens, snapshots } = useWords();
  const who = useWho();
  const tab = list.useSearch().tab ?? "full";
  const query = useQuery(profiles);
  return (
    <Page
      title={screens.schedules}
      answer={words.answer[tab]}
      actions={
        who.may("change") && (
          <LinkButton kind="primary" to="/schedules/new" search={{ tab }}>
            {words.add}
          </LinkButton>
        )
      }
    >
      <Tabs label={screens.schedules}>
        {TABS.map((each) => (
          <Link
            key={each}
            to="/schedules"
            search={{ tab: each === "full" ? undefined : each }}
            activeOptions={{ explicitUndefined: true }}
            aria-current={each === tab ? "page" : undefined}
          >
            {snapshots.tabs[each]}
          </Link>
        ))}
      </Tabs>
      <Panel title={screens.schedules} isFlush>
        <Loading of={query}>
          {({ items }) => <ProfileTable profiles={items.filter((each) => isIn(tab, each))} />}
        </Loading>
      </Panel>
      {who.may("change") && <ReadyMade tab={tab} />}
    </Page>
  );
}
