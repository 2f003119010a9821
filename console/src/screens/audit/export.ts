import { api, ask } from "../../api/client";
import type { AuditEntry } from "../../api/types";

const PAGE = 1000;

/** One entry in a line, as it was answered: its hashes can be checked elsewhere. */
export const linesOf = (entries: AuditEntry[]): string =>
  entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");

/** The whole log, page by page, as a file. */
export async function exportAudit(): Promise<void> {
  const all: AuditEntry[] = [];
  let cursor: string | undefined;
  do {
    const query = { limit: PAGE, cursor };
    const page = await ask(api.GET("/api/v1/audit", { params: { query } }));
    all.push(...page.items);
    cursor = page.next ?? undefined;
  } while (cursor);
  const url = URL.createObjectURL(new Blob([linesOf(all)], { type: "application/jsonl" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = "tintype-audit.jsonl";
  link.click();
  URL.revokeObjectURL(url);
}
