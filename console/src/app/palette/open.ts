/** Whoever wants the palette asks for it here; it lies in the shell, once. */
const EVENT = "tintype:palette";

export const openPalette = () => window.dispatchEvent(new Event(EVENT));

export function onOpenPalette(open: () => void): () => void {
  window.addEventListener(EVENT, open);
  return () => window.removeEventListener(EVENT, open);
}
