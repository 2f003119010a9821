import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { unchanged } from "../../api/change";
import { api, ask } from "../../api/client";
import { profile as profileQuery } from "../../api/objects";
import type { Profile } from "../../api/types";
import { useBecause } from "../../app/because";
import { useWho } from "../../app/session";
import { Remove } from "../../parts/dialog/Remove";
import { useSaved } from "../../parts/field/saved";
import { Loading } from "../../parts/loading/Loading";
import { Page } from "../../parts/page/Page";
import { State } from "../../parts/state/State";
import { useWords } from "../../words";
import { draftOf } from "./edit/draft";
import { Editor } from "./edit/Editor";
import { Preview } from "./keep/Preview";
import { Switch } from "./ProfileTable";
import { detail } from "./screen";

export function Detail() {
  const { id } = detail.useParams();
  const query = useQuery(profileQuery(id));
  return (
    <Loading of={query} screen="schedules">
      {(profile) => <Shown profile={profile as Profile} />}
    </Loading>
  );
}

function Shown({ profile }: { profile: Profile }) {
  const { schedules: words, screens } = useWords();
  const who = useWho();
  const isOn = profile.spec.enabled !== false;
  const { isSaved, onSaved } = useSaved(profile);
  return (
    <Page
      title={profile.name}
      trail={
        <Link to="/schedules" activeOptions={{ exact: true }}>
          {screens.schedules}
        </Link>
      }
      answer={<State is={isOn ? "good" : "none"}>{isOn ? words.onWords : words.offWords}</State>}
      actions={who.may("change") && <Actions profile={profile} />}
    >
      <Editor
        key={profile.version}
        initial={draftOf(profile.name, profile.spec)}
        profile={profile}
        onDone={onSaved}
        isSaved={isSaved}
        more={(spec) => <Preview id={profile.id} spec={spec} />}
      />
    </Page>
  );
}

function Actions({ profile }: { profile: Profile }) {
  const { schedules: words, common } = useWords();
  const because = useBecause();
  const navigate = useNavigate();
  const params = { path: { id: profile.id }, header: unchanged(profile) };
  return (
    <>
      <Switch profile={profile} />
      <Remove
        id={profile.id}
        title={words.deleteTitle(profile.name)}
        action={common.delete}
        name={profile.name}
        because={because}
        kinds={["profile", "status"]}
        remove={() => ask(api.DELETE("/api/v1/profiles/{id}", { params }))}
        onDone={() => navigate({ to: "/schedules" })}
      >
        <p>{words.deleteWords}</p>
      </Remove>
    </>
  );
}
