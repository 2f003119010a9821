import { LinkButton } from "../parts/button/LinkButton";
import { Empty } from "../parts/notice/Empty";
import { Page } from "../parts/page/Page";
import { useWords } from "../words";

export function Nowhere() {
  const { shell } = useWords();
  return (
    <Page title={shell.nowhere}>
      <Empty
        title={shell.nowhereWords}
        action={<LinkButton to="/">{shell.toOverview}</LinkButton>}
      />
    </Page>
  );
}

/** The same where there is no frame around it. */
export const NowhereAtAll = () => (
  <main>
    <Nowhere />
  </main>
);
