import style from "./Table.module.css";

/**
 * Columns stay as wide as what was first in sight made them: others jump with what is scrolled into sight, and
 * are reckoned anew with each frame. Narrow windows, which show each row as a block, have no columns.
 */
export function fixColumns(body: HTMLElement | null): () => void {
  const table = body?.closest("table");
  const heads = [...(table?.tHead?.rows[0]?.cells ?? [])];
  const widths = heads.map((head) => head.offsetWidth);
  const all = widths.reduce((sum, width) => sum + width, 0);
  if (!table || !style.fixed || all < table.offsetWidth / 2) return () => undefined;
  for (const [at, head] of heads.entries()) {
    head.style.width = `${((widths[at] ?? 0) / all) * 100}%`;
  }
  table.classList.add(style.fixed);
  // Wider than its place: what does not fit is scrolled to.
  const isOver = all > (table.parentElement?.clientWidth ?? all);
  if (isOver && style.over) table.classList.add(style.over);
  table.style.setProperty("--least", `${all}px`);
  return () => {
    table.classList.remove(...[style.fixed, style.over].filter((name) => name !== undefined));
    table.style.removeProperty("--least");
    for (const head of heads) head.style.width = "";
  };
}
