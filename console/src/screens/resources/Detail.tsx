import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { unchanged } from "../../api/change";
import { api, ask } from "../../api/client";
import { resource as resourceQuery } from "../../api/objects";
import type { Resource, ResourceSpec } from "../../api/types";
import { useBecause } from "../../app/because";
import { useWho } from "../../app/session";
import { LinkButton } from "../../parts/button/LinkButton";
import { Remove } from "../../parts/dialog/Remove";
import { useSaved } from "../../parts/field/saved";
import { Loading } from "../../parts/loading/Loading";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { useWords } from "../../words";
import { draftOf } from "./form/draft";
import { ResourceForm } from "./form/ResourceForm";
import { Hooks } from "./hooks/Hooks";
import { StandingOfOne } from "./StandingWords";
import { detail } from "./screen";

export function Detail() {
  const { id } = detail.useParams();
  const query = useQuery(resourceQuery(id));
  return (
    <Loading of={query} screen="resources">
      {(resource) => <Shown resource={resource as Resource} />}
    </Loading>
  );
}

function Shown({ resource }: { resource: Resource }) {
  const { resources: words, screens, kinds } = useWords();
  const { isSaved, onSaved } = useSaved(resource);
  return (
    <Page
      title={resource.name}
      trail={
        <Link to="/resources" activeOptions={{ exact: true }}>
          {screens.resources}
        </Link>
      }
      answer={
        <>
          {kinds[resource.spec.kind]}. <StandingOfOne resource={resource} />
        </>
      }
      actions={<Actions resource={resource} />}
    >
      <Panel title={words.what}>
        <ResourceForm
          key={resource.version}
          initial={draftOf(resource.name, resource.spec as ResourceSpec)}
          resource={resource}
          onDone={onSaved}
          isSaved={isSaved}
        />
      </Panel>
      <Hooks key={`hooks-${resource.version}`} resource={resource} />
    </Page>
  );
}

function Actions({ resource }: { resource: Resource }) {
  const { resources: words, screens, common } = useWords();
  const who = useWho();
  const because = useBecause();
  const navigate = useNavigate();
  const params = { path: { id: resource.id }, header: unchanged(resource) };
  return (
    <>
      <LinkButton to="/snapshots" search={{ resource: resource.id }}>
        {screens.snapshots}
      </LinkButton>
      {who.may("change") && (
        <Remove
          id={resource.id}
          title={words.deleteTitle(resource.name)}
          action={common.delete}
          name={resource.name}
          because={because}
          kinds={["resource", "status"]}
          remove={() => ask(api.DELETE("/api/v1/resources/{id}", { params }))}
          onDone={() => navigate({ to: "/resources" })}
        >
          <p>{words.deleteWords}</p>
        </Remove>
      )}
    </>
  );
}
