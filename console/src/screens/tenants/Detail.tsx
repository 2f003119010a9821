import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { unchanged } from "../../api/change";
import { api, ask } from "../../api/client";
import { tenant as tenantQuery } from "../../api/objects";
import type { Tenant } from "../../api/types";
import { useBecause } from "../../app/because";
import { SYSTEM } from "../../app/rights";
import { useWho } from "../../app/session";
import { Remove } from "../../parts/dialog/Remove";
import { useSaved } from "../../parts/field/saved";
import { Loading } from "../../parts/loading/Loading";
import { Page } from "../../parts/page/Page";
import { Panel } from "../../parts/panel/Panel";
import { useWords } from "../../words";
import { detail } from "./screen";
import { TenantForm } from "./TenantForm";

/** What a tenant may, and how much room it has. */
export function Detail() {
  const { id } = detail.useParams();
  const query = useQuery(tenantQuery(id));
  return (
    <Loading of={query} screen="tenants">
      {(tenant) => <Shown tenant={tenant} />}
    </Loading>
  );
}

function Shown({ tenant }: { tenant: Tenant }) {
  const { tenants: words, screens } = useWords();
  const { isSaved, onSaved } = useSaved(tenant);
  return (
    <Page
      title={tenant.name}
      trail={
        <Link to="/tenants" activeOptions={{ exact: true }}>
          {screens.tenants}
        </Link>
      }
      answer={tenant.name === SYSTEM ? words.root : tenant.spec.description}
      actions={<Delete tenant={tenant} />}
    >
      <Panel title={words.what}>
        <TenantForm key={tenant.version} tenant={tenant} onDone={onSaved} isSaved={isSaved} />
      </Panel>
    </Page>
  );
}

function Delete({ tenant }: { tenant: Tenant }) {
  const { tenants: words, common } = useWords();
  const who = useWho();
  const because = useBecause();
  const navigate = useNavigate();
  if (!who.may("system") || tenant.name === SYSTEM) return null;
  const params = { path: { id: tenant.id }, header: unchanged(tenant) };
  return (
    <Remove
      id={tenant.id}
      title={words.deleteTitle(tenant.name)}
      action={common.delete}
      name={tenant.name}
      because={because}
      kinds={["tenant", "status"]}
      remove={() => ask(api.DELETE("/api/v1/tenants/{id}", { params }))}
      onDone={() => navigate({ to: "/tenants" })}
    >
      <p>{words.deleteWords}</p>
    </Remove>
  );
}
