import { useState } from "react";
import { useWho } from "../../app/session";
import { Notice } from "../../parts/notice/Notice";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { useWords } from "../../words";
import { PasswordForm } from "../users/PasswordForm";
import { Look } from "./Look";
import { Sessions } from "./Sessions";
import style from "./Settings.module.css";

/** What one sets for oneself. */
export function List() {
  const { settings: words, screens, roles } = useWords();
  const who = useWho();
  const [isChanged, setChanged] = useState(false);
  return (
    <Page
      title={screens.settings}
      answer={words.answer(who.name, roles[who.role], who.tenant_name)}
    >
      <Panel title={words.look}>
        <Look />
      </Panel>
      <Sessions />
      <Panel title={words.password}>
        <div className={style.narrow}>
          {isChanged && <Notice is="good" isNews title={words.passwordChanged} />}
          <PasswordForm id={who.id} isOwn onDone={() => setChanged(true)} />
        </div>
      </Panel>
    </Page>
  );
}
