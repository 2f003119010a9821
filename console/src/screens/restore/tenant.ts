import { useQuery } from "@tanstack/react-query";
import { tenants } from "../../api/queries";
import { SYSTEM } from "../../app/rights";
import { type Choice, tenantsOf } from "./choices";

/** What of a snapshot belongs to the tenant that was chosen by id; without one to the system, if it has any. */
export function useOwn(choices: Choice[], tenant: string | undefined): Choice[] {
  const known = useQuery(tenants);
  const names = tenantsOf(choices);
  const chosen = known.data?.items.find(({ id }) => id === tenant)?.name;
  const name = chosen ?? (names.includes(SYSTEM) ? SYSTEM : names[0]);
  return choices.filter((choice) => choice.tenant === name || choice.tenant === "");
}
