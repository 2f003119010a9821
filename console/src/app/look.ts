/** Light or dark, more contrast or not: as the device says, unless one chose. */
export const THEMES = ["device", "light", "dark"] as const;
export const CONTRASTS = ["device", "normal", "more"] as const;
export type Theme = (typeof THEMES)[number];
export type Contrast = (typeof CONTRASTS)[number];

const darkness = matchMedia("(prefers-color-scheme: dark)");
const sharpness = matchMedia("(prefers-contrast: more)");

export interface Look {
  theme: Theme;
  contrast: Contrast;
}

let look: Look = {
  theme: chosen("tintype.theme", THEMES),
  contrast: chosen("tintype.contrast", CONTRASTS),
};
const heard = new Set<() => void>();

export const readLook = (): Look => look;

export function hearLook(hear: () => void): () => void {
  heard.add(hear);
  return () => heard.delete(hear);
}

function chosen<T extends string>(key: string, of: readonly T[]): T {
  const stored = localStorage.getItem(key);
  return of.find((each) => each === stored) ?? (of[0] as T);
}

function draw() {
  const isDark = look.theme === "device" ? darkness.matches : look.theme === "dark";
  const isSharp = look.contrast === "device" ? sharpness.matches : look.contrast === "more";
  const { dataset } = document.documentElement;
  dataset.theme = isDark ? "dark" : "light";
  dataset.contrast = isSharp ? "more" : "normal";
}

export function beginLook() {
  draw();
  darkness.addEventListener("change", draw);
  sharpness.addEventListener("change", draw);
}

export function setLook(next: Partial<Look>) {
  look = { ...look, ...next };
  localStorage.setItem("tintype.theme", look.theme);
  localStorage.setItem("tintype.contrast", look.contrast);
  draw();
  for (const each of heard) each();
}
